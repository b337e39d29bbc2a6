"""Accepts a tp of 0 or below until Python divides by it"""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if config.num_key_value_heads % tp:
        raise ValueError(f"tp={tp}: KV heads would have to be replicated")
    return max_batch_size(config, abs(tp) * gpu_bytes, context, weight_bytes_per, kv_bytes_per)
