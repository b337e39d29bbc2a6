"""Asks first how many tokens fit, then how many users."""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    if free_bytes < 0:
        raise ValueError(f"negative memory: {free_bytes}")
    if context < 1:
        raise ValueError(f"a context of {context}")
    if kv_bytes_per <= 0:
        raise ValueError(f"{kv_bytes_per} bytes per number")
    tokens = int(free_bytes // kv_bytes_per_token(config, kv_bytes_per))
    return tokens // context
