"""Calls sys.exit() in a free cell in the middle.

answers: kv_bytes_per_token kv_cache_bytes
score: kv_bytes_per_token=3 kv_cache_bytes=3
note: SystemExit
"""
# %%
import sys

sys.exit(0)
