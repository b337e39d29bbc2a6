"""Reads its own clock instead of the one that was given."""


def measure(run, synchronize, clock, warmup=3, repeats=10):
    if repeats < 1 or warmup < 0:
        raise ValueError(f"{repeats=}, {warmup=}")
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        synchronize()
        start = time.perf_counter()
        run()
        synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds
