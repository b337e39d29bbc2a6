"""Reads the larger of the two, as if both were read at once for free"""
def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    if weight_bytes < 0 or kv_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"got {weight_bytes}, {kv_bytes}, {bandwidth}")
    return 1000 * max(weight_bytes, kv_bytes) / bandwidth
