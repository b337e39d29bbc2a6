"""Hands in data, pictures, folders, system files and an old copy beside its notebook.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: read 3
"""
# %%
print("read", len(open("data.csv").read().split(",")))
# %% build
(folder / "data.csv").write_text("1,2,3")
(folder / "plot.png").write_bytes(b"\x89PNG")
(folder / ".DS_Store").write_bytes(b"\0" * 100)
(folder / "__MACOSX").mkdir()
(folder / "__MACOSX" / "._03_kv_cache.ipynb").write_bytes(b"\0\1")
(folder / ".ipynb_checkpoints").mkdir()
(folder / ".ipynb_checkpoints" / "03_kv_cache-checkpoint.ipynb").write_text("{")
(folder / "Untitled.ipynb").write_text('{"cells": []}')
(folder / "a name with spaces, ümläuts & quotes '.txt").write_text("x")
