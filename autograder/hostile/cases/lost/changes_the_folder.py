"""Changes the working folder and writes files of its own.

answers: kv_bytes_per_token Decoder
score: kv_bytes_per_token=3 Decoder=6
note: written
"""
# %%
import os
from pathlib import Path

Path("results").mkdir(exist_ok=True)
Path("results/notes.txt").write_text("written")
print(Path("results/notes.txt").read_text())
os.chdir("/tmp")
Path("more.txt").write_text("written")
Path("more.txt").unlink()
