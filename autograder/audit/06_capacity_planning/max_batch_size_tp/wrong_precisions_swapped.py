"""Swaps the precisions of weights and cache"""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1:
        raise ValueError(f"tp is {tp}")
    if config.num_key_value_heads % tp:
        raise ValueError(f"tp={tp}: KV heads would have to be replicated")
    return max_batch_size(config, tp * gpu_bytes, context, kv_bytes_per, weight_bytes_per)
