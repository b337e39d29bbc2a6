"""believes it and does not look"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    return True
