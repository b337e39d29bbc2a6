"""Asks the engine's accounting for each row."""
def capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    from mini_engine import accounting

    rows = accounting.capacity_table(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp)
    return {key: rows[key] for key in sorted(rows)}
