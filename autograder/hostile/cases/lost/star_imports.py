"""Imports everything from numpy and math, which hides Python's own sum: its own answer is then no int.

answers: kv_bytes_per_token tokens_processed cache_work_ratio
score: kv_bytes_per_token=3 tokens_processed=0 cache_work_ratio=2
note: test_tokens_processed: .*return an int, not int64
"""
# %%
from math import *
from numpy import *
