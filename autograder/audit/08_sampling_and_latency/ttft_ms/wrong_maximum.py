"""Takes the longest part instead of the sum."""


def ttft_ms(queue, prefill, sample):
    if min(queue, prefill, sample) < 0:
        raise ValueError(f"negative time in {queue}, {prefill}, {sample}")
    return max(queue, prefill, sample)
