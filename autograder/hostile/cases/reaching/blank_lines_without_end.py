"""Very many blank lines, of spaces and of the word import: slow for who looks for lines in them.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% build
text = "\n" * 30_000 + "#" + " " * 50_000 + "import " * 6_000
notebook.cells += [code(text), code(" " * 190_000 + "%"), code("x = 1" + "\n \n" * 20_000)]
write()
