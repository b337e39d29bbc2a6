"""Whether the compiled model is used here: it must run on this processor, and must not lose to torch in float32."""

import sys
import time

import torch
from numba.core.errors import NumbaError

from mini_engine.cpu.model import CompiledLlama

LARGE_HEAD = 1 << 20  # weights from which on a product is bound by memory, so that one can stand for the others
MARGIN = 1.2  # a busy machine must not decide


def compile_llama(config, weights, quant=None):
    """A CompiledLlama, or None after one line on stderr that says why torch in float32 is used instead."""
    try:
        model = CompiledLlama(config, weights, quant)
        model(torch.zeros(1, 1, dtype=torch.long))
    except (ValueError, NumbaError, RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
    else:
        seconds, floor = step_seconds(model), torch_step_seconds(config, weights)
        if seconds <= MARGIN * floor:
            return model
        reason = f"a compiled step takes {1e3 * seconds:.1f} ms here, one of torch in float32 {1e3 * floor:.1f}"
    print(f"the compiled {quant or 'float32'} kernels are not used: {reason}", file=sys.stderr)
    return None


def fastest(function, repeats=3):
    """The least seconds of some calls: what the machine can do when nothing else runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def step_seconds(model):
    """Seconds of one decode step."""
    token, cache = torch.zeros(1, 1, dtype=torch.long), model.new_cache(4)
    return fastest(lambda: model(token, cache))


def torch_step_seconds(config, weights):
    """Seconds that the products of a step take torch in float32 at least, from its product with the head alone.

    Infinity for a small model, where the comparison would mean nothing.
    """
    head = torch.as_tensor(weights["embedding"] if config.tie_word_embeddings else weights["lm_head"].T)
    if head.numel() < LARGE_HEAD:
        return float("inf")
    body = sum(array.size for layer in weights["layers"] for array in layer.values())
    x = torch.ones(config.hidden_size)
    return fastest(lambda: torch.mv(head, x)) * (1 + body / head.numel())
