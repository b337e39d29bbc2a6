"""Subtracts 8 from every nibble, as for an offset code."""
def unpack_int4(packed):
    u = np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], 2 * packed.shape[-1]).astype(np.int8)
    return u - np.int8(8)
