"""Takes the mean error: one wrong logit among many disappears."""


def check_logits(logits, oracle, tolerance=1e-4):
    if np.shape(logits) != np.shape(oracle):
        raise ValueError("shapes differ")
    difference = np.subtract(logits, oracle, dtype=np.float64)
    scale = float(np.abs(oracle).max())
    if scale == 0:
        raise ValueError("zeros")
    error = float(np.abs(difference).mean()) / scale
    agreement = float(np.mean(np.argmax(logits, -1) == np.argmax(oracle, -1)))
    return {"relative_error": error, "agreement": agreement, "passed": bool(error <= tolerance)}
