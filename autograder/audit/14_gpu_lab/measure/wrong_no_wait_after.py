"""Reads the clock when the work is queued, not when it is done."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        run()
        seconds.append(clock() - start)
    return seconds
