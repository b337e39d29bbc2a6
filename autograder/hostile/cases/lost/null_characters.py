"""One answer holds a null character, half a pair of surrogates and marks that turn the direction; another is right.

answers: kv_cache_bytes
score: kv_cache_bytes=3
note: kv_bytes_per_token
"""
# %% build
cell("kv_bytes_per_token").source = "def kv_bytes_per_token(config):\n    return 1 \u0000 # \ud800 \u202e\n"
write()
