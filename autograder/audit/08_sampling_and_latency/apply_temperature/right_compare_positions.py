"""Compares positions with the argmax."""


def apply_temperature(logits, t):
    if t < 0:
        raise ValueError("t is " + repr(t))
    x = np.array(logits, dtype=float)
    if t:
        x /= t
        return x
    x[np.arange(x.shape[-1]) != x.argmax(-1)[..., None]] = -np.inf
    return x
