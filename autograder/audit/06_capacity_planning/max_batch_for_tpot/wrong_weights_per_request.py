"""Reads the weights once per request: no reuse"""
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    if min(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms) <= 0:
        raise ValueError(f"got {weight_bytes}, {kv_bytes_per_request}, {bandwidth}, {tpot_ms}")
    return int(bandwidth * tpot_ms / 1000 // (weight_bytes + kv_bytes_per_request))
