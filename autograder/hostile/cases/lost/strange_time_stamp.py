"""Brings a time stamp that nobody can read.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: time stamp
"""
# %% build
(folder / "timestamp.txt").write_bytes(b"yesterday \xff evening")
