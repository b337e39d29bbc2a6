"""Accepts negative numbers."""


def predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s):
    return num_bytes / bandwidth + num_kernels * launch_s if bandwidth else 0.0
