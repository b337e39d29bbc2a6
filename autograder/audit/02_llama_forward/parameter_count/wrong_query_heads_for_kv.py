"""gives keys and values as many heads as queries"""


def parameter_count(config):
    c = config
    d, f, v = c.hidden_size, c.intermediate_size, c.vocab_size
    q, kv = c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    return (1 if c.tie_word_embeddings else 2) * v * d + c.num_hidden_layers * (4 * d * q + 3 * d * f + 2 * d) + d
