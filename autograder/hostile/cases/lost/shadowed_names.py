"""Uses len, range, tuple, str and isinstance as names of variables, then loses an answer to a math of its own.

score: kv_bytes_per_token=3
note: test_kv_cache_bytes: .*(ceil|int|object)
"""
# %%
len = 5
range = (1, 2)
tuple = isinstance = str = "text"
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% kv_cache_bytes
math = 3

def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)
