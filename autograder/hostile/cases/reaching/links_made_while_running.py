"""Replaces its notebook and its folder's files by links to the host's while it runs.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: test_kv_cache_bytes: .*NotImplementedError
"""
# %%
import os
from pathlib import Path

for path in Path(".").glob("*"):
    try:
        path.unlink()
        path.symlink_to(HOST_FILE)
    except OSError:
        pass
os.symlink("/", "root")
os.symlink(HOST_CLASS, "class")
