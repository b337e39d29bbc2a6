"""Counts the users of a 16-bit cache and multiplies by 2 / kv_bytes_per"""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    if free_bytes < 0 or context < 1 or kv_bytes_per <= 0:
        raise ValueError(f"got {free_bytes}, {context}, {kv_bytes_per}")
    return int(free_bytes // (kv_bytes_per_token(config) * context) * 2 / kv_bytes_per)
