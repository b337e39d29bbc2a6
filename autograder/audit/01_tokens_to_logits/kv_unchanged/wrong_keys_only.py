"""compares K and forgets V"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    first, _ = step_kv(ids[: t + 1])
    for n in range(t + 2, len(ids) + 1):
        k, _ = step_kv(ids[:n])
        if not np.allclose(first[..., t, :], k[..., t, :], rtol=1e-5, atol=1e-6):
            return False
    return True
