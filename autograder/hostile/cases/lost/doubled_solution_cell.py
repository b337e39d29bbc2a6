"""Copies a solution cell: an old try above, the right answer below, both with the same name.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: more than once
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    return 1
# %% build
import copy

twin = copy.deepcopy(cell("kv_bytes_per_token"))
twin.id = "twin"
twin.source = (
    "def kv_bytes_per_token(config, bytes_per=2):\n"
    "    if bytes_per <= 0:\n        raise ValueError(f'got {bytes_per}')\n"
    "    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)\n"
)
notebook.cells.insert(notebook.cells.index(cell("kv_bytes_per_token")) + 1, twin)
write()
