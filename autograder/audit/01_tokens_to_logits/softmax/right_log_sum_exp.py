"""the exponential of the log-softmax"""
import numpy as np


def softmax(logits, axis=-1):
    z = np.asarray(logits)
    top = np.max(z, axis=axis, keepdims=True)
    log_sum = top + np.log(np.sum(np.exp(z - top), axis=axis, keepdims=True))
    return np.exp(z - log_sum)
