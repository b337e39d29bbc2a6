"""Refuses an empty cache"""
def tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1):
    if weight_bytes <= 0 or kv_bytes <= 0 or bandwidth <= 0 or batch < 1:
        raise ValueError(f"got {weight_bytes}, {kv_bytes}, {bandwidth}, {batch}")
    return batch * bandwidth / (weight_bytes + kv_bytes)
