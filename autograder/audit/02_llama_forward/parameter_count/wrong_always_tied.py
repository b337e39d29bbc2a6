"""never counts the LM head"""


def parameter_count(config):
    c = config
    d, f, v = c.hidden_size, c.intermediate_size, c.vocab_size
    q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    return v * d + c.num_hidden_layers * (2 * d * q + 2 * d * kv + 3 * d * f + 2 * d) + d
