"""demands bitwise equality and takes rounding for a change"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    first = step_kv(ids[: t + 1])
    for n in range(t + 2, len(ids) + 1):
        for x, y in zip(first, step_kv(ids[:n])):
            if not np.array_equal(x[..., t, :], y[..., t, :]):
                return False
    return True
