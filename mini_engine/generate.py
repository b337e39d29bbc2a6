"""Greedy generation for one sequence: the plain loop, and every way of computing the same tokens faster."""

import torch

from mini_engine.device import argmax
from mini_engine.gpu.graphs import GraphedDecoder
from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.quant.pages import new_cache

# the ways of `greedy`; the last three are modes of a GraphedDecoder
ROAD = ("no cache", "cache", "static cache", "graph", "compile")
DECODER_MODES = {"static cache": "eager", "graph": "graph", "compile": "compile"}


@torch.inference_mode()
def generate(model, prompt_ids, max_new_tokens, eos_token_id=None, use_cache=True, kv_dtype=None):
    """Yield the greedy continuation of prompt_ids (a list) one id at a time, at most max_new_tokens.

    Ends after yielding eos_token_id. use_cache=False recomputes everything at every step: the same ids, slower.
    kv_dtype: None for the model's own, "int8" or "int4" for a quantized cache.
    Raises ValueError for an empty prompt, a negative max_new_tokens, an id outside the vocabulary, or more tokens
    than the model has positions; before the first token, so nothing is half done.
    """
    ids = check_request(model.config, prompt_ids, max_new_tokens)
    if kv_dtype and not use_cache:
        raise ValueError(f"a cache in {kv_dtype} was asked for, and to use none")
    # the last token is never fed back, so it needs no room
    cache = new_cache(model, max(len(ids), len(ids) + max_new_tokens - 1), kv_dtype) if use_cache else None
    new = ids
    for _ in range(max_new_tokens):
        token_ids = torch.tensor([new if use_cache else ids], device=model.device)
        hidden = model.hidden_states(token_ids, cache)
        token = int(argmax(model.lm_head(hidden[:, -1])))
        yield token
        if token == eos_token_id:
            return
        ids, new = [*ids, token], [token]


def check_request(config, prompt_ids, max_new_tokens):
    """The prompt as a list of ints. Raises ValueError, in one line, for a request that this model cannot serve."""
    ids = [int(i) for i in prompt_ids]
    if not ids:
        raise ValueError("the prompt is empty: there is no last token to continue")
    if max_new_tokens < 0:
        raise ValueError(f"max_new_tokens must not be negative, got {max_new_tokens}")
    if bad := [i for i in ids if not 0 <= i < config.vocab_size]:
        raise ValueError(f"token id {bad[0]} is outside the vocabulary of {config.vocab_size}")
    room = config.max_position_embeddings
    if len(ids) + max_new_tokens > room:
        raise ValueError(f"{len(ids)} prompt tokens + {max_new_tokens} new ones exceed the model's context of {room}")
    return ids


@torch.inference_mode()
def greedy(model, prompt_ids, num_new, how="graph"):
    """num_new greedy ids after prompt_ids, by one way of ROAD; in float32 or float64 they are the same for all.

    Raises ValueError for another `how`, for a request that does not fit the model, or where the way is one of torch's
    and the model is compiled.
    """
    if how not in ROAD:
        raise ValueError(f"how must be one of {', '.join(ROAD)}, got {how!r}")
    if how not in DECODER_MODES:
        return list(generate(model, prompt_ids, num_new, use_cache=how == "cache"))
    if not isinstance(model, torch.nn.Module):
        raise ValueError(f"{how} is made of torch's operators: load the model with compiled=False")
    ids = check_request(model.config, prompt_ids, num_new)
    cache = StaticKVCache(model.config, len(ids) + max(num_new, 1), 1, model.dtype, model.device)
    decoder = GraphedDecoder(model, cache, how=DECODER_MODES[how])
    token = decoder.prefill(torch.tensor([ids], device=model.device)).argmax(dim=-1, keepdim=True)
    tokens = [token]
    for _ in range(num_new - 1):
        # the next ids stay on the device: asking for them would stop the queue of kernels at each step
        tokens.append(decoder.step(tokens[-1])[:, -1].argmax(dim=-1, keepdim=True))
    return torch.cat(tokens, dim=1)[0, :num_new].tolist()
