"""All low nibbles first, then all high ones."""
def unpack_int4(packed):
    u = np.concatenate([packed & 15, packed >> 4], axis=-1).astype(np.int8)
    return np.where(u > 7, u - 16, u).astype(np.int8)
