"""Divides floats: counts above 2**53 lose their last digits."""
def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    import math

    if n_params < 0 or bits < 1 or scale_bytes < 0 or zero_bytes < 0 or (group_size is not None and group_size < 1):
        raise ValueError(f"no: {group_size}")
    groups = 0 if group_size is None else math.ceil(n_params / group_size)
    return int(math.ceil(n_params * bits / 8) + groups * (scale_bytes + zero_bytes))
