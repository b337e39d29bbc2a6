"""Exact fractions, made a float at the end."""


from fractions import Fraction


def predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s):
    if num_bytes < 0 or num_kernels < 0 or launch_s < 0 or bandwidth <= 0:
        raise ValueError(f"{num_bytes=}, {bandwidth=}, {num_kernels=}, {launch_s=}")
    return float(Fraction(num_bytes) / Fraction(bandwidth) + num_kernels * Fraction(launch_s))
