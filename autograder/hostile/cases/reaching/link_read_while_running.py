"""Hands in a link to a file of the host beside an honest notebook and prints what it points to.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: (was set aside|refused: link)
"""
# %%
try:
    print(open("data.txt").read(), open("more/notes.txt").read())
except OSError as error:
    print("refused: link", type(error).__name__)
# %% build
from pathlib import Path

(folder / "data.txt").symlink_to(HOST_FILE)
(folder / "more").symlink_to(HOST_FOLDER)
