"""A crash in the last exercise costs that exercise, not those before it.

answers: kv_bytes_per_token kv_cache_bytes tokens_processed
score: kv_bytes_per_token=3 kv_cache_bytes=3 tokens_processed=3
note: test_latency_by_length: .*(ended|did not run)
"""
# %% latency_by_length
import ctypes

def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    ctypes.string_at(0)
