"""Takes the length after the append for the position: off by the new tokens in the last layer."""
def attention_with_cache(x, weights, cache, layer, config):
    q, k, v = (
        (x @ weights[name]).reshape(*x.shape[:-1], -1, config.head_dim).swapaxes(-3, -2)  # [..., H, N, d_h]
        for name in ("w_q", "w_k", "w_v")
    )
    before = cache.append(layer, k[..., :0, :], v[..., :0, :])[0].shape[-2]
    start = before + x.shape[-2]
    positions = np.arange(start, start + x.shape[-2])
    q = apply_rope(q, positions, config.rope_theta)
    keys, values = cache.append(layer, apply_rope(k, positions, config.rope_theta), v)
    repeats = config.num_attention_heads // config.num_key_value_heads
    keys, values = (np.repeat(heads, repeats, axis=-3) for heads in (keys, values))
    scores = q @ keys.swapaxes(-1, -2) / np.sqrt(config.head_dim).astype(x.dtype)  # [..., H_q, N, S + N]
    scores = np.where(np.arange(keys.shape[-2]) <= positions[:, None] - x.shape[-2], scores, -np.inf)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight @ values).swapaxes(-3, -2).reshape(*x.shape[:-1], -1) @ weights["w_o"]
