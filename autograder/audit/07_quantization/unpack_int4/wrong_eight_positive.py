"""Treats the nibble 1000 as +8: off by one in the sign test."""
def unpack_int4(packed):
    u = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], 2 * packed.shape[-1]).astype(np.int8)
    return np.where(u > 8, u - 16, u).astype(np.int8)
