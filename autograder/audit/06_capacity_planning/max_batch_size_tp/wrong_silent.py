"""Refuses without saying what real engines do"""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1:
        raise ValueError(f"tp is {tp}")
    if config.num_key_value_heads % tp:
        raise ValueError(f"tp={tp}: not allowed")
    return max_batch_size(config, tp * gpu_bytes, context, weight_bytes_per, kv_bytes_per)
