"""Reads the weights once for every sequence: batching gains nothing."""


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    if flops_per_token <= 0 or weight_bytes <= 0 or kv_bytes < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=}")
    compute, read = flops_per_token / peak_flops, (weight_bytes + kv_bytes) / bandwidth
    return 1 if compute >= read else None
