"""Works through the rows in a loop."""


def min_p_filter(logits, min_p):
    import math

    if not 0 <= min_p <= 1:
        raise ValueError(f"out of range: {min_p}")
    x = np.asarray(logits, dtype=float)
    rows = []
    for row in x.reshape(-1, x.shape[-1]).tolist():
        top = max(row)
        rows.append([z if math.exp(z - top) >= min_p else -math.inf for z in row])
    return np.array(rows).reshape(x.shape)
