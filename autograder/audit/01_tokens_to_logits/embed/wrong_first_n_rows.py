"""returns the first N rows, by position instead of by id"""
import numpy as np


def embed(token_ids, embedding):
    ids = np.asarray(token_ids, dtype=int)
    if ids.size and (ids.min() < 0 or ids.max() >= len(embedding)):
        raise IndexError(f"{ids} out of range")
    return embedding[: len(ids)].copy()
