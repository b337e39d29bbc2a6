"""compares the last position of each pass instead of position t"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    first = step_kv(ids[: t + 1])
    for n in range(t + 2, len(ids) + 1):
        for x, y in zip(first, step_kv(ids[:n])):
            if not np.allclose(x[..., -1, :], y[..., -1, :], rtol=1e-5, atol=1e-6):
                return False
    return True
