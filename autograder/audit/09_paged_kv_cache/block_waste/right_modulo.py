"""Finds the waste first, by a negative remainder."""
def block_waste(lengths, block_size):
    if block_size < 1:
        raise ValueError(f"block_size {block_size}")
    lengths = [int(n) for n in lengths]
    if lengths and min(lengths) < 0:
        raise ValueError(f"length {min(lengths)}")
    waste = [-n % block_size for n in lengths]
    return [n + w for n, w in zip(lengths, waste)], waste
