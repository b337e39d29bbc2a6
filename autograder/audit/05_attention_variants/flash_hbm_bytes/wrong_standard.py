"""Counts standard attention."""
def flash_hbm_bytes(n, d, sram_bytes, bytes_per=2):
    for size in (n, d, sram_bytes, bytes_per):
        if size < 1:
            raise ValueError(f"sizes must be at least 1, got {size}")
    rows = min(n, sram_bytes // (4 * d * bytes_per))
    if rows < 1:
        raise ValueError(f"{sram_bytes} bytes of SRAM do not hold four rows of {d} numbers")
    num_blocks = -(-n // rows)
    return int((4 * n * d + 4 * n * n) * bytes_per)
