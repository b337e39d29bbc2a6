"""Accepts negative and zero sizes."""


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    peak_flops = peak_flops or 1
    gained = flops_per_token * bandwidth - kv_bytes * peak_flops
    if gained <= 0:
        return None
    return int(-(-weight_bytes * peak_flops // gained))
