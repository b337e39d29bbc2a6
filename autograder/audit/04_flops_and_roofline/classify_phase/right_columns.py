"""Builds the table by columns and turns it."""
def classify_phase():
    columns = {
        "tokens_per_pass": ("the whole prompt", "one per sequence"),
        "bottleneck": ("compute", "bandwidth"),
        "latency_metric": ("TTFT", "TPOT"),
    }
    table = {phase: {key: pair[i] for key, pair in columns.items()} for i, phase in enumerate(["prefill", "decode"])}
    table["prefill"]["fixes"] = {"FlashAttention": "fewer bytes", "prefix caching": "less compute"}
    smaller = ["fp8 KV cache", "int8 weights", "grouped-query attention"]
    shared = ["speculative decoding", "continuous batching"]
    table["decode"]["fixes"] = dict.fromkeys(smaller, "fewer bytes") | dict.fromkeys(shared, "more reuse")
    return table
