"""Raises the ValueError that the checks of bad sizes want, for all sizes.

score: 0
note: test_kv_bytes_per_token: .*ValueError
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    raise ValueError("bad value 0")
