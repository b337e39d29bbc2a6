"""Uses exact integers and divmod."""
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    for value, least in ((free_bytes, free_bytes >= 0), (context, context >= 1), (kv_bytes_per, kv_bytes_per > 0)):
        if not least:
            raise ValueError(f"{value} makes no sense here")
    numbers = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim
    users, _left = divmod(free_bytes, numbers * kv_bytes_per * context)
    return int(users)
