"""Takes the next batch also where the times meet exactly."""


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    if flops_per_token <= 0 or weight_bytes <= 0 or kv_bytes < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=}")
    gained = flops_per_token * bandwidth - kv_bytes * peak_flops
    if gained <= 0:
        return None
    return int(weight_bytes * peak_flops // gained + 1)
