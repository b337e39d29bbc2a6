"""Saved by an editor that puts a byte order mark before the text.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
