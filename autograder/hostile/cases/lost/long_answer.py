"""A solution cell with 150 kB of notes in comments.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
cell("kv_bytes_per_token").source = "# a note to myself, again and again\n" * 4000 + (
    "def kv_bytes_per_token(config, bytes_per=2):\n"
    "    if bytes_per <= 0:\n        raise ValueError(f'got {bytes_per}')\n"
    "    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)\n"
)
write()
