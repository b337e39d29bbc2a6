"""Counts the launches alone."""


def predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s):
    if num_bytes < 0 or num_kernels < 0 or launch_s < 0 or bandwidth <= 0:
        raise ValueError(f"{num_bytes=}, {bandwidth=}, {num_kernels=}, {launch_s=}")
    return num_kernels * launch_s
