"""Adds two calls of read_seconds."""
def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    pass
    return 1e3 * (read_seconds(weight_bytes, bandwidth) + read_seconds(kv_bytes, bandwidth))
