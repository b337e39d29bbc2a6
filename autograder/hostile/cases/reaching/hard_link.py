"""Hands in a hard link to a file of the host.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: hard link|was set aside
"""
# %%
try:
    print(open("data.txt").read())
except OSError as error:
    print("refused: hard link", type(error).__name__)
# %% build
import os

os.link(HOST_FILE, folder / "data.txt")
