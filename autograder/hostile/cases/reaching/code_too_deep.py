"""An expression of twenty thousand attributes, too deep for whoever reads code as a tree.

answers: kv_cache_bytes
score: kv_cache_bytes=3
note: (?i)recursion|too deep|kv_bytes_per_token: .{10}
"""
# %% build
cell("kv_bytes_per_token").source = "def kv_bytes_per_token(config, bytes_per=2):\n    return " + "a" + ".b" * 20_000
notebook.cells.append(code("x = " + "-" * 20_000 + "1"))
write()
