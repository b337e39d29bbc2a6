"""collects all versions and compares them with the first"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    k0, v0 = (np.take(array, t, axis=-2) for array in step_kv(ids[: t + 1]))
    same = []
    for n in range(t + 2, len(ids) + 1):
        k, v = (np.take(array, t, axis=-2) for array in step_kv(ids[:n]))
        same.append(np.allclose(k0, k, rtol=1e-5, atol=1e-6) and np.allclose(v0, v, rtol=1e-5, atol=1e-6))
    return all(same)
