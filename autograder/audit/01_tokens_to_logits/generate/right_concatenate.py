"""a growing NumPy array"""
import numpy as np


def generate(step, prompt_ids, max_new_tokens, eos_id=None):
    ids = np.array(prompt_ids, dtype=np.int64)
    if len(ids) < 1:
        raise ValueError("empty prompt")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens is {max_new_tokens}")
    for _ in range(max_new_tokens):
        token = np.argmax(np.asarray(step(ids.tolist()))[-1])
        ids = np.concatenate([ids, [token]])
        if token == eos_id:
            break
    return ids.tolist()
