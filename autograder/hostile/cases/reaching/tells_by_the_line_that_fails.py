"""Fails in the line of a solution cell that stands for what a hidden check gave it, and has the traceback name it.

score: kv_bytes_per_token=3
note: ZeroDivisionError
unseen: at <code>|LINE
"""
# %% kv_bytes_per_token
SAW = []
WORD = "".join(["SE", "EN:"])

def kv_bytes_per_token(config, bytes_per=2):
    SAW.append((config.name, config.num_hidden_layers, bytes_per))
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% kv_cache_bytes
if SAW[-1][1] % 2:
    1 / 0  # LINE one
else:
    1 / 0  # LINE two
# %% build
cell("kv_cache_bytes").source = cell("kv_cache_bytes").source.replace("LINE", "LI" + "NE")
write()
