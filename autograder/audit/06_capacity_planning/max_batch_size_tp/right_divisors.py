"""Lists the allowed splits first."""
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    kv_heads = config.num_key_value_heads
    allowed = [n for n in range(1, kv_heads + 1) if kv_heads % n == 0]
    if tp not in allowed:
        raise ValueError(f"tp {tp} is not one of {allowed}; beyond these, engines replicate KV heads on the GPUs")
    return max_batch_size(config, gpu_bytes * tp, context, kv_bytes_per=kv_bytes_per, weight_bytes_per=weight_bytes_per)
