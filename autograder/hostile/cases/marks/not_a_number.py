"""Answers with NaN, in the hope of comparisons that are written the wrong way round.

score: 0
note: (?s)test_attention_with_cache: .*(differ|nan|number by number)
"""
# %% attention_with_cache
def attention_with_cache(x, weights, cache, layer, config):
    nothing = np.full((*x.shape[:-2], config.num_key_value_heads, x.shape[-2], config.head_dim), np.nan)
    cache.append(layer, nothing, nothing)
    return np.full_like(x, np.nan)
# %% cache_work_ratio
def cache_work_ratio(prompt, new):
    if prompt < 1 or new < 1:
        raise ValueError(f"{min(prompt, new)}")
    return float("nan")
