"""Quantizes the weights first, although the caches are most of the bytes"""
def plan_70b():
    gpus, kv, weights = 8, kv_bytes_per_token(LLAMA_3_70B) * 8192, 2 * parameter_count(LLAMA_3_70B)
    bandwidth = gpus * A100_BANDWIDTH
    fit = int((0.9 * gpus * A100_BYTES - weights) // kv)
    return {
        "kv_gb": kv / 1e9,
        "sequences": int((gpus * A100_BYTES - weights) // kv),
        "sequences_90": fit,
        "sequences_8bit_kv": int((gpus * A100_BYTES - weights) // (kv / 2)),
        "weight_floor_ms": 1000 * weights / bandwidth,
        "step_ms": 1000 * (weights + fit * kv) / (BANDWIDTH_SHARE * bandwidth),
        "sequences_itl": min(fit, int((0.05 * BANDWIDTH_SHARE * bandwidth - weights) // kv)),
        "ttft_s": forward_flops(LLAMA_3_70B, 8192) / (FLOPS_SHARE * gpus * A100_FLOPS),
        "itl_verdict": "feasible",
        "ttft_verdict": "only when idle",
        "first_lever": "4-bit weights",
    }
