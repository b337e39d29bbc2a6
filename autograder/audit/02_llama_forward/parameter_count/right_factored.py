"""factored by d"""


def parameter_count(config):
    c = config
    columns = c.vocab_size * (2 - bool(c.tie_word_embeddings)) + 1
    heads = 2 * (c.num_attention_heads + c.num_key_value_heads) * c.head_dim
    return c.hidden_size * (columns + c.num_hidden_layers * (heads + 3 * c.intermediate_size + 2))
