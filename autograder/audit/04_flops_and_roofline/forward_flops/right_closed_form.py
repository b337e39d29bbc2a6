"""Uses the closed form of the arithmetic series."""
def forward_flops(config, n_tokens, context=0):
    if min(n_tokens, context) < 0:
        raise ValueError("negative count in " + str((n_tokens, context)))
    d, h, k, e = config.hidden_size, config.num_attention_heads, config.num_key_value_heads, config.head_dim
    per_token = config.num_hidden_layers * (2 * d * e * (h + k) + 3 * d * config.intermediate_size)
    per_token += d * config.vocab_size
    seen = (2 * context + n_tokens + 1) * n_tokens // 2
    return 2 * n_tokens * per_token + 4 * config.num_hidden_layers * h * e * seen
