"""Takes the ratio of the bytes: the bound where launches cost nothing."""


def predicted_gain(bytes_before, bytes_after, bandwidth, num_kernels, launch_s):
    if bytes_before <= 0 or bytes_after <= 0 or bandwidth <= 0 or num_kernels < 0 or launch_s < 0:
        raise ValueError(f"{bytes_before=}, {bytes_after=}, {bandwidth=}, {num_kernels=}, {launch_s=}")
    launches = num_kernels * launch_s
    return bytes_before / bytes_after
