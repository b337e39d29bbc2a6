"""Its streams are gone: closed, replaced by None, and their descriptors closed too.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %%
import os, sys

sys.stdin = sys.__stdout__ = sys.__stderr__ = None
sys.stdout = sys.stderr = open(os.devnull, "w")
for number in (0, 1, 2):
    os.close(number)
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
