"""One answer never returns; the others are right and must be paid.

answers: kv_bytes_per_token cache_work_ratio
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: (?i)test_tokens_processed: .*(too long|longer than|timeout)
"""
# %% tokens_processed
def tokens_processed(prompt, new, cached):
    while True:
        pass
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)
