"""Leaves out the batch that takes exactly tpot_ms"""
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    if min(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms) <= 0:
        raise ValueError(f"got {weight_bytes}, {kv_bytes_per_request}, {bandwidth}, {tpot_ms}")
    return max(0, math.ceil((bandwidth * tpot_ms / 1000 - weight_bytes) / kv_bytes_per_request) - 1)
