"""compares the whole list only and misses a change on the way"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    a, b = step_kv(ids[: t + 1]), step_kv(ids)
    return all(np.allclose(x[..., t, :], y[..., t, :], rtol=1e-5, atol=1e-6) for x, y in zip(a, b))
