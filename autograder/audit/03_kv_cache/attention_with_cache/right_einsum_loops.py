"""einsum per KV head, the mask as a loop over the new tokens, float64 inside."""
def attention_with_cache(x, weights, cache, layer, config):
    n, dim = x.shape[-2], config.head_dim
    group = config.num_attention_heads // config.num_key_value_heads
    start = cache.length
    where = np.arange(n) + start
    split = lambda y: np.moveaxis(y.reshape(y.shape[:-1] + (y.shape[-1] // dim, dim)), -2, -3)
    q = apply_rope(split(x @ weights["w_q"]), where, config.rope_theta)
    k = apply_rope(split(x @ weights["w_k"]), where, config.rope_theta)
    keys, values = cache.append(layer, k, split(x @ weights["w_v"]))
    out = np.empty_like(q)
    for head in range(config.num_attention_heads):
        for i in range(n):
            seen = start + i + 1
            score = np.einsum("...d,...td->...t", q[..., head, i, :].astype(float), keys[..., head // group, :seen, :]) / dim**0.5
            weight = np.exp(score - score.max(-1, keepdims=True))
            weight = weight / weight.sum(-1, keepdims=True)
            out[..., head, i, :] = np.einsum("...t,...td->...d", weight, values[..., head // group, :seen, :])
    out = np.moveaxis(out, -3, -2)
    return out.reshape(out.shape[:-2] + (-1,)) @ weights["w_o"]
