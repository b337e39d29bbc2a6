"""Makes an event loop of its own the current one, runs it in a thread, and leaves it open.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
import asyncio, threading

async def work():
    await asyncio.sleep(0)

loop = asyncio.new_event_loop()
threading.Thread(target=loop.run_forever, daemon=True).start()
asyncio.run_coroutine_threadsafe(work(), loop).result(5)
asyncio.set_event_loop(asyncio.new_event_loop())
asyncio.set_event_loop_policy(asyncio.DefaultEventLoopPolicy())
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
