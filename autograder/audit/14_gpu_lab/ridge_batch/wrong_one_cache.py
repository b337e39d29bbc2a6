"""Counts one cache for the whole batch."""


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    if flops_per_token <= 0 or weight_bytes <= 0 or kv_bytes < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=}")
    return int(-(-(weight_bytes + kv_bytes) * peak_flops // (flops_per_token * bandwidth)))
