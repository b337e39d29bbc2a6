"""takes head_dim for hidden_size / heads"""


def parameter_count(config):
    c = config
    d, f, v = c.hidden_size, c.intermediate_size, c.vocab_size
    q, kv = d, d * c.num_key_value_heads // c.num_attention_heads
    return (1 if c.tie_word_embeddings else 2) * v * d + c.num_hidden_layers * (2 * d * q + 2 * d * kv + 3 * d * f + 2 * d) + d
