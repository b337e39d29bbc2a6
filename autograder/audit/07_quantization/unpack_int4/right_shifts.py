"""Lets arithmetic shifts of int8 extend the sign."""
def unpack_int4(packed):
    signed = packed.view(np.int8)
    low = np.left_shift(signed, 4) >> 4
    return np.stack([low, signed >> 4], axis=-1).reshape(packed.shape[:-1] + (2 * packed.shape[-1],))
