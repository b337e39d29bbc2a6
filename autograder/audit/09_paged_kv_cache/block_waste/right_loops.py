"""Fills blocks one by one."""
def block_waste(lengths, block_size):
    if block_size <= 0:
        raise ValueError("block_size " + str(block_size))
    allocated, waste = [], []
    for length in lengths:
        length = int(length)
        if length < 0:
            raise ValueError("length " + str(length))
        full, rest = divmod(length, block_size)
        slots = (full + (rest > 0)) * block_size
        allocated.append(slots)
        waste.append(slots - length)
    return allocated, waste
