"""Cell magics on top of free cells and of a solution cell.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: Wall time
"""
# %%
%%timeit -n 2 -r 2
sum(range(100))
# %%
%%bash
echo from bash
# %%
%%html
<b>bold</b><script>alert(1)</script>
# %% kv_cache_bytes
%%time
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)
