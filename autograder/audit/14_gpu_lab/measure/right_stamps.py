"""Waits once before, then takes a stamp after each run; neighbours' differences are the durations."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    for _ in range(warmup):
        run()
    synchronize()
    stamps = [clock()]
    for _ in range(repeats):
        run()
        synchronize()
        stamps.append(clock())
    return [b - a for a, b in zip(stamps, stamps[1:])]
