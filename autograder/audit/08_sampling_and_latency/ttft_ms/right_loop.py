"""Adds the parts up in a loop."""


def ttft_ms(queue, prefill, sample):
    total = 0
    for name, part in (("queue", queue), ("prefill", prefill), ("sample", sample)):
        if part < 0:
            raise ValueError(f"{name} is {part}")
        total += part
    return total
