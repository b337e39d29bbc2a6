"""Writes the rows with dict() and keyword arguments."""
def classify_phase():
    decode = dict(tokens_per_pass="one per sequence", bottleneck="bandwidth", latency_metric="TPOT")
    prefill = dict(latency_metric="TTFT", bottleneck="compute", tokens_per_pass="the whole prompt")
    prefill["fixes"] = {"prefix caching": "less compute", "FlashAttention": "fewer bytes"}
    decode["fixes"] = {}
    for technique in ("int8 weights", "grouped-query attention", "fp8 KV cache"):
        decode["fixes"][technique] = "fewer bytes"
    for technique in ("continuous batching", "speculative decoding"):
        decode["fixes"][technique] = "more reuse"
    return dict(decode=decode, prefill=prefill)
