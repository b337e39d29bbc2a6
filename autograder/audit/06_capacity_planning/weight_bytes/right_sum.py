"""Adds the matrices up layer by layer."""
def weight_bytes(config, bytes_per=2):
    if bytes_per <= 0:
        raise ValueError(f"{bytes_per} is not a size")
    d, e = config.hidden_size, config.head_dim
    q, kv = config.num_attention_heads * e, config.num_key_value_heads * e
    total = config.vocab_size * d * (1 if config.tie_word_embeddings else 2) + d
    for _layer in range(config.num_hidden_layers):
        total += d * q + d * kv + d * kv + q * d + 3 * d * config.intermediate_size + d + d
    return math.ceil(total * bytes_per)
