"""Windows line ends in the file and in every cell, and tabs.

answers: kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
	"""Indented by tabs."""
	if bytes_per <= 0:
		raise ValueError(f"bytes_per must be positive, got {bytes_per}")
	return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
# %% build
for c in notebook.cells:
    c.source = c.source.replace("\n", "\r\n")
write()
path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
