"""Starts the clock once: each duration holds the runs before it."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    for _ in range(warmup):
        run()
    seconds = []
    synchronize()
    start = clock()
    for _ in range(repeats):
        run()
        synchronize()
        seconds.append(clock() - start)
    return seconds
