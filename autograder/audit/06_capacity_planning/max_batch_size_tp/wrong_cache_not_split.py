"""Splits the weights but keeps the whole cache on every GPU"""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1:
        raise ValueError(f"tp is {tp}")
    if config.num_key_value_heads % tp:
        raise ValueError(f"tp={tp}: KV heads would have to be replicated")
    free = gpu_bytes - weight_bytes(config, weight_bytes_per) / tp
    return BatchSize(max(0, int(free // (kv_bytes_per_token(config, kv_bytes_per) * context))))
