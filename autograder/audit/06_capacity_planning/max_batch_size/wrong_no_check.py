"""Accepts a context of 0 and negative memory"""
def max_batch_size(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2):
    weights = parameter_count(config) * weight_bytes_per
    request = kv_bytes_per_token(config, kv_bytes_per) * context
    return max(0, int((gpu_bytes - weights) // request)) if request else 0
