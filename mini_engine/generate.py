"""Greedy generation, as a function and as `python -m mini_engine generate`."""

import sys

import torch

from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model
from mini_engine.tokenizer import load_smollm2_tokenizer, load_tokenizer
from mini_engine.weights import load_smollm2, load_weights


@torch.inference_mode()
def generate(model, prompt_ids, max_new_tokens, eos_token_id=None, use_cache=True):
    """Yield the greedy continuation of prompt_ids (a list) one id at a time, at most max_new_tokens.

    Ends after yielding eos_token_id. use_cache=False recomputes everything at every step: the same ids, slower.
    Raises ValueError for an empty prompt, a negative max_new_tokens, an id outside the vocabulary, or more tokens
    than the model has positions; before the first token, so nothing is half done.
    """
    ids = check_request(model.config, prompt_ids, max_new_tokens)
    # the last token is never fed back, so it needs no room
    cache = model.new_cache(max(len(ids), len(ids) + max_new_tokens - 1)) if use_cache else None
    new = ids
    for _ in range(max_new_tokens):
        token_ids = torch.tensor([new if use_cache else ids], device=model.device)
        hidden = model.hidden_states(token_ids, cache)
        token = int(model.lm_head(hidden[:, -1]).argmax())
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


def load(weights=None, dtype=torch.float32, device=None):
    """(model, tokenizer) from a folder or GGUF file, or of SmolLM2 when none is given."""
    if weights is None:
        config, arrays = load_smollm2()
        return Llama(config, arrays, dtype, device), load_smollm2_tokenizer()
    config, arrays = load_weights(weights)
    return Llama(config, arrays, dtype, device), load_tokenizer(weights)


def add_arguments(parser):
    parser.add_argument("prompt", help="the text to continue, or the question with --chat")
    parser.add_argument("--chat", action="store_true", help="put the prompt into the model's chat template")
    parser.add_argument("--max-tokens", type=int, default=64, metavar="N", help="new tokens at most (default 64)")
    parser.add_argument("--no-cache", action="store_true", help="recompute everything for every token")
    parser.add_argument("--weights", metavar="PATH", help="a Hugging Face folder or a GGUF file instead of SmolLM2")
    parser.add_argument("--quant", choices=("int8", "int4"), help="weights in 8 or 4 bits")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")


def run(args):
    """Print the prompt's continuation as it comes. Returns 0."""
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("no CUDA device is available here: leave out --device")
    model, tokenizer = load(args.weights, device=args.device)
    if args.quant:
        quantize_model(model, args.quant)
    if args.chat:
        ids = tokenizer.apply_chat_template([{"role": "user", "content": args.prompt}])
    else:
        ids = tokenizer.encode(args.prompt)
        check_request(model.config, ids, args.max_tokens)
        sys.stdout.write(args.prompt)
    text = tokenizer.stream()
    for token in generate(model, ids, args.max_tokens, tokenizer.eos_token_id, not args.no_cache):
        sys.stdout.write(text.feed(token))
        sys.stdout.flush()
    print(text.finish())
    return 0
