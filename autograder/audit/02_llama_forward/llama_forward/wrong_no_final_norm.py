"""no final norm"""
import numpy as np


def llama_forward(token_ids, weights, config):
    ids = np.asarray(token_ids)
    if ids.min() < 0 or ids.max() >= len(weights["embedding"]):
        raise IndexError(f"ids {ids.tolist()} out of range")
    x = weights["embedding"][ids]
    for layer in weights["layers"]:
        x = transformer_block(x, layer, config)
    head = weights["embedding"].T if config.tie_word_embeddings else weights["lm_head"]
    return x @ head
