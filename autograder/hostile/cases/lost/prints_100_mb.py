"""A forgotten debugging loop prints 100 MB.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: (?i)(too much|output dropped|dropped)
"""
# %%
line = "x" * 1000 + "\n"
for _ in range(100):
    print(line * 1000)
