"""Accepts sizes of 0 and below."""


def predicted_gain(bytes_before, bytes_after, bandwidth, num_kernels, launch_s):
    bandwidth = bandwidth or 1
    launches = num_kernels * launch_s
    return (bytes_before / bandwidth + launches) / max(bytes_after / bandwidth + launches, 1e-300)
