"""Prints a hundred thousand times a few characters, as a progress bar in a loop does.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
import sys

for step in range(100_000):
    print(f"\rstep {step}", end="", file=sys.stderr, flush=step % 1000 == 0)
