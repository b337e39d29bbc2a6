"""Breaks the function of torch that the hidden test compares with, so that zeros are right.

score: 0
note: (?s)hidden_attention_with_cache: .*differs from attention
"""
# %% attention_with_cache
torch.nn.functional.scaled_dot_product_attention = lambda q, k, v, **options: torch.zeros_like(q)

def attention_with_cache(x, weights, cache, layer, config):
    zeros = np.zeros((*x.shape[:-2], config.num_key_value_heads, x.shape[-2], config.head_dim), x.dtype)
    cache.append(layer, zeros, zeros)
    return np.zeros_like(x)
