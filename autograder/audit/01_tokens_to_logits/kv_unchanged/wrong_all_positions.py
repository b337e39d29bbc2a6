"""compares all shared positions and not the one asked about"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    for n in range(t + 2, len(ids) + 1):
        for x, y in zip(step_kv(ids[: n - 1]), step_kv(ids[:n])):
            if not np.allclose(x, y[..., :-1, :], rtol=1e-5, atol=1e-6):
                return False
    return True
