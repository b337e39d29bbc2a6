"""Divides in place and so changes the caller's logits."""


def apply_temperature(logits, t):
    if t < 0:
        raise ValueError(f"negative temperature {t}")
    x = np.asarray(logits)
    if t > 0:
        x /= t
        return x
    return np.where(np.arange(x.shape[-1]) == x.argmax(-1, keepdims=True), x, -np.inf)
