"""Looks at the shares of a single GPU."""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1:
        raise ValueError(f"tp is {tp}")
    if config.num_key_value_heads % tp:
        raise ValueError(f"tp={tp}: KV heads would have to be replicated")
    if gpu_bytes <= 0 or context < 1:
        raise ValueError(f"got {gpu_bytes}, {context}")
    free = gpu_bytes - weight_bytes(config, weight_bytes_per) / tp
    heads = config.num_key_value_heads // tp
    request = 2 * config.num_hidden_layers * heads * config.head_dim * kv_bytes_per * context
    return BatchSize(max(0, free // request), "" if free >= request else "the weights or a request are too large")
