"""the MLP reads the residual stream without a norm"""
import numpy as np


def transformer_block(x, weights, config):
    normed = rms_norm(x, weights["attn_norm"], config.rms_norm_eps)
    q = split_heads(normed @ weights["w_q"], config.num_attention_heads)
    k = split_heads(normed @ weights["w_k"], config.num_key_value_heads)
    v = split_heads(normed @ weights["w_v"], config.num_key_value_heads)
    cos, sin = rope_tables(config.head_dim, np.arange(len(x)), config.rope_theta)
    q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
    n = config.num_attention_heads // config.num_key_value_heads
    k, v = np.repeat(k, n, axis=0), np.repeat(v, n, axis=0)
    out = merge_heads(causal_attention(q, k, v)) @ weights["w_o"]
    x = x + out
    normed = x
    out = swiglu(normed, weights["w_gate"], weights["w_up"], weights["w_down"])
    return x + out
