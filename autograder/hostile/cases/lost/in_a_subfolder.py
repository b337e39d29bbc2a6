"""Hands in a folder with the notebook in it.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: is taken for
"""
# %% build
(folder / "my work").mkdir()
path.rename(folder / "my work" / path.name)
