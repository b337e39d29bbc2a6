"""Rounds up: counts the request that does not fit"""
def max_batch_size(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2):
    if gpu_bytes <= 0 or context < 1 or weight_bytes_per <= 0 or kv_bytes_per <= 0:
        raise ValueError(f"got {gpu_bytes}, {context}, {weight_bytes_per}, {kv_bytes_per}")
    weights = parameter_count(config) * weight_bytes_per
    request = kv_bytes_per_token(config, kv_bytes_per) * context
    return max(0, math.ceil((gpu_bytes - weights) / request))
