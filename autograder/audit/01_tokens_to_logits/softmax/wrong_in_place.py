"""changes its input"""
import numpy as np


def softmax(logits, axis=-1):
    z = np.asarray(logits) if not np.issubdtype(np.asarray(logits).dtype, np.floating) else logits
    z = np.asarray(z) * 1.0 if z.dtype.kind != "f" else z
    z -= z.max(axis=axis, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)
