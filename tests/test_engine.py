"""The engine beyond greedy equality: ends, seeds, text, limits, replaced parts, random workloads."""

import codecs
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_engine.block_manager import BlockManager, InvariantError
from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.paged_cache import PagedKVCache
from mini_engine.sampler import Sampler
from mini_engine.scheduler import ScheduledRow, Scheduler, SchedulerOutput
from mini_engine.sequence import SamplingParams, Status
from mini_engine.serve.async_engine import AsyncEngine
from mini_engine.speculative import NgramDraft, speculative_step
from mini_engine.tokenizer import TextStream
from mini_engine.weights import load_tiny


@cache
def model():
    return Llama(*load_tiny(), dtype=torch.float64)


def make(**options):
    return Engine(model(), **{"num_blocks": 64, "block_size": 4, **options})


class ByteTokenizer:
    """Token i is byte i."""

    eos_token_id = 0

    def encode(self, text):
        return list(text.encode())

    def stream(self):
        return ByteDecoder()


class ByteDecoder:
    def __init__(self):
        self.utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")

    def feed(self, token_id):
        return self.utf8.decode(bytes([token_id]))

    def finish(self):
        return self.utf8.decode(b"", final=True)


class ScriptedModel:
    """A model that writes a given text whatever the prompt: token i of the text after position num_prompt - 1 + i."""

    def __init__(self, script, num_prompt):
        self.script, self.num_prompt = script, num_prompt
        self.config, self.dtype, self.device = model().config, torch.float32, "cpu"

    def hidden_states(self, token_ids, cache):
        positions = cache.positions(token_ids.shape[1])
        cache.advance(token_ids.shape[1])
        return positions[..., None]

    def lm_head(self, hidden):
        places = [min(max(int(p) - self.num_prompt + 1, 0), len(self.script) - 1) for p in hidden[:, 0]]
        return torch.nn.functional.one_hot(torch.tensor([self.script[i] for i in places]), 512).float()


@pytest.mark.parametrize("draft", [None, NgramDraft(3, min_n=1)], ids=["plain", "drafts"])
@pytest.mark.parametrize("num", [1, 2, 9])
def test_length_is_exactly_max_tokens(draft, num):
    engine = make(draft=draft)
    seq = engine.generate([[7, 8, 7, 8, 7]], SamplingParams(max_tokens=num))[0]
    assert seq.num_output_tokens == num and seq.finish_reason == "length"
    assert len(seq.token_times) == num and seq.finish_time >= seq.token_times[0] >= seq.arrival_time


def script_engine(text, **options):
    engine = Engine(ScriptedModel(list(text), 3), ByteTokenizer(), num_blocks=64, block_size=4, **options)
    return engine


class PerfectDraft:
    """Proposes what the script says next, the end token and what stands behind it among it."""

    def __init__(self, script):
        self.script = list(script)

    def propose(self, seq):
        return self.script[seq.num_output_tokens :][:4], None

    def release(self, seq):
        pass


@pytest.mark.parametrize("with_draft", [False, True])
def test_end_token_and_stop_strings(with_draft):
    text = b"one two STOP three\x00four"
    draft = PerfectDraft(text) if with_draft else None
    seq = script_engine(text, draft=draft).generate(["abc"], SamplingParams(max_tokens=50))[0]
    assert (seq.text, seq.finish_reason) == ("one two STOP three", "stop")
    assert bytes(seq.output_token_ids) == text[:19], "the end token is the last, nothing of a draft stands behind it"
    seq = script_engine(text, draft=draft).generate(["abc"], SamplingParams(max_tokens=50, stop=("STOP", "zz")))[0]
    assert (seq.text, seq.finish_reason) == ("one two ", "stop")
    seq = script_engine(text, draft=draft).generate(["abc"], SamplingParams(max_tokens=21, ignore_eos=True))[0]
    assert (seq.num_output_tokens, seq.finish_reason) == (21, "length")
    seq = script_engine(text, draft=draft).generate(["abc"], SamplingParams(max_tokens=50, stop_token_ids=(ord("w"),)))[
        0
    ]
    assert (seq.text, seq.finish_reason) == ("one t", "stop")


@given(
    st.text(alphabet="ab€𝄞", max_size=12),
    st.lists(st.text(alphabet="ab€", min_size=1, max_size=3), max_size=2),
    st.data(),
)
def test_text_stream_equals_cutting_the_whole_text(text, stop, data):
    stream, tokens, got = TextStream(ByteDecoder(), stop), list(text.encode()), ""
    while tokens:
        size = data.draw(st.integers(1, 4))
        got += stream.push(tokens[:size], is_last=size >= len(tokens))
        tokens = tokens[size:]
        assert "\ufffd" not in got, "half a character came out"
    found = [place for place in map(text.find, stop) if place >= 0]
    assert got == text[: min(found, default=len(text))]
    assert stream.is_stopped == bool(found)


def test_a_character_cut_off_at_the_end_is_shown_as_broken():
    assert TextStream(ByteDecoder()).push([0xE2, 0x82], is_last=True) == "\ufffd"


def test_drafts_end_where_the_answer_and_the_context_end():
    class Eager:
        def propose(self, seq):
            return [1] * 4, None

        def release(self, seq):
            pass

    engine = Engine(model(), num_blocks=64, draft=Eager())
    seq = engine.generate([[1] * 1020], SamplingParams(max_tokens=4))[0]
    assert seq.num_output_tokens == 4
    assert engine.runner.num_draft_tokens <= 2 + 1  # the second token with up to 2 drafts behind it, the third with 1


def test_seeded_requests_repeat_in_any_company():
    params = [SamplingParams(temperature=1.0, top_p=0.95, seed=i, max_tokens=8) for i in range(6)]
    prompts = [[i, i + 1, i + 2] for i in range(6)]
    together = [seq.output_token_ids for seq in make().generate(prompts, params)]
    alone = [make(max_num_seqs=1).generate([p], [s])[0].output_token_ids for p, s in zip(prompts, params, strict=True)]
    assert together == alone
    other = make().generate([prompts[0]] * 2, [SamplingParams(temperature=1.0, max_tokens=8)] * 2)
    assert other[0].output_token_ids != other[1].output_token_ids, "without a seed two requests are alike"


def test_abort_gives_everything_back_at_any_moment():
    engine = make(max_num_seqs=2, max_num_batched_tokens=6, prefix_caching=False)
    sequences = [engine.add_request([i] * 10, SamplingParams(max_tokens=8)) for i in range(4)]
    for seq in (sequences[1], sequences[3]):  # one running by then, one still waiting
        engine.step()
        engine.abort(seq.seq_id)
        engine.abort(seq.seq_id)
        engine.check_invariants()
    while engine.has_unfinished:
        engine.step()
    assert [seq.finish_reason for seq in sequences] == ["length", "abort", "length", "abort"]
    assert engine.block_manager.num_free_blocks == 64
    assert engine.step() == [], "a step without work does nothing"


@pytest.mark.parametrize(
    "prompt, max_tokens, message",
    [
        ([], 1, "empty"),
        ([512], 1, "512 is outside the vocabulary of 512"),
        ([-1], 1, "-1 is outside the vocabulary of 512"),
        ([1] * 1020, 5, "exceed the model's context of 1024"),
        ([1] * 250, 8, "257 tokens do not fit into 256"),
    ],
)
def test_requests_that_cannot_be_served_are_refused(prompt, max_tokens, message):
    engine = make()
    with pytest.raises(ValueError, match=message):
        engine.add_request(prompt, SamplingParams(max_tokens=max_tokens))
    with pytest.raises(ValueError, match=message):
        engine.generate([[1, 2], prompt], SamplingParams(max_tokens=max_tokens))
    assert not engine.has_unfinished and engine.block_manager.num_free_blocks == 64


def test_sampling_with_drafts_has_the_law_of_sampling_without():
    """The law of the second token given the first, over many seeds, against the exact one (a z-test at 5 sigma)."""
    settings_ = {"temperature": 2.0, "top_k": 4, "max_tokens": 3}
    first = make().generate([[3, 1, 3, 1, 3]], SamplingParams(max_tokens=1))[0].output_token_ids

    class Draft:
        def propose(self, seq):
            return first, None

        def release(self, seq):
            pass

    num = 600
    engine = make(draft=Draft(), max_num_seqs=64)
    outputs = engine.generate([[3, 1, 3, 1, 3]] * num, [SamplingParams(**settings_, seed=i) for i in range(num)])
    assert 0 < engine.runner.num_accepted_tokens < engine.runner.num_draft_tokens
    start = outputs[0].output_token_ids[0]
    second = [seq.output_token_ids[1] for seq in outputs if seq.output_token_ids[0] == start]
    logits = model()(torch.tensor([[3, 1, 3, 1, 3, start]]))[:, -1]
    law = Sampler().probabilities(logits, [SamplingParams(**settings_)])[0].numpy()
    counts = np.bincount(second, minlength=512)
    spread = np.sqrt(len(second) * law * (1 - law))
    assert (np.abs(counts - len(second) * law) <= 5 * spread + 1e-9).all()


def test_every_part_can_be_replaced():
    calls = []

    class CountingManager(BlockManager):
        def allocate(self):
            calls.append("block manager")
            return super().allocate()

    class LatestFirst(Scheduler):
        def step(self):
            calls.append("scheduler")
            return super().step()

    def sampler(logits, params, generators):
        calls.append("sampler")
        return Sampler()(logits, params, generators)

    sampler.probabilities = Sampler().probabilities

    def step(p, q, draft_tokens, rng):
        calls.append("speculative step")
        assert p.shape == (len(draft_tokens) + 1, 512) and q.shape == (len(draft_tokens), 512)
        return speculative_step(p, q, draft_tokens, rng)

    manager = CountingManager(32)
    engine = Engine(
        model(),
        block_size=4,
        block_manager=manager,
        scheduler=LatestFirst(manager, 4),
        sampler=sampler,
        draft=NgramDraft(2, min_n=1),
        speculative_step=step,
    )
    assert engine.cache.num_blocks == 32
    prompt = [5, 6, 5, 6, 5]
    assert engine.generate([prompt], SamplingParams(max_tokens=8))[0].output_token_ids == (
        make().generate([prompt], SamplingParams(max_tokens=8))[0].output_token_ids
    )
    assert set(calls) == {"block manager", "scheduler", "sampler", "speculative step"}


class PlainScheduler:
    """The least a scheduler must be: whole prompts, first come first served, blocks for the whole answer at once."""

    def __init__(self, block_manager, block_size):
        self.block_manager, self.block_size = block_manager, block_size
        self.waiting, self.running = [], []

    @property
    def has_unfinished(self):
        return bool(self.waiting or self.running)

    def add(self, seq):
        self.waiting.append(seq)

    def step(self):
        for seq in list(self.waiting):
            needed = -(-(seq.num_prompt_tokens + seq.params.max_tokens) // self.block_size)
            if needed <= self.block_manager.num_free_blocks:
                seq.block_table = [self.block_manager.allocate() for _ in range(needed)]
                seq.status = Status.RUNNING
                self.waiting.remove(seq)
                self.running.append(seq)
        return SchedulerOutput([ScheduledRow(seq, seq.num_uncomputed_tokens) for seq in self.running])

    def update(self, seq):
        if seq.finish_reason:
            self.abort(seq)

    def abort(self, seq):
        for block in seq.block_table:
            self.block_manager.free(block)
        (self.running if seq in self.running else self.waiting).remove(seq)
        seq.block_table, seq.status = [], Status.FINISHED
        seq.finish_reason = seq.finish_reason or "abort"


def test_a_scheduler_of_thirty_lines_serves():
    prompts, params = [[i, 2, 3, 4, 5] for i in range(5)], SamplingParams(max_tokens=7)
    manager = BlockManager(7)
    engine = Engine(model(), block_size=4, block_manager=manager, scheduler=PlainScheduler(manager, 4))
    sequences = [engine.add(prompt, params) for prompt in prompts]
    while engine.has_unfinished:
        engine.step()
        engine.check_invariants()
    expected = make().generate(prompts, params)
    assert [s.output_token_ids for s in sequences] == [s.output_token_ids for s in expected]
    assert manager.num_free_blocks == 7
    AsyncEngine(engine)  # its metrics ask for no more than that


def test_a_scheduler_that_chooses_nobody_is_named():
    class Idle(Scheduler):
        def step(self):
            output = super().step()
            output.rows = []
            return output

    manager = BlockManager(8)
    engine = Engine(model(), block_size=4, block_manager=manager, scheduler=Idle(manager, 4))
    engine.add_request([1, 2])
    with pytest.raises(RuntimeError, match="never end"):
        engine.step()


@pytest.mark.parametrize(
    "harm, rule",
    [
        (lambda e, s: s.block_table.reverse(), "the cache holds positions"),
        (lambda e, s: setattr(s, "num_computed_tokens", s.num_computed_tokens - 3), None),
        (lambda e, s: e._sequences.clear(), "disagree"),
    ],
)
def test_invariants_see_the_cache(harm, rule):
    engine = make()
    seq = engine.add_request([1, 2, 3, 4, 5, 6], SamplingParams(max_tokens=9))
    engine.step()
    harm(engine, seq)
    if rule is None:  # fewer computed tokens than the cache holds is legal: they are computed again
        engine.check_invariants()
    else:
        with pytest.raises(InvariantError, match=rule):
            engine.check_invariants()


@settings(max_examples=25)
@given(st.data())
def test_random_workloads(data):
    """Arrivals, aborts and settings at random; the invariants hold after every step and nothing leaks."""
    draw = data.draw
    num_blocks, block_size = draw(st.integers(6, 20)), draw(st.sampled_from([2, 4, 8]))
    num_seqs = draw(st.integers(1, 5))
    engine = make(
        num_blocks=num_blocks,
        block_size=block_size,
        max_num_seqs=num_seqs,
        max_num_batched_tokens=draw(st.integers(num_seqs, 30)),
        prefix_caching=draw(st.booleans()),
        draft=draw(st.sampled_from([None, NgramDraft(3, min_n=1)])),
    )
    alive = []
    for _ in range(draw(st.integers(1, 25))):
        if draw(st.booleans()):
            prompt = draw(st.lists(st.integers(0, 2), min_size=1, max_size=num_blocks * block_size // 2))
            room = num_blocks * block_size - len(prompt)
            params = SamplingParams(
                temperature=draw(st.sampled_from([0.0, 1.0])), seed=1, max_tokens=min(room, draw(st.integers(1, 9)))
            )
            alive.append(engine.add_request(prompt, params))
        if alive and draw(st.integers(0, 9)) == 0:
            engine.abort(draw(st.sampled_from(alive)).seq_id)
        engine.step()
        engine.check_invariants()
    while engine.has_unfinished:
        engine.step()
        engine.check_invariants()
    assert all(seq.is_finished and seq.finish_reason for seq in alive)
    assert not engine._sequences and not engine._streams and not engine.runner._generators
    if engine.scheduler.prefix_cache is not None:
        engine.scheduler.prefix_cache.clear()
    assert engine.block_manager.num_free_blocks == num_blocks


@settings(max_examples=50)
@given(st.data())
def test_paged_cache_returns_what_was_written(data):
    """Interleaved sequences against one plain list each: K and V in order, and a mask that shows exactly the past."""
    draw, config, block_size = data.draw, model().config, 4
    cache_ = PagedKVCache(config, 12, block_size, torch.float64)
    manager = BlockManager(12)
    tables, held = [[], [], []], [torch.zeros(2, 0, 2, 16, dtype=torch.float64)] * 3
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    for _ in range(draw(st.integers(1, 4))):
        rows = draw(st.lists(st.sampled_from([0, 1, 2]), min_size=1, max_size=3, unique=True))
        counts = [min(draw(st.integers(1, 6)), 16 - held[r].shape[1]) for r in rows]
        rows, counts = zip(*[(r, c) for r, c in zip(rows, counts, strict=True) if c] or [(None, 0)], strict=True)
        if rows[0] is None:
            continue
        starts = [held[r].shape[1] for r in rows]
        for r, start, count in zip(rows, starts, counts, strict=True):
            while len(tables[r]) * block_size < start + count:
                tables[r].append(manager.allocate())
        cache_.begin([tables[r] for r in rows], starts, counts)
        width = max(counts)
        new = torch.randn(2, len(rows), 2, width, 16, dtype=torch.float64, generator=generator)
        positions = cache_.positions(width)
        k, v, mask = cache_.update(1, new[0], new[1])
        cache_.advance(width)
        for i, (r, start, count) in enumerate(zip(rows, starts, counts, strict=True)):
            held[r] = torch.cat([held[r], new[:, i, :, :count].transpose(1, 2)], dim=1)
            length = start + count
            assert positions[i, :count].tolist() == list(range(start, length))
            torch.testing.assert_close(
                torch.stack([k[i], v[i]])[:, :, :length].transpose(1, 2), held[r], rtol=0, atol=0
            )
            for column in range(count):
                assert mask[i, 0, column].nonzero()[:, 0].tolist() == list(range(start + column + 1))


def test_paged_cache_refuses_a_short_table():
    cache_ = PagedKVCache(model().config, 4, 4)
    with pytest.raises(ValueError, match="2 are needed"):
        cache_.begin([[0]], [3], [2])
    cache_.begin([[0]], [3], [1])
    with pytest.raises(ValueError, match="announced 1"):
        cache_.positions(2)
    with pytest.raises(ValueError, match="num_blocks=0"):
        PagedKVCache(model().config, 0)
    assert cache_.block_bytes == 2 * 2 * 4 * 2 * 16 * 4  # K and V, layers, tokens, heads, numbers, bytes
