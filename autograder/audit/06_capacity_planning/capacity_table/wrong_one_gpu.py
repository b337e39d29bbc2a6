"""Ignores tp in the batch"""
def capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    batch = max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp)
    return {
        "parameters": parameter_count(config),
        "parameter_memory_gb": weight_bytes(config, weight_bytes_per) / 1e9,
        "kv_per_request_gb": kv_bytes_per_token(config, kv_bytes_per) * context / 1e9,
        "max_batch": int(max_batch_size(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per)),
        "message": batch.message,
    }
