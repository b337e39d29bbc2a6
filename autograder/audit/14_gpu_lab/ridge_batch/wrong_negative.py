"""Does not notice that there is no ridge: the batch is negative."""


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    if flops_per_token <= 0 or weight_bytes <= 0 or kv_bytes < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=}")
    gained = flops_per_token * bandwidth - kv_bytes * peak_flops
    return int(-(-weight_bytes * peak_flops // gained)) if gained else None
