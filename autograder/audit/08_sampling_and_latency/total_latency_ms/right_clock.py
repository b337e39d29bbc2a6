"""Runs a clock token by token."""


def total_latency_ms(ttft, tpot, output_tokens):
    for value, least in ((ttft, 0), (tpot, 0), (output_tokens, 1)):
        if value < least:
            raise ValueError(f"{value} is below {least}")
    clock = ttft
    for _ in range(1, output_tokens):
        clock += tpot
    return clock
