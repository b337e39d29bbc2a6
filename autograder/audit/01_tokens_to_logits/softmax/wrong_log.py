"""returns log-probabilities"""
import numpy as np


def softmax(logits, axis=-1):
    z = np.asarray(logits)
    z = z - z.max(axis=axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis=axis, keepdims=True))
