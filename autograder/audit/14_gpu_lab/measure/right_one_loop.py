"""One loop for warm-up and measurement."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    seconds = []
    for i in range(warmup + repeats):
        synchronize()
        start = clock()
        run()
        synchronize()
        stop = clock()
        if i >= warmup:
            seconds.append(stop - start)
    return seconds
