"""Changes into a folder of its own and removes it, so that there is no working folder.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3
note: -
"""
# %%
import os

os.makedirs("gone", exist_ok=True)
os.chdir("gone")
os.rmdir("../gone")
