"""Catches every interrupt in its answer and goes on sleeping.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token
note: (?i)(too long|longer than|ended|did not run|timeout)
"""
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    while True:
        try:
            time.sleep(3600)
        except BaseException:
            pass
