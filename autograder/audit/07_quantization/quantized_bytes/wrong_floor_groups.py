"""Leaves out the scale of a last group that is not full."""
def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    if n_params < 0 or bits < 1 or scale_bytes < 0 or zero_bytes < 0 or (group_size is not None and group_size < 1):
        raise ValueError(f"no: {group_size}")
    n = int(n_params)
    groups = 0 if group_size is None else n // group_size
    return (n * bits + 7) // 8 + groups * (scale_bytes + zero_bytes)
