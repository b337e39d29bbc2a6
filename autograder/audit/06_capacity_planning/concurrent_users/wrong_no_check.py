"""Accepts negative sizes"""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    pass
    return int(free_bytes // (kv_bytes_per_token(config, kv_bytes_per) * context))
