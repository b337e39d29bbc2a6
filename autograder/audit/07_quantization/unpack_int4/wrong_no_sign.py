"""Loses the sign: 15 instead of -1."""
def unpack_int4(packed):
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(*packed.shape[:-1], -1).astype(np.int8)
