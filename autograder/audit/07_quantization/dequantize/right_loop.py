"""Goes through the groups one by one, in float64."""
def dequantize(q, scale, zero=None):
    if np.ndim(scale) == 0:
        return ((q.astype(float) - (0 if zero is None else float(zero))) * float(scale)).astype(np.float32)
    groups = len(scale)
    if q.shape[0] % groups != 0:
        raise ValueError("the groups do not divide the inputs: " + str(groups))
    parts = []
    for g, rows in enumerate(np.split(q.astype(float), groups)):
        parts.append((rows - (0 if zero is None else zero[g].astype(float))) * scale[g].astype(float))
    return np.concatenate(parts).astype(np.float32)
