"""Raises StopIteration, which would end a loop of the checks without a word.

score: 0
note: test_kv_bytes_per_token: .{10}
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    raise StopIteration
# %% kv_cache_bytes
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    raise GeneratorExit
# %% tokens_processed
def tokens_processed(prompt, new, cached):
    raise StopAsyncIteration
