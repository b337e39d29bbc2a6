"""Turned its solution cells into raw and Markdown cells by a slip of the keyboard.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: -
"""
# %% build
for name, kind in (("kv_bytes_per_token", "markdown"), ("kv_cache_bytes", "raw")):
    c = cell(name)
    c.cell_type = kind
    c.pop("outputs", None)
    c.pop("execution_count", None)
write()
