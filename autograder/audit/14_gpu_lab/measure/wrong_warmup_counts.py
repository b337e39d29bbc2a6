"""Keeps the durations of the warm-up too."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    seconds = []
    for _ in range(warmup + repeats):
        synchronize()
        start = clock()
        run()
        synchronize()
        seconds.append(clock() - start)
    return seconds
