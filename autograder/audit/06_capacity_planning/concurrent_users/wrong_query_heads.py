"""Counts a cache for every query head"""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    if free_bytes < 0 or context < 1 or kv_bytes_per <= 0:
        raise ValueError(f"got {free_bytes}, {context}, {kv_bytes_per}")
    return int(free_bytes // (2 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * kv_bytes_per * context))
