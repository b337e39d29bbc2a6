"""Pairs the first half of the row with the second half instead of neighbours."""
def pack_int4(q):
    if q.shape[-1] % 2 or (q.size and (q.min() < -8 or q.max() > 7)):
        raise ValueError("does not fit")
    n = (q & 15).astype(np.uint8)
    half = q.shape[-1] // 2
    return n[..., :half] | (n[..., half:] << 4)
