"""Leaves NumPy numbers in the row: JSON refuses some and the file has others."""


def result_row(name, seconds, num_bytes, bandwidth, batch=1):
    if len(seconds) == 0 or min(seconds) <= 0 or bandwidth <= 0 or batch < 1:
        raise ValueError(f"{seconds=}, {bandwidth=}, {batch=}")
    median, floor = (np.float64(statistics.median(seconds))), (num_bytes / bandwidth)
    return {
        "name": name,
        "median_ms": 1e3 * median,
        "min_ms": 1e3 * (np.float64(min(seconds))),
        "max_ms": 1e3 * (np.float64(max(seconds))),
        "tokens_per_s": batch / median,
        "floor_ms": 1e3 * floor,
        "share": floor / median,
    }
