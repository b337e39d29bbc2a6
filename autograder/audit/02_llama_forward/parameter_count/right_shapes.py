"""a list of shapes, multiplied out"""
import math


def parameter_count(config):
    c = config
    d, q, kv = c.hidden_size, c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim
    layer = [(d,), (d, q), (d, kv), (d, kv), (q, d), (d,), (d, c.intermediate_size), (d, c.intermediate_size)]
    layer.append((c.intermediate_size, d))
    shapes = [(c.vocab_size, d)] + layer * c.num_hidden_layers + [(d,)]
    if not c.tie_word_embeddings:
        shapes.append((d, c.vocab_size))
    return sum(math.prod(shape) for shape in shapes)
