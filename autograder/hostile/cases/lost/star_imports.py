"""Imports everything from numpy and math, which hides Python's own sum, abs, any and round.

answers: kv_bytes_per_token tokens_processed cache_work_ratio
score: kv_bytes_per_token=3 tokens_processed=3 cache_work_ratio=2
note: -
"""
# %%
from math import *
from numpy import *
