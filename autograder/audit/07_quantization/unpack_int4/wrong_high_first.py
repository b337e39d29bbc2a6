"""High nibble first."""
def unpack_int4(packed):
    u = np.stack([packed >> 4, packed & 15], axis=-1).reshape(*packed.shape[:-1], 2 * packed.shape[-1]).astype(np.int8)
    return np.where(u > 7, u - 16, u).astype(np.int8)
