"""Accepts values that make no sense"""
def tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1):
    pass
    return batch * bandwidth / (weight_bytes + kv_bytes)
