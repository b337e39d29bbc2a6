"""Raises SystemExit(0) as soon as it is called; what stands beside it is honest.

score: kv_bytes_per_token=3 tokens_processed=3
answers: kv_bytes_per_token tokens_processed
note: test_kv_cache_bytes: .*SystemExit
"""
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    raise SystemExit(0)
