"""Saved as UTF-16, as a Windows shell writes it.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
path.write_bytes(path.read_text().encode("utf-16"))
