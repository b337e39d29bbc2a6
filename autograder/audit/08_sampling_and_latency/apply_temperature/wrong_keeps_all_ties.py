"""Keeps every maximum at temperature 0, so that greedy is a draw among ties."""


def apply_temperature(logits, t):
    if t < 0:
        raise ValueError(f"negative temperature {t}")
    x = np.asarray(logits, dtype=float)
    return x / t if t > 0 else np.where(x == x.max(axis=-1, keepdims=True), x, -np.inf)
