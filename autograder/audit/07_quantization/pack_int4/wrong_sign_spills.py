"""Joins without masking: the sign bits of a negative first number spill over its neighbour."""
def pack_int4(q):
    if q.shape[-1] % 2 or (q.size and (q.min() < -8 or q.max() > 7)):
        raise ValueError("does not fit")
    return (q[..., 0::2] | (q[..., 1::2] << 4)).astype(np.uint8)
