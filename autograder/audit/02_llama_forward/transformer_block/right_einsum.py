"""heads by einsum and reshape, no repeat of the KV heads"""
import numpy as np


def transformer_block(x, weights, config):
    normed = rms_norm(x, weights["attn_norm"], config.rms_norm_eps)
    c = config
    kv, g = c.num_key_value_heads, c.num_attention_heads // c.num_key_value_heads
    q = (normed @ weights["w_q"]).reshape(len(x), kv, g, c.head_dim)
    k = (normed @ weights["w_k"]).reshape(len(x), kv, c.head_dim)
    v = (normed @ weights["w_v"]).reshape(len(x), kv, c.head_dim)
    half = c.head_dim // 2
    turn = np.exp(1j * np.outer(np.arange(len(x)), c.rope_theta ** (-np.arange(half) / half)))
    q = (q[..., :half] + 1j * q[..., half:]) * turn[:, None, None]
    k = (k[..., :half] + 1j * k[..., half:]) * turn[:, None]
    scores = np.einsum("nkgd,mkd->kgnm", q, k.conj()).real / c.head_dim**0.5
    scores = np.where(np.tri(len(x), dtype=bool), scores, -np.inf)
    p = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p = p / p.sum(axis=-1, keepdims=True)
    out = np.einsum("kgnm,mkd->nkgd", p, v).reshape(len(x), -1) @ weights["w_o"]
    x = x + out
    normed = rms_norm(x, weights["mlp_norm"], config.rms_norm_eps)
    out = swiglu(normed, weights["w_gate"], weights["w_up"], weights["w_down"])
    return x + out
