"""overwrites the verdict in the loop, so that the last comparison decides"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    same = True
    first = step_kv(ids[: t + 1])
    for n in range(t + 2, len(ids) + 1):
        for x, y in zip(first, step_kv(ids[:n])):
            same = np.allclose(x[..., t, :], y[..., t, :], rtol=1e-5, atol=1e-6)
    return bool(same)
