"""Writes over what other students handed in, and makes submissions for students who have none.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: refused: write
"""
# %%
import glob
import os
import shutil

for path in glob.glob(HOST_CLASS + "/submitted/victim/**/*.ipynb", recursive=True) + [HOST_CLASS + "/submitted/victim/x.ipynb"]:
    try:
        with open(path, "w") as file:
            file.write("spoiled")
        print("REACHED", path)
    except OSError as error:
        print("refused: write", type(error).__name__)
shutil.rmtree(HOST_CLASS + "/submitted/victim", ignore_errors=True)
