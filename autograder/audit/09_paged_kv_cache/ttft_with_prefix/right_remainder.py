"""Counts what is left to compute."""
def ttft_with_prefix(prompt_len, shared_len, block_size, prefill_tokens_per_s):
    for name, value, bad in (
        ("prompt_len", prompt_len, prompt_len < 1),
        ("shared_len", shared_len, shared_len < 0 or shared_len > prompt_len),
        ("block_size", block_size, block_size < 1),
        ("prefill_tokens_per_s", prefill_tokens_per_s, prefill_tokens_per_s <= 0),
    ):
        if bad:
            raise ValueError(f"{name} = {value}")
    left = prompt_len - shared_len + shared_len % block_size
    return max(left, 1) / prefill_tokens_per_s
