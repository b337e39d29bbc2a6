"""Spins in C code that no interrupt reaches.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token tokens_processed
note: (?i)(too long|longer than|ended|did not run|timeout)
"""
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    return sum(range(10**13))
