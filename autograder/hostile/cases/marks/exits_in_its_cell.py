"""Ends the process in a solution cell, so that no test below it can fail.

score: kv_bytes_per_token=3
answers: kv_bytes_per_token
note: test_kv_cache_bytes: .*(ended|did not run)
"""
# %% kv_cache_bytes
import os

os._exit(0)
