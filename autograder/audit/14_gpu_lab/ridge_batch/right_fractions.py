"""Exact fractions and math.ceil."""


from fractions import Fraction


def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    if flops_per_token <= 0 or weight_bytes <= 0 or kv_bytes < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=}")
    compute = Fraction(flops_per_token) / Fraction(peak_flops)
    read_more = Fraction(kv_bytes) / Fraction(bandwidth)
    if compute <= read_more:
        return None
    return math.ceil(Fraction(weight_bytes) / Fraction(bandwidth) / (compute - read_more))
