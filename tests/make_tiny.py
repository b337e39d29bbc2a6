"""Write mini_engine/data/tiny.npz (seeded weights of TINY) and tiny_expected.npz (what transformers makes of them).

Run `python tests/make_tiny.py` again only when TINY changes; tests/test_model.py checks that both files are what
this script writes.
"""

from pathlib import Path

import numpy as np
import torch
from oracle import expected_greedy, expected_logits, transformers_llama

from mini_engine.config import TINY
from mini_engine.weights import flatten

DATA = Path(__file__).parents[1] / "mini_engine" / "data"
SEED = 2026
PROMPTS = (
    [7],
    [3, 1, 4, 1, 5],
    [int(i) % 512 for i in (2993, 1011, 318, 6717, 1121, 632, 311, 13779)],
    [(37 * i + 11) % 512 for i in range(24)],
)
NUM_GREEDY = 32


def make_weights(config=TINY, seed=SEED):
    """Random float32 weights whose every part matters.

    Each matrix has standard deviation gain / sqrt(in). The gains are chosen so that attention is neither uniform nor
    one-hot, both branches change the residual stream about as much as the embedding does, and logits spread by about
    1, where float32 still keeps 1e-5: then a wrong mask, a missing norm gain or a shifted position moves the logits
    far beyond any tolerance.
    """
    rng = np.random.default_rng(seed)

    def matrix(num_in, num_out, gain):
        return (rng.standard_normal((num_in, num_out)) * gain / np.sqrt(num_in)).astype(np.float32)

    def gains():
        return (1 + 0.2 * rng.standard_normal(config.hidden_size)).astype(np.float32)

    d, inner = config.hidden_size, config.intermediate_size
    q_out, kv_out = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    embedding = rng.standard_normal((config.vocab_size, d)).astype(np.float32)
    layers = [
        {
            "attn_norm": gains(),
            "w_q": matrix(d, q_out, 1.5),
            "w_k": matrix(d, kv_out, 1.5),
            "w_v": matrix(d, kv_out, 1.0),
            "w_o": matrix(q_out, d, 2.0),
            "mlp_norm": gains(),
            "w_gate": matrix(d, inner, 1.5),
            "w_up": matrix(d, inner, 1.0),
            "w_down": matrix(inner, d, 1.5),
        }
        for _ in range(config.num_hidden_layers)
    ]
    lm_head = matrix(d, config.vocab_size, 1.0)
    return {"embedding": embedding, "layers": layers, "final_norm": gains(), "lm_head": lm_head}


def make_expected(weights, config=TINY):
    """For each prompt: ids_i, logits_i [N, V] and greedy_i, the next 32 greedy ids.

    transformers runs in float64 and the logits are rounded to float32 once, so the file does not carry the
    rounding of any one float32 kernel.
    """
    model = transformers_llama(config, weights, torch.float64)
    out = {}
    for i, prompt in enumerate(PROMPTS):
        out[f"ids_{i}"] = np.array(prompt, dtype=np.int64)
        out[f"logits_{i}"] = expected_logits(model, prompt).astype(np.float32)
        out[f"greedy_{i}"] = np.array(expected_greedy(model, prompt, NUM_GREEDY), dtype=np.int64)
    return out


if __name__ == "__main__":
    weights = make_weights()
    np.savez(DATA / "tiny.npz", **flatten(weights))
    np.savez(DATA / "tiny_expected.npz", **make_expected(weights))
