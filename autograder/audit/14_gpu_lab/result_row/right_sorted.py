"""Sorts a copy and takes the middle."""


def result_row(name, seconds, num_bytes, bandwidth, batch=1):
    ordered = sorted(float(s) for s in seconds)
    if not ordered or ordered[0] <= 0 or not bandwidth > 0 or batch < 1:
        raise ValueError(f"{ordered}, {bandwidth}, {batch}")
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    middle = 500.0 * (low + high)
    floor = 1000.0 * float(num_bytes) / float(bandwidth)
    row = {"name": name, "median_ms": middle, "min_ms": 1000.0 * ordered[0], "max_ms": 1000.0 * ordered[-1]}
    return row | {"tokens_per_s": 1000.0 * batch / middle, "floor_ms": floor, "share": floor / middle}
