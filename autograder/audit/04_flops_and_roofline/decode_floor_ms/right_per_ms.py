"""Converts the bandwidth to bytes per millisecond."""
def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    for value in (weight_bytes, kv_bytes):
        if value < 0:
            raise ValueError(f"negative bytes: {value}")
    if bandwidth <= 0:
        raise ValueError(f"bandwidth {bandwidth}")
    return (weight_bytes + kv_bytes) / (bandwidth / 1000)
