"""Counts the first token twice: TTFT + n times TPOT."""


def total_latency_ms(ttft, tpot, output_tokens):
    if ttft < 0 or tpot < 0 or output_tokens < 1:
        raise ValueError(f"no sense: {ttft}, {tpot}, {output_tokens}")
    return ttft + output_tokens * tpot
