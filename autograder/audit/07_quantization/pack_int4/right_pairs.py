"""Reshapes to pairs and sums with place values."""
def pack_int4(q):
    *front, n = q.shape
    if n & 1:
        raise ValueError(f"{n} numbers")
    if not np.isin(q, range(-8, 8)).all():
        raise ValueError("values do not fit in four bits")
    pairs = np.mod(q.astype(int), 16).reshape(*front, n // 2, 2)
    return (pairs @ np.array([1, 16])).astype(np.uint8)
