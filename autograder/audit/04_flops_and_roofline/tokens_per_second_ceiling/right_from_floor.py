"""Starts from decode_floor_ms."""
def tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1):
    if batch < 1 or weight_bytes <= 0:
        raise ValueError(f"batch {batch}, weight_bytes {weight_bytes}")
    return batch * 1000 / decode_floor_ms(weight_bytes, kv_bytes, bandwidth)
