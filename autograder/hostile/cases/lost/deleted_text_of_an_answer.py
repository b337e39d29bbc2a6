"""Empties one solution cell; the others are right.

answers: kv_bytes_per_token tokens_processed
score: kv_bytes_per_token=3 tokens_processed=3
note: test_kv_cache_bytes: .*(NameError|not defined|kv_cache_bytes)
"""
# %% build
cell("kv_cache_bytes").source = ""
write()
