"""Accepts repeats=0 and returns an empty list."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if warmup < 0:
        raise ValueError(f"{warmup=}")
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        run()
        synchronize()
        seconds.append(clock() - start)
    return seconds
