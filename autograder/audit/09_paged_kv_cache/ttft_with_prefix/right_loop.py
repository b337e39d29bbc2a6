"""Counts the blocks found one by one."""
def ttft_with_prefix(prompt_len, shared_len, block_size, prefill_tokens_per_s):
    if prompt_len < 1 or not 0 <= shared_len <= prompt_len or block_size < 1 or not prefill_tokens_per_s > 0:
        raise ValueError(f"{prompt_len} {shared_len} {block_size} {prefill_tokens_per_s}")
    found = 0
    while found + block_size <= shared_len:
        found += block_size
    computed = 1 if found == prompt_len else prompt_len - found
    return computed * (1 / prefill_tokens_per_s)
