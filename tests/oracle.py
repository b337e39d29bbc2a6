"""transformers' LlamaForCausalLM on our weights: the independent answer that model tests compare with."""

import torch

from mini_engine.bench.peers import transformers_llama

__all__ = ["expected_greedy", "expected_logits", "transformers_llama"]


@torch.inference_mode()
def expected_logits(model, token_ids):
    """Logits [N, V] for one prompt, as a NumPy array."""
    return model(torch.tensor([list(token_ids)])).logits[0].numpy()


@torch.inference_mode()
def expected_greedy(model, token_ids, num_new_tokens):
    """The next num_new_tokens greedy ids, each from a full pass over everything before it (no cache)."""
    ids = [int(i) for i in token_ids]
    for _ in range(num_new_tokens):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(token_ids) :]
