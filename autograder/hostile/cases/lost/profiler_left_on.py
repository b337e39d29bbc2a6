"""Left a profiler and a slow trace function on.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
import sys
import tracemalloc

calls = []
sys.setprofile(lambda frame, event, argument: calls.append(1) if len(calls) < 100 else None)
tracemalloc.start()
