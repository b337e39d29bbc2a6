"""Divides two times at a made-up bandwidth."""
def decode_speedup_bound(bytes_before, bytes_after):
    for n in (bytes_before, bytes_after):
        if not n > 0:
            raise ValueError(f"{n} bytes")
    bandwidth = 2.0**40
    return (bytes_before / bandwidth) / (bytes_after / bandwidth)
