"""Leaves the exercise undone and swallows its own NotImplementedError.

score: 0
note: test_kv_bytes_per_token: .*None
"""
# %% kv_bytes_per_token
def kv_bytes_per_token(config, bytes_per=2):
    try:
        raise NotImplementedError
    except NotImplementedError:
        pass
