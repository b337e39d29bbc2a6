"""Takes memory without end when it is called; what was graded before stays.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: test_kv_cache_bytes: .*(?:MemoryError|memory|ended|did not run|longer than)
bomb: yes
"""
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    held = []
    for _ in range(48):
        held.append(np.ones(2**25))
    print("REACHED", len(held) / 4, "GB")
