"""Takes one request after the other from the memory."""
def concurrency_gain(config, n_kv_heads, free_bytes, context):
    if min(context, n_kv_heads) <= 0:
        raise ValueError(f"{n_kv_heads} KV heads, {context} tokens")
    if config.num_attention_heads % n_kv_heads != 0:
        raise ValueError(f"{n_kv_heads} does not divide {config.num_attention_heads}")
    fits = []
    for heads in (n_kv_heads, config.num_attention_heads):
        one = sum(4 * heads * config.head_dim for _ in range(config.num_hidden_layers)) * context
        left, count = free_bytes, 0
        while left >= one:
            left, count = left - one, count + 1
        fits.append(count)
    if not fits[1]:
        raise ValueError(f"no request fits into {free_bytes} bytes")
    return fits[0] / fits[1]
