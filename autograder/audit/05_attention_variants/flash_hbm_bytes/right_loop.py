"""Walks over the key blocks and adds what each moves."""
def flash_hbm_bytes(n, d, sram_bytes, bytes_per=2):
    if min(n, d, sram_bytes, bytes_per) <= 0:
        raise ValueError(f"sizes {n}, {d}, {sram_bytes}, {bytes_per}")
    row = d * bytes_per
    rows = sram_bytes // 4 // row
    if not rows:
        raise ValueError(f"SRAM of {sram_bytes} bytes is too small")
    moved = 0
    for start in range(0, n, rows):
        moved += 2 * min(rows, n - start) * row + 3 * n * row
    return moved
