"""Does not wait before it starts the clock: the first duration holds the warm-up."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        start = clock()
        run()
        synchronize()
        seconds.append(clock() - start)
    return seconds
