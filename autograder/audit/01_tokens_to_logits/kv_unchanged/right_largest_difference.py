"""the largest difference against its tolerance"""
import numpy as np


def kv_unchanged(step_kv, ids, t):
    if t < 0 or t >= len(ids):
        raise IndexError(f"t={t} of {len(ids)}")
    versions = [np.concatenate([array[..., t, :].ravel() for array in step_kv(ids[:n])]) for n in range(t + 1, len(ids) + 1)]
    off = np.abs(np.stack(versions) - versions[0])
    return bool((off <= 1e-6 + 1e-5 * np.abs(versions[0])).all())
