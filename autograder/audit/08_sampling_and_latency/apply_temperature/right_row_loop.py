"""Works through the rows in a loop."""


def apply_temperature(logits, t):
    if t < 0:
        raise ValueError(f"t must be 0 or more, not {t}")
    x = np.asarray(logits, dtype=float)
    rows = []
    for row in x.reshape(-1, x.shape[-1]).tolist():
        best = row.index(max(row))
        rows.append([z / t for z in row] if t > 0 else [z if i == best else -np.inf for i, z in enumerate(row)])
    return np.array(rows).reshape(x.shape)
