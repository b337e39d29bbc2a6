"""Lets a fully cached prompt take no time."""
def ttft_with_prefix(prompt_len, shared_len, block_size, prefill_tokens_per_s):
    if prompt_len < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt_len}")
    if not 0 <= shared_len <= prompt_len:
        raise ValueError(f"shared_len must be from 0 to {prompt_len}, got {shared_len}")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    if prefill_tokens_per_s <= 0:
        raise ValueError(f"prefill_tokens_per_s must be positive, got {prefill_tokens_per_s}")
    found = shared_len // block_size * block_size
    return (prompt_len - found) / prefill_tokens_per_s
