"""Raises the recursion limit far above what is safe.

answers: kv_cache_bytes
score: tokens_processed=3 kv_cache_bytes=3
note: -
"""
# %% tokens_processed
import sys

sys.setrecursionlimit(10**6)

def tokens_processed(prompt, new, cached):
    if prompt < 1 or new < 0:
        raise ValueError(f"got {prompt if prompt < 1 else new}")
    if new == 0:
        return 0
    if cached:
        return prompt + new - 1
    return (prompt + new - 1) + (tokens_processed(prompt, new - 1, cached) if new <= 2000 else (new - 1) * prompt + (new - 1) * (new - 2) // 2)
