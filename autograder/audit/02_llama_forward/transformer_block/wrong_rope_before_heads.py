"""rotates the whole row before it is cut into heads"""
import numpy as np


def transformer_block(x, weights, config):
    normed = rms_norm(x, weights["attn_norm"], config.rms_norm_eps)
    q, k = normed @ weights["w_q"], normed @ weights["w_k"]
    cos, sin = rope_tables(q.shape[1], np.arange(len(x)), config.rope_theta)
    q = apply_rope(q, cos, sin)
    cos, sin = rope_tables(k.shape[1], np.arange(len(x)), config.rope_theta)
    k = apply_rope(k, cos, sin)
    q = split_heads(q, config.num_attention_heads)
    k = split_heads(k, config.num_key_value_heads)
    v = split_heads(normed @ weights["w_v"], config.num_key_value_heads)
    n = config.num_attention_heads // config.num_key_value_heads
    k, v = np.repeat(k, n, axis=0), np.repeat(v, n, axis=0)
    out = merge_heads(causal_attention(q, k, v)) @ weights["w_o"]
    x = x + out
    normed = rms_norm(x, weights["mlp_norm"], config.rms_norm_eps)
    out = swiglu(normed, weights["w_gate"], weights["w_up"], weights["w_down"])
    return x + out
