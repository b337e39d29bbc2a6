"""NumPy's median, percentiles of 0 and 100."""


def result_row(name, seconds, num_bytes, bandwidth, batch=1):
    if len(seconds) == 0 or min(seconds) <= 0 or bandwidth <= 0 or batch < 1:
        raise ValueError(f"{seconds=}, {bandwidth=}, {batch=}")
    median, floor = float(np.median(np.asarray(seconds))), float(num_bytes / bandwidth)
    return {
        "name": name,
        "median_ms": 1e3 * median,
        "min_ms": 1e3 * float(np.percentile(seconds, 0)),
        "max_ms": 1e3 * float(np.percentile(seconds, 100)),
        "tokens_per_s": batch / median,
        "floor_ms": 1e3 * floor,
        "share": floor / median,
    }
