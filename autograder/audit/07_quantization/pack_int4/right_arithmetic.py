"""Arithmetic instead of bit operations."""
def pack_int4(q):
    if q.shape[-1] % 2 != 0:
        raise ValueError("an odd count cannot be paired")
    if np.any(q < -8) or np.any(q > 7):
        raise ValueError("outside -8..7")
    u = q.astype(np.int64) % 16
    return (u[..., ::2] + 16 * u[..., 1::2]).astype(np.uint8)
