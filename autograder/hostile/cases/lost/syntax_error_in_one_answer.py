"""One answer does not compile; the others are right.

answers: kv_bytes_per_token tokens_processed
score: kv_bytes_per_token=3 tokens_processed=3
note: test_kv_cache_bytes: (?!$).{10}
"""
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per)
    return 2 * batch
