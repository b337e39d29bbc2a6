"""Loops over positions and tokens."""


def check_logits(logits, oracle, tolerance=1e-4):
    if np.shape(logits) != np.shape(oracle) or np.size(oracle) == 0:
        raise ValueError(f"shapes {np.shape(logits)} and {np.shape(oracle)}")
    worst, scale, same = 0.0, 0.0, 0
    for row, want in zip(np.asarray(logits, float).tolist(), np.asarray(oracle, float).tolist(), strict=True):
        for a, b in zip(row, want, strict=True):
            worst = max(worst, abs(a - b)) if abs(a - b) == abs(a - b) and worst == worst else float("nan")
            scale = max(scale, abs(b))
        same += row.index(max(row)) == want.index(max(want))
    if scale == 0:
        raise ValueError("the oracle is 0")
    return {
        "relative_error": worst / scale,
        "agreement": same / len(oracle),
        "passed": bool(worst <= tolerance * scale) or worst / scale <= tolerance,
    }
