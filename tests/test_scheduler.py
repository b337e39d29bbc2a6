"""The pure parts: blocks, prefix cache and scheduler, driven by a model that checks what it reads from the cache."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mini_engine.block_manager import BlockManager, InvariantError, OutOfBlocks, check_owners
from mini_engine.prefix_cache import PrefixCache, block_hashes
from mini_engine.scheduler import Scheduler
from mini_engine.sequence import SamplingParams, Sequence


def next_token(token_ids):
    """A deterministic stand-in for greedy decoding: depends on every token and its place."""
    return sum((i + 1) * token for i, token in enumerate(token_ids)) % 7


def plain_output(prompt, num_tokens):
    tokens = list(prompt)
    for _ in range(num_tokens):
        tokens.append(next_token(tokens))
    return tokens[len(prompt) :]


class CheckedCache:
    """Slots that remember which token at which position they hold; reading a wrong one fails."""

    def __init__(self, num_blocks, block_size):
        self.block_size = block_size
        self.slots = {(b, i): None for b in range(num_blocks) for i in range(block_size)}

    def copy(self, source, target):
        for i in range(self.block_size):
            self.slots[target, i] = self.slots[source, i]

    def slot(self, seq, position):
        return seq.block_table[position // self.block_size], position % self.block_size

    def write(self, row):
        seq, start = row.seq, row.seq.num_computed_tokens
        tokens = (seq.token_ids + seq.draft_token_ids)[start : start + row.num_new_tokens]
        assert len(tokens) == row.num_new_tokens
        for position, token in enumerate(tokens, start):
            self.slots[self.slot(seq, position)] = (position, token)

    def read(self, row):
        seq = row.seq
        length = seq.num_computed_tokens + row.num_new_tokens
        held = [self.slots[self.slot(seq, position)] for position in range(length)]
        assert [p for p, _ in held] == list(range(length)), "the table leads to other positions"
        tokens = [token for _, token in held]
        assert tokens == (seq.token_ids + seq.draft_token_ids)[:length], "the table leads to other tokens"
        return tokens


def run_step(scheduler, cache, draft_length=0):
    """One engine step with `next_token` as the model and a draft that is right at first and then wrong."""
    for seq in scheduler.running:
        if seq.num_uncomputed_tokens == 1 and draft_length:
            seq.draft_token_ids = plain_output(seq.token_ids, draft_length)
            seq.draft_token_ids[-1] = (seq.draft_token_ids[-1] + seq.num_tokens % 2) % 7
    output = scheduler.step()
    assert output.rows, "nothing was scheduled although requests wait: they would wait for ever"
    assert output.num_tokens <= scheduler.max_num_batched_tokens
    assert not set(output.preempted) & {row.seq for row in output.rows}, "preempted and computed in one step"
    for source, target in output.copies:
        cache.copy(source, target)
    for row in output.rows:
        cache.write(row)
    for row in output.rows:
        tokens, new = cache.read(row), []
        if row.is_last_chunk:
            num_draft = len(row.seq.draft_token_ids)
            for i, draft in enumerate([*row.seq.draft_token_ids, None]):
                new.append(next_token(tokens[: len(tokens) - num_draft + i]))
                if new[-1] != draft:
                    break
        row.seq.commit(row.num_new_tokens, new)
        scheduler.update(row.seq)
    scheduler.check_invariants()
    return output


@st.composite
def workloads(draw):
    block_size = draw(st.integers(1, 4))
    num_blocks = draw(st.integers(6, 24))
    capacity = num_blocks * block_size
    system = draw(st.lists(st.integers(0, 2), max_size=capacity // 2))
    requests = []
    for _ in range(draw(st.integers(1, 8))):
        cut = draw(st.integers(0, len(system)))
        own = draw(st.lists(st.integers(0, 2), min_size=1, max_size=max(1, capacity // 3)))
        max_tokens = draw(st.integers(1, max(1, capacity - cut - len(own))))
        requests.append(((system[:cut] + own)[:capacity], min(max_tokens, 12), draw(st.integers(0, 6))))
    max_num_seqs = draw(st.integers(1, 6))
    options = {
        "max_num_seqs": max_num_seqs,
        "max_num_batched_tokens": draw(st.integers(max_num_seqs, 40)),
        "watermark": draw(st.sampled_from([0.0, 0.2])),
    }
    return block_size, num_blocks, requests, options, draw(st.booleans()), draw(st.integers(0, 3))


@settings(max_examples=300)
@given(workloads(), st.data())
def test_random_workloads_end_right_and_leak_nothing(workload, data):
    block_size, num_blocks, requests, options, use_prefix_cache, draft_length = workload
    manager = BlockManager(num_blocks)
    prefix_cache = PrefixCache(manager, block_size) if use_prefix_cache else None
    scheduler = Scheduler(manager, block_size, prefix_cache=prefix_cache, **options)
    cache = CheckedCache(num_blocks, block_size)
    sequences, num_steps = [], 0
    pending = list(enumerate(requests))
    aborted = set()
    while pending or scheduler.has_unfinished:
        for index, (prompt, max_tokens, arrival) in list(pending):
            if arrival <= num_steps:
                seq = Sequence(index, prompt, SamplingParams(max_tokens=max_tokens))
                pending.remove((index, (prompt, max_tokens, arrival)))
                try:
                    scheduler.add(seq)
                except ValueError:
                    assert len(prompt) + max_tokens - 1 > num_blocks * block_size
                    continue
                sequences.append(seq)
        if scheduler.has_unfinished:
            run_step(scheduler, cache, draft_length)
        if sequences and data.draw(st.integers(0, 19)) == 0:
            victim = data.draw(st.sampled_from(sequences))
            if not victim.is_finished:
                aborted.add(victim.seq_id)
            scheduler.abort(victim)
            scheduler.check_invariants()
        num_steps += 1
        assert num_steps < 2000, "the requests do not end"
    for seq in sequences:
        seq.check_invariants(block_size)
        expected = plain_output(seq.prompt_token_ids, seq.params.max_tokens)
        if seq.seq_id in aborted:
            assert seq.output_token_ids == expected[: seq.num_output_tokens]
        else:
            assert seq.output_token_ids == expected
    if prefix_cache is not None:
        prefix_cache.clear()
    assert manager.num_free_blocks == num_blocks


def make(num_blocks=8, block_size=4, prefix=True, **options):
    manager = BlockManager(num_blocks)
    prefix_cache = PrefixCache(manager, block_size) if prefix else None
    return Scheduler(manager, block_size, prefix_cache=prefix_cache, **options), CheckedCache(num_blocks, block_size)


def finish(scheduler, cache, *sequences, draft_length=0):
    for seq in sequences:
        scheduler.add(seq)
    outputs = []
    while scheduler.has_unfinished:
        outputs.append(run_step(scheduler, cache, draft_length))
    return outputs


def test_fully_cached_prompt_computes_its_last_token_in_a_copied_block():
    scheduler, cache = make()
    finish(scheduler, cache, Sequence(0, [1] * 8, SamplingParams(max_tokens=2)))
    second = Sequence(1, [1] * 8, SamplingParams(max_tokens=2))
    outputs = finish(scheduler, cache, second)
    assert second.num_cached_tokens == 7
    assert [row.num_new_tokens for row in outputs[0].rows] == [1]
    assert len(outputs[0].copies) == 1


def test_fully_cached_prompt_that_fills_the_pool_recomputes_a_block_instead_of_copying():
    scheduler, cache = make(num_blocks=2)
    finish(scheduler, cache, Sequence(0, [1] * 8, SamplingParams(max_tokens=1)))
    second = Sequence(1, [1] * 8, SamplingParams(max_tokens=1))
    outputs = finish(scheduler, cache, second)
    assert second.num_cached_tokens == 4 and not outputs[0].copies


def test_same_block_after_another_prefix_is_not_a_hit():
    scheduler, cache = make(num_blocks=16)
    finish(scheduler, cache, Sequence(0, [1, 1, 1, 1, 5, 5, 5, 5, 2], SamplingParams(max_tokens=1)))
    other = Sequence(1, [2, 2, 2, 2, 5, 5, 5, 5, 2], SamplingParams(max_tokens=1))
    finish(scheduler, cache, other)
    assert other.num_cached_tokens == 0
    assert block_hashes([1, 1, 5, 5], 2)[1] != block_hashes([2, 2, 5, 5], 2)[1]
    assert len(block_hashes([1, 2, 3], 2)) == 1, "a partial block has no digest"
    assert block_hashes([1, 2, 3, 4], 2, known=block_hashes([1, 2], 2)) == block_hashes([1, 2, 3, 4], 2)


def test_duplicate_prompts_in_one_batch_keep_their_own_blocks():
    scheduler, cache = make(num_blocks=16)
    twins = [Sequence(i, [3] * 8, SamplingParams(max_tokens=3)) for i in range(2)]
    finish(scheduler, cache, *twins)
    assert twins[0].output_token_ids == twins[1].output_token_ids
    assert len(scheduler.prefix_cache) == 2  # the third block is not full: the last token is never fed back


def test_preempted_request_resumes_through_the_prefix_cache():
    scheduler, cache = make(num_blocks=5, watermark=0.0)
    long = [Sequence(i, [i, 1, 2, 3], SamplingParams(max_tokens=12)) for i in range(2)]
    outputs = finish(scheduler, cache, *long)
    assert long[1].num_preemptions >= 1 and any(output.preempted for output in outputs)
    assert [seq.output_token_ids for seq in long] == [plain_output(seq.prompt_token_ids, 12) for seq in long]


def test_decodes_come_first_and_a_chunk_takes_what_is_left():
    scheduler, cache = make(num_blocks=32, prefix=False, max_num_seqs=4, max_num_batched_tokens=6)
    scheduler.add(Sequence(0, [1, 2], SamplingParams(max_tokens=6)))
    run_step(scheduler, cache)
    scheduler.add(Sequence(1, [1] * 12, SamplingParams(max_tokens=2)))
    shares = [[row.num_new_tokens for row in run_step(scheduler, cache).rows] for _ in range(3)]
    assert shares == [[1, 5], [1, 5], [1, 2]]


def test_without_chunking_a_prompt_waits_for_a_whole_budget():
    scheduler, cache = make(32, prefix=False, max_num_seqs=4, max_num_batched_tokens=14, chunked_prefill=False)
    prompts = [Sequence(i, [1] * 8, SamplingParams(max_tokens=3)) for i in range(2)]
    outputs = finish(scheduler, cache, *prompts)
    assert [[row.num_new_tokens for row in output.rows] for output in outputs[:2]] == [[8], [1, 8]]


def test_request_that_can_never_fit_is_refused():
    scheduler, _ = make(num_blocks=2)
    with pytest.raises(ValueError, match="9 tokens do not fit into 8"):
        scheduler.add(Sequence(0, [1] * 8, SamplingParams(max_tokens=2)))
    with pytest.raises(ValueError, match="max_num_seqs=8"):
        make(max_num_seqs=8, max_num_batched_tokens=4)


def test_eviction_takes_the_least_recently_used_and_never_a_block_in_use():
    manager = BlockManager(4)
    cache = PrefixCache(manager, 2)
    tables = {}
    for name, tokens in (("a", [1, 2]), ("b", [3, 4]), ("c", [5, 6])):
        tables[name] = [manager.allocate()]
        cache.insert(block_hashes(tokens, 2), tables[name])
    manager.free(tables["a"][0])
    manager.free(tables["b"][0])
    assert cache.match([1, 2, 9])[0] == tables["a"]  # a is used again, so b is the oldest that is not
    assert cache.evict(5) == 1
    assert cache.match([3, 4, 9]) == ([], 0)
    assert manager.num_free_blocks == 2
    manager.free(tables["a"][0])
    manager.free(tables["c"][0])  # both unused now; c was inserted later, but a was used later
    assert cache.evict(1) == 1 and len(cache.match([1, 2, 9])[0]) == 1


def test_a_chain_is_evicted_from_its_end():
    manager = BlockManager(3)
    cache = PrefixCache(manager, 1)
    table = [manager.allocate() for _ in range(3)]
    cache.insert(block_hashes([1, 2, 3], 1), table)
    for block in table:
        manager.free(block)
    cache.evict(1)
    blocks, num_cached = cache.match([1, 2, 3])
    assert (blocks, num_cached) == (table[:2], 2)
    for block in blocks:
        manager.free(block)
    cache.evict(1)  # a hit, too, must leave the end of the chain the first to go
    assert cache.match([1, 2, 3])[0] == table[:1]


def test_block_manager_counts_owners():
    manager = BlockManager(2)
    block = manager.allocate()
    manager.fork(block)
    manager.free(block)
    assert manager.num_free_blocks == 1
    manager.free(block)
    with pytest.raises(ValueError, match=f"block {block} is already free"):
        manager.free(block)
    with pytest.raises(ValueError, match="cannot be shared"):
        manager.fork(block)
    assert {manager.allocate(), manager.allocate()} == {0, 1}
    with pytest.raises(OutOfBlocks):
        manager.allocate()
    manager.check_invariants()
    with pytest.raises(ValueError, match="0"):
        BlockManager(0)


@pytest.mark.parametrize(
    "harm, rule",
    [
        (lambda s: s.block_manager.free(s.running[0].block_table[0]), "owners list it"),
        (lambda s: s.running[0].block_table.pop(), "owners list it|tokens in"),
        (lambda s: setattr(s.running[0], "num_computed_tokens", s.running[0].num_tokens), "no token left"),
        (lambda s: s.waiting.append(s.running[0]), "among the waiting"),
        (lambda s: s.block_manager._free.append(s.block_manager._free[0]), "free"),
    ],
)
def test_invariants_name_the_broken_rule(harm, rule):
    scheduler, cache = make(num_blocks=8, prefix=False)
    scheduler.add(Sequence(0, [1] * 6, SamplingParams(max_tokens=4)))
    run_step(scheduler, cache)
    harm(scheduler)
    with pytest.raises(InvariantError, match=rule):
        scheduler.check_invariants()


def test_double_ownership_is_found():
    manager = BlockManager(2)
    block = manager.allocate()
    with pytest.raises(InvariantError, match="reference count 1 but 2"):
        check_owners(manager, [[block], [block]])


@pytest.mark.parametrize(
    "field, value",
    [("temperature", -1.0), ("temperature", float("nan")), ("top_k", -1), ("top_p", 0.0), ("top_p", 1.1)]
    + [("min_p", 2.0), ("max_tokens", 0), ("stop", "text"), ("stop", ("",))],
)
def test_sampling_params_name_the_bad_field(field, value):
    with pytest.raises(ValueError, match=field):
        SamplingParams(**{field: value})


def test_sequence_stops_at_eos_inside_an_accepted_draft():
    seq = Sequence(0, [1, 2], SamplingParams(max_tokens=9))
    seq.commit(2, [3])
    seq.draft_token_ids = [4, 0, 5]
    seq.commit(4, [4, 0, 5, 6], now=2.0, eos_token_id=0)
    assert seq.output_token_ids == [3, 4, 0] and seq.finish_reason == "stop"
    assert seq.num_computed_tokens == 4  # 1, 2, 3, 4: the end token is not fed
    with pytest.raises(ValueError, match="empty"):
        Sequence(0, [])


def test_the_watermark_keeps_room_for_the_running_but_never_stops_the_only_one():
    scheduler, cache = make(num_blocks=10, prefix=False, watermark=0.5)
    for i in range(2):
        scheduler.add(Sequence(i, [1] * 24, SamplingParams(max_tokens=2)))
    run_step(scheduler, cache)
    assert [seq.seq_id for seq in scheduler.running] == [0], "6 of 10 blocks although 5 are in reserve: it runs alone"
    scheduler, cache = make(num_blocks=10, prefix=False, watermark=0.5)
    for size in (8, 12, 12):
        scheduler.add(Sequence(size, [1] * size, SamplingParams(max_tokens=2)))
    run_step(scheduler, cache)
    assert [seq.num_prompt_tokens for seq in scheduler.running] == [8, 12], "2 + 3 blocks leave 5, a third would not"


def test_preempted_request_goes_before_those_that_never_ran():
    scheduler, cache = make(num_blocks=5, prefix=False, watermark=0.0, max_num_seqs=2)
    for i in range(3):
        scheduler.add(Sequence(i, [i, 1, 2, 3], SamplingParams(max_tokens=12)))
    while not (output := run_step(scheduler, cache)).preempted:
        pass
    assert [seq.seq_id for seq in output.preempted] == [1]
    assert [seq.seq_id for seq in scheduler.waiting] == [1, 2]
