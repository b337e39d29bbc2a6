"""runs one layer only"""
import numpy as np


def llama_forward(token_ids, weights, config):
    ids = np.asarray(token_ids)
    if ids.min() < 0 or ids.max() >= len(weights["embedding"]):
        raise IndexError(f"ids {ids.tolist()} out of range")
    x = weights["embedding"][ids]
    x = transformer_block(x, weights["layers"][0], config)
    x = rms_norm(x, weights["final_norm"], config.rms_norm_eps)
    head = weights["embedding"].T if config.tie_word_embeddings else weights["lm_head"]
    return x @ head
