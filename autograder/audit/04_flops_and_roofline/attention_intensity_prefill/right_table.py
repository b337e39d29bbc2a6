"""Adds up a list of (FLOPs, reads, writes), one entry per step."""
def attention_intensity_prefill(n, d, bytes_per=2):
    if not (n >= 1 and d >= 1 and bytes_per > 0):
        raise ValueError(f"no such attention: {n} tokens, head size {d}, {bytes_per} bytes")
    rows = n
    steps = [
        (2 * rows * n * d, rows * d + n * d, rows * n),
        (0, rows * n, rows * n),
        (2 * rows * n * d, rows * n + n * d, rows * d),
    ]
    flops, reads, writes = (sum(column) for column in zip(*steps))
    return flops / bytes_per / (reads + writes)
