"""Adds up one token after the other."""
def forward_flops(config, n_tokens, context=0):
    if n_tokens < 0:
        raise ValueError(f"n_tokens is negative: {n_tokens}")
    if context < 0:
        raise ValueError(f"context is negative: {context}")
    total = 0
    for position in range(context, context + n_tokens):
        for _layer in range(config.num_hidden_layers):
            width = config.num_attention_heads * config.head_dim
            narrow = config.num_key_value_heads * config.head_dim
            total += 2 * config.hidden_size * (width + narrow + narrow + width)
            total += 2 * width * (position + 1) * 2
            total += 2 * config.hidden_size * config.intermediate_size * 3
        total += 2 * config.hidden_size * config.vocab_size
    return total
