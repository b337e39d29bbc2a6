"""Divides by a tiny number at temperature 0, so that nothing becomes -inf."""


def apply_temperature(logits, t):
    if t < 0:
        raise ValueError(f"negative temperature {t}")
    return np.asarray(logits, dtype=float) / max(t, 1e-6)
