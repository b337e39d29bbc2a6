"""Adds requests while the step stays fast enough."""
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    for value in (weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
        if not value > 0:
            raise ValueError(f"{value} is not above zero")
    batch = 0
    while weight_bytes + (batch + 1) * kv_bytes_per_request <= bandwidth * tpot_ms / 1000:
        batch += 1
    return batch
