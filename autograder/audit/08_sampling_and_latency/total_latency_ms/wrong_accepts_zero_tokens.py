"""Accepts a request without output tokens."""


def total_latency_ms(ttft, tpot, output_tokens):
    if ttft < 0 or tpot < 0 or output_tokens < 0:
        raise ValueError(f"no sense: {ttft}, {tpot}, {output_tokens}")
    return ttft + (output_tokens - 1) * tpot
