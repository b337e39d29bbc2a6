"""Splits KV heads in parts"""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1:
        raise ValueError(f"tp is {tp}")
    return max_batch_size(config, tp * gpu_bytes, context, weight_bytes_per, kv_bytes_per)
