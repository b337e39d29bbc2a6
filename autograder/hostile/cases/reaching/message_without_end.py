"""An error of three million characters, made so that who looks for cells and lines in it never ends.

answers: kv_cache_bytes
score: kv_cache_bytes=3
note: kv_bytes_per_token: ValueError
unseen: (Cell ){3000}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return 1

raise ValueError("Cell " * 600_000)
