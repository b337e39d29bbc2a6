"""rotates neighbours: the wrong pairing for these weights"""
import numpy as np


def transformer_block(x, weights, config):
    normed = rms_norm(x, weights["attn_norm"], config.rms_norm_eps)
    q = split_heads(normed @ weights["w_q"], config.num_attention_heads)
    k = split_heads(normed @ weights["w_k"], config.num_key_value_heads)
    v = split_heads(normed @ weights["w_v"], config.num_key_value_heads)
    angles = np.outer(np.arange(len(x)), config.rope_theta ** (-np.arange(0, config.head_dim, 2) / config.head_dim))
    turn = np.exp(1j * angles)
    q, k = ((t[..., 0::2] + 1j * t[..., 1::2]) * turn for t in (q, k))
    q, k = (np.stack([t.real, t.imag], axis=-1).reshape(*t.shape[:-1], -1) for t in (q, k))
    n = config.num_attention_heads // config.num_key_value_heads
    k, v = np.repeat(k, n, axis=0), np.repeat(v, n, axis=0)
    out = merge_heads(causal_attention(q, k, v)) @ weights["w_o"]
    x = x + out
    normed = rms_norm(x, weights["mlp_norm"], config.rms_norm_eps)
    out = swiglu(normed, weights["w_gate"], weights["w_up"], weights["w_down"])
    return x + out
