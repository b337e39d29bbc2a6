"""Returns a float where users are whole"""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    if free_bytes < 0 or context < 1 or kv_bytes_per <= 0:
        raise ValueError(f"got {free_bytes}, {context}, {kv_bytes_per}")
    return float(free_bytes // (kv_bytes_per_token(config, kv_bytes_per) * context))
