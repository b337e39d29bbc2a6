"""Names every argument it refuses, and reads at seconds per byte."""


def predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s):
    for name, value in {"num_bytes": num_bytes, "num_kernels": num_kernels, "launch_s": launch_s}.items():
        if value < 0:
            raise ValueError(f"{name} is {value}")
    if not bandwidth > 0:
        raise ValueError(f"bandwidth is {bandwidth}")
    seconds_per_byte = 1 / bandwidth
    return math.fsum((num_bytes * seconds_per_byte, num_kernels * launch_s))
