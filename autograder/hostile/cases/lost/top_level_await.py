"""Awaits at the top level of a cell and leaves a task running.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: awaited
"""
# %%
import asyncio

async def tick():
    while True:
        await asyncio.sleep(0.01)

task = asyncio.ensure_future(tick())
await asyncio.sleep(0.05)
print("awaited")
