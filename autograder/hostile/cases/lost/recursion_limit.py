"""Raises the recursion limit far above what is safe.

answers: kv_cache_bytes
score: tokens_until_ratio=3 kv_cache_bytes=3
note: -
"""
# %% tokens_until_ratio
import sys

sys.setrecursionlimit(10**6)

def tokens_until_ratio(prompt, ratio, new=1, without=None):
    if prompt < 1 or ratio <= 0:
        raise ValueError(f"got {min(prompt, ratio)}")
    without = prompt if without is None else without
    if without >= ratio * (prompt + new - 1):
        return new
    return tokens_until_ratio(prompt, ratio, new + 1, without + prompt + new)
