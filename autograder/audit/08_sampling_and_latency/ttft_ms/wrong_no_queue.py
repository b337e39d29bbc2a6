"""Leaves out the time in the queue."""


def ttft_ms(queue, prefill, sample):
    if min(queue, prefill, sample) < 0:
        raise ValueError(f"negative time in {queue}, {prefill}, {sample}")
    return prefill + sample
