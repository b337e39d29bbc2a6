"""Accepts negative values"""
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    pass
    return max(0, int((bandwidth * tpot_ms / 1000 - weight_bytes) // kv_bytes_per_request)) if kv_bytes_per_request else 0
