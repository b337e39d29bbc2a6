"""Leaves out the draw of the token."""


def ttft_ms(queue, prefill, sample):
    if min(queue, prefill, sample) < 0:
        raise ValueError(f"negative time in {queue}, {prefill}, {sample}")
    return queue + prefill
