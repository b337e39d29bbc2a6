"""Finds the reason itself and does all arithmetic in GB."""
def capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    if tp < 1 or config.num_key_value_heads % tp or gpu_bytes <= 0 or context < 1:
        raise ValueError(f"no plan for tp={tp}, {gpu_bytes} bytes, {context} tokens")
    table = dict(parameters=parameter_count(config), message="")
    table["parameter_memory_gb"] = weight_bytes(config, weight_bytes_per) * 1e-9
    table["kv_per_request_gb"] = kv_bytes_per_token(config, kv_bytes_per) * context * 1e-9
    free = tp * gpu_bytes * 1e-9 - table["parameter_memory_gb"]
    table["max_batch"] = max(0, math.floor(free / table["kv_per_request_gb"]))
    if free < 0:
        table["message"] = f"weights are {-free:.2f} GB too large"
    elif table["max_batch"] == 0:
        table["message"] = f"{free:.2f} GB are too little for a request"
    return table
