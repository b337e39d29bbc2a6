"""divmod, and the scales counted in bits."""
def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    n = int(n_params)
    for value in (n, scale_bytes, zero_bytes):
        if value < 0:
            raise ValueError("negative size: " + str(value))
    if bits <= 0:
        raise ValueError("bits: " + str(bits))
    whole, rest = divmod(n * bits, 8)
    total = whole + (1 if rest else 0)
    if group_size is None:
        return total
    if group_size <= 0:
        raise ValueError("group_size: " + str(group_size))
    full, rest = divmod(n, group_size)
    return total + (full + bool(rest)) * (scale_bytes + zero_bytes)
