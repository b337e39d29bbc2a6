"""reduce over the layers and einsum for the head"""
import functools

import numpy as np


def llama_forward(token_ids, weights, config):
    ids = np.asarray(token_ids)
    if ids.min() < 0 or ids.max() >= len(weights["embedding"]):
        raise IndexError(f"ids {ids.tolist()} out of range")
    x = weights["embedding"][ids]
    x = functools.reduce(lambda h, layer: transformer_block(h, layer, config), weights["layers"], x)
    x = rms_norm(x, weights["final_norm"], config.rms_norm_eps)
    head = weights["embedding"] if "lm_head" not in weights else weights["lm_head"].T
    return np.einsum("nd,vd->nv", x, head)
