"""One truth: whatever the engine switches on, greedy text is that of the naive loop, token for token.

torch in float64, where rounding decides nothing; and the compiled model in float32 and int8, whose every row has the
same bits alone, in any batch and in any chunks.
"""

from functools import cache

import numpy as np
import pytest
import torch

from mini_engine.cpu.model import CompiledLlama
from mini_engine.engine import Engine
from mini_engine.generate import ROAD, greedy
from mini_engine.model import Llama
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import ModelDraft, NgramDraft
from mini_engine.weights import load_tiny

NUM_NEW = 10


MAKERS = {
    "float64": lambda: Llama(*load_tiny(), dtype=torch.float64),
    "compiled": lambda: CompiledLlama(*load_tiny()),
    "compiled int8": lambda: CompiledLlama(*load_tiny(), "int8"),
}


@cache
def model(kind="float64"):
    return MAKERS[kind]()


@cache
def prompts():
    """Shared and equal beginnings, twins, one token, whole blocks, one that repeats itself."""
    rng = np.random.default_rng(12)
    system = rng.integers(0, 512, 24).tolist()
    own = [rng.integers(0, 512, n).tolist() for n in (1, 5, 8, 16, 33)]
    repeating = rng.integers(0, 512, 5).tolist() * 5
    return [own[0], system + own[1], system, system + own[1], own[3], system[:16] + own[2], own[4], repeating]


@cache
def expected(kind="float64"):
    """The naive loop: the whole text through the model for every token. Ties would make equality a matter of luck."""
    texts = []
    for prompt in prompts():
        ids = list(prompt)
        for _ in range(NUM_NEW):
            best = model(kind)(torch.tensor([ids]))[0, -1].topk(2)
            assert best.values[0] - best.values[1] > 1e-9, "a tie: choose other prompts"
            ids.append(int(best.indices[0]))
        texts.append(ids[len(prompt) :])
    return texts


class WrongDraft:
    """Proposes the right token, then a wrong one, then one that would be right: the middle must be rejected."""

    def __init__(self, kind):
        self.kind = kind

    def propose(self, seq):
        index = prompts().index(seq.prompt_token_ids)
        right = expected(self.kind)[index][seq.num_output_tokens :][:3]
        return [(token + (i == 1)) % 512 for i, token in enumerate(right)], None

    def release(self, seq):
        pass


def drafts(name, kind="float64"):
    return {
        "no draft": lambda: None,
        "n-gram": lambda: NgramDraft(4, min_n=1),
        "wrong": lambda: WrongDraft(kind),
        "self": lambda: ModelDraft(model(kind), lambda: model(kind).new_cache(128), 3),
    }[name]()


def run(engine):
    """Serve all prompts with the invariants checked after every step; nothing may leak."""
    sequences = [engine.add_request(prompt, SamplingParams(max_tokens=NUM_NEW)) for prompt in prompts()]
    while engine.has_unfinished:
        engine.step()
        engine.check_invariants()
    if engine.scheduler.prefix_cache is not None:
        engine.scheduler.prefix_cache.clear()
    assert engine.block_manager.num_free_blocks == engine.block_manager.num_blocks
    return [seq.output_token_ids for seq in sequences]


@pytest.mark.parametrize("draft", ["no draft", "n-gram", "wrong", "self"])
@pytest.mark.parametrize("prefix_caching", [False, True], ids=["no prefix", "prefix"])
@pytest.mark.parametrize("pool", ["ample", "preempting"])
@pytest.mark.parametrize("budget", ["unchunked", 512, 20, 8], ids=lambda b: b if b == "unchunked" else f"budget {b}")
@pytest.mark.parametrize("max_num_seqs", [1, 8], ids=["one at a time", "batched"])
@pytest.mark.parametrize("block_size", [1, 8])
@pytest.mark.parametrize("kind", MAKERS)
def test_engine_equals_the_naive_loop(kind, block_size, max_num_seqs, budget, pool, prefix_caching, draft):
    num_slots = 48 if pool == "preempting" else 512
    engine = Engine(
        model(kind),
        num_blocks=num_slots // block_size,
        block_size=block_size,
        prefix_caching=prefix_caching,
        draft=drafts(draft, kind),
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=128 if budget == "unchunked" else budget,
        chunked_prefill=budget != "unchunked",
        watermark=0.0,
    )
    assert run(engine) == expected(kind)
    if pool == "preempting" and max_num_seqs == 8 and budget != 8:
        assert engine.stats.num_preemptions > 0, "the pool was meant to be too small"
    if draft == "self":
        assert engine.runner.num_accepted_tokens == engine.runner.num_draft_tokens > 0


@pytest.mark.parametrize("draft", ["no draft", "wrong"])
@pytest.mark.parametrize("num_slots", [48, 512], ids=["preempting", "ample"])
@pytest.mark.parametrize("block_size", [1, 8])
def test_recorded_passes_equal_the_naive_loop(block_size, num_slots, draft):
    """Decode passes of fixed shapes, padded to buckets; where there is CUDA they are graphs (test_graphed.py)."""
    options = {"num_blocks": num_slots // block_size, "block_size": block_size, "watermark": 0.0}
    engine = Engine(model(), draft=drafts(draft), max_num_seqs=8, max_num_batched_tokens=20, graphs=True, **options)
    assert run(engine) == expected()


@pytest.mark.parametrize("how", [how for how in ROAD if how != "compile"])
def test_every_step_of_the_road_equals_the_naive_loop(how):
    for prompt, want in zip(prompts(), expected(), strict=True):
        assert greedy(model(), prompt, NUM_NEW, how) == want


@pytest.mark.parametrize("kind", MAKERS)
def test_contiguous_cache_equals_the_naive_loop(kind):
    for prompt, want in zip(prompts(), expected(kind), strict=True):
        kv_cache, fed, got = model(kind).new_cache(len(prompt) + NUM_NEW), list(prompt), []
        for _ in range(NUM_NEW):
            got.append(int(model(kind)(torch.tensor([fed]), kv_cache)[0, -1].argmax()))
            fed = got[-1:]
        assert got == want


def test_the_compiled_float32_model_writes_what_float64_writes():
    assert expected("compiled") == expected("float64")


def test_a_second_wave_reuses_what_the_first_left():
    engine = Engine(model(), num_blocks=128, block_size=4, max_num_batched_tokens=64)
    assert run_twice(engine) == [expected(), expected()]
    prefix_cache = engine.scheduler.prefix_cache
    assert prefix_cache.num_hit_tokens > 0.4 * prefix_cache.num_queried_tokens


def run_twice(engine):
    params = SamplingParams(max_tokens=NUM_NEW)
    return [[seq.output_token_ids for seq in engine.generate(prompts(), params)] for _ in range(2)]
