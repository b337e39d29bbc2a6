"""Stores the repeated heads: the cache is larger by the GQA factor."""
def attention_with_cache(x, weights, cache, layer, config):
    q, k, v = (
        (x @ weights[name]).reshape(*x.shape[:-1], -1, config.head_dim).swapaxes(-3, -2)  # [..., H, N, d_h]
        for name in ("w_q", "w_k", "w_v")
    )
    start = cache.length
    positions = np.arange(start, start + x.shape[-2])
    q = apply_rope(q, positions, config.rope_theta)
    repeats = config.num_attention_heads // config.num_key_value_heads
    k, v = (np.repeat(heads, repeats, axis=-3) for heads in (apply_rope(k, positions, config.rope_theta), v))
    keys, values = cache.append(layer, k, v)
    scores = q @ keys.swapaxes(-1, -2) / np.sqrt(config.head_dim).astype(x.dtype)  # [..., H_q, N, S + N]
    scores = np.where(np.arange(keys.shape[-2]) <= positions[:, None], scores, -np.inf)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight @ values).swapaxes(-3, -2).reshape(*x.shape[:-1], -1) @ weights["w_o"]
