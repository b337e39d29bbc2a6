"""Divides each difference by its own logit: small logits make a large error."""


def check_logits(logits, oracle, tolerance=1e-4):
    if np.shape(logits) != np.shape(oracle):
        raise ValueError("shapes differ")
    difference = np.subtract(logits, oracle, dtype=np.float64)
    scale = float(np.abs(oracle).max())
    if scale == 0:
        raise ValueError("zeros")
    error = float(np.max(np.abs(difference) / np.maximum(np.abs(np.asarray(oracle, float)), 1e-30)))
    agreement = float(np.mean(np.argmax(logits, -1) == np.argmax(oracle, -1)))
    return {"relative_error": error, "agreement": agreement, "passed": bool(error <= tolerance)}
