"""torch's attention with an additive mask."""
def attention_with_cache(x, weights, cache, layer, config):
    start, n = cache.length, x.shape[-2]
    def project(name, count):
        return torch.from_numpy(x @ weights[name]).unflatten(-1, (count, config.head_dim)).transpose(-3, -2)
    q, k, v = (project(name, count) for name, count in (
        ("w_q", config.num_attention_heads), ("w_k", config.num_key_value_heads), ("w_v", config.num_key_value_heads)))
    q, k = (apply_rope(t, range(start, start + n), config.rope_theta) for t in (q, k))
    keys, values = (torch.from_numpy(np.ascontiguousarray(a)) for a in cache.append(layer, k.numpy(), v.numpy()))
    group = config.num_attention_heads // config.num_key_value_heads
    keys, values = keys.repeat_interleave(group, -3), values.repeat_interleave(group, -3)
    mask = torch.full((n, start + n), float("-inf"), dtype=q.dtype).triu(start + 1)
    out = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    return out.transpose(-3, -2).flatten(-2).numpy() @ weights["w_o"]
