"""row by row into a new array"""
import numpy as np


def embed(token_ids, embedding):
    vocab, d = embedding.shape
    rows = np.empty((len(token_ids), d), dtype=embedding.dtype)
    for n, i in enumerate(token_ids):
        if i < 0 or i >= vocab:
            raise IndexError(f"id {i} is not in 0..{vocab - 1}")
        rows[n] = embedding[i]
    return rows
