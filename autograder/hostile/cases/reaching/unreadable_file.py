"""Hands in a file and a folder that nobody may read.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %% build
(folder / "secret.txt").write_text("x")
(folder / "secret.txt").chmod(0)
(folder / "closed").mkdir(mode=0)
