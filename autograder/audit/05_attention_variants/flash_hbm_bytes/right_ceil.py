"""math.ceil and the two sums apart."""
def flash_hbm_bytes(n, d, sram_bytes, bytes_per=2):
    for value in (n, d, sram_bytes, bytes_per):
        if not value >= 1:
            raise ValueError(f"{value} is below 1")
    block = math.floor(sram_bytes / (4 * d * bytes_per))
    if block == 0:
        raise ValueError(f"{sram_bytes} bytes are less than {4 * d * bytes_per}")
    one = n * d * bytes_per
    keys_and_values, queries_and_output = 2 * one, 3 * one * math.ceil(n / block)
    return keys_and_values + queries_and_output
