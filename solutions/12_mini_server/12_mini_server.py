# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 12 · A server of your own
#
# Everything meets here. You write the scheduler and the engine loop that turn single requests into a served batch, the text that goes over HTTP, the load test that measures any server, the ablation that says what each part brought, and the checks that say whether the answers are still right. The chapter *A server of your own* of the book shows the same parts of the reference engine.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs. Every exercise stands alone: if one does not work yet, go on with the next.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant.

# %% setup=True
import json
import math
import time
import urllib.request
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from mini_engine import engine as reference_engine
from mini_engine import scheduler as reference_scheduler
from mini_engine.accounting import num_blocks_for
from mini_engine.block_manager import BlockManager, OutOfBlocks, check_owners
from mini_engine.config import TINY
from mini_engine.generate import generate as generate_one
from mini_engine.model import Llama
from mini_engine.plotting import figure, show
from mini_engine.prefix_cache import PrefixCache
from mini_engine.quant.modules import quantize_model
from mini_engine.scheduler import ScheduledRow, SchedulerOutput
from mini_engine.sequence import SamplingParams, Sequence, Status
from mini_engine.speculative import NgramDraft
from mini_engine.weights import load_tiny


def schedule_step(state, token_budget):
    """Chapter 10's rows [id, num_new] of a step: decodes first, then running prefills, then waiting sequences.

    state: dict with "running" and "waiting" (lists of {"id", "tokens", "computed"}) and "max_num_seqs".
    """
    running, rows = state["running"], []
    decodes = [seq for seq in running if seq["tokens"] - seq["computed"] == 1]
    prefills = [seq for seq in running if seq["tokens"] - seq["computed"] > 1]
    joining = state["waiting"][: max(state["max_num_seqs"] - len(running), 0)]
    for seq in (*decodes, *prefills, *joining):
        num_new = min(seq["tokens"] - seq["computed"], token_budget)
        if num_new:
            rows.append([seq["id"], num_new])
            token_budget -= num_new
    return rows


STAGES = ("naive", "+ cache", "+ batching", "+ paging", "+ prefix reuse", "+ int4", "+ speculation")


def toy_next(history):
    """The toy model's next token after a list of tokens: any token in another place gives another answer."""
    return (7 * sum((i + 1) * token for i, token in enumerate(history)) + 3) % 97


def toy_answer(prompt, max_tokens, eos_token_id=None):
    """What the toy model writes after a prompt, alone and without any cache."""
    text = list(prompt)
    while len(text) < len(prompt) + max_tokens and (len(text) == len(prompt) or text[-1] != eos_token_id):
        text.append(toy_next(text))
    return text[len(prompt) :]


class ToyModel:
    """A model without arithmetic: it writes each fed token into its slot and reads the history through the table.

    Called with the rows of a step (objects with .seq and .num_new_tokens), it returns one row of logits [97] for each:
    what follows the last token fed. A token that was never fed, or a block of somebody else, gives a wrong answer.
    """

    lends = ("block_size", "copy_blocks")  # what the tests let your code use

    def __init__(self, num_blocks, block_size=4):
        self.slots = [[0] * block_size for _ in range(num_blocks)]
        self.block_size = block_size
        self.passes = []  # for each call, the tokens fed per sequence
        self.num_copies = 0

    def slot(self, seq, position):
        return self.slots[seq.block_table[position // self.block_size]]

    def __call__(self, rows):
        self.passes.append({row.seq.seq_id: row.num_new_tokens for row in rows})
        ends = [row.seq.num_computed_tokens + row.num_new_tokens for row in rows]
        for row, end in zip(rows, ends, strict=True):
            for i in range(row.seq.num_computed_tokens, end):
                self.slot(row.seq, i)[i % self.block_size] = row.seq.token_ids[i]
        histories = [
            [self.slot(row.seq, i)[i % self.block_size] for i in range(end)]
            for row, end in zip(rows, ends, strict=True)
        ]
        return [np.eye(97)[toy_next(history)] for history in histories]

    def copy_blocks(self, copies):
        """Copy whole blocks, (source, target) pairs in order."""
        self.num_copies += len(copies)
        for source, target in copies:
            self.slots[target] = list(self.slots[source])


PROMPTS = tuple(f"Question {i}: what is a {word}?" for i, word in enumerate(("cat", "prime", "river", "byte") * 2))


def open_stream(url, body):
    """Post body as JSON and yield the lines of the response. Raises OSError (urllib's errors are OSErrors)."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        for line in response:
            yield line.decode().rstrip("\r\n")


# %% [markdown] task="sse_events" stars=1 minutes=20
# ## 1. Tokens over HTTP
#
# A streamed answer travels as *server-sent events*: lines of text in one long HTTP response. Each event is the word `data:`, a blank, one line of JSON, and an **empty line** that ends it. OpenAI's API closes the stream with the event `data: [DONE]`.
#
# Write the generator `sse_events(outputs, request_id, model, created, chat=False)`. `outputs` yields pairs `(text, finish_reason)` as the engine makes them; `finish_reason` is `None` until the last pair. Yield one string per event. Its JSON object has these keys:
#
# | key | completions | chat |
# |---|---|---|
# | `"id"`, `"model"`, `"created"` | as given | as given |
# | `"object"` | `"text_completion"` | `"chat.completion.chunk"` |
# | `"choices"` | a list of one dict: `"index"` 0, `"text"`, `"finish_reason"` | a list of one dict: `"index"` 0, `"delta"`, `"finish_reason"` |
#
# In chat the first event's `"delta"` is `{"role": "assistant", "content": text}`, the later ones are `{"content": text}`. A pair with empty text and no finish reason sends nothing: the engine gives such a pair while it holds half a character back. A blank or a line break is text and is sent. Yield each event **before** you ask for the next pair, else nothing streams. End with `"data: [DONE]\n\n"`.
#
# Example: `("Hi\n", None)` becomes `data: {"id": "c1", …, "choices": [{"index": 0, "text": "Hi\n", "finish_reason": null}]}` and an empty line. The line break of the text stands in the JSON as the two characters `\n`.
#
# The format: the HTML standard, section *Server-sent events*; OpenAI's API reference, *Streaming*.
#
# <details><summary>Hint 1</summary>
#
# What ends an event for the browser? What would happen if the text itself held two line breaks, and who can prevent that?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `json.dumps` escapes line breaks and writes `None` as `null`. Keep a flag for the first event.
#
# </details>


# %% solution="sse_events"
def sse_events(outputs, request_id, model, created, chat=False):
    """Yield the server-sent events (str) of one streamed answer, the last one `data: [DONE]`.

    outputs: an iterable of (text, finish_reason or None). request_id, model: str. created: seconds since 1970, an int.
    """
    ### BEGIN SOLUTION
    is_first = True
    for text, finish_reason in outputs:
        if not text and finish_reason is None:
            continue
        if chat:
            content = {"delta": {"role": "assistant", "content": text} if is_first else {"content": text}}
        else:
            content = {"text": text}
        is_first = False
        event = {
            "id": request_id,
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": created,
            "model": model,
            "choices": [{"index": 0, **content, "finish_reason": finish_reason}],
        }
        yield f"data: {json.dumps(event)}\n\n"
    yield "data: [DONE]\n\n"
    ### END SOLUTION


# %% tryit="sse_events"
for event in sse_events([("Paris", None), (".\n", None), ("", "stop")], "chatcmpl-1", "tiny", 1_760_000_000, chat=True):
    print(repr(event))


# %% test="sse_events" points=1
def test_sse_events():
    import json

    events = list(sse_events([("Hi\n", None), ("", None), ("you", "stop")], "c1", "tiny", 17))
    assert events, "sse_events yielded nothing"
    assert all(isinstance(event, str) for event in events), "yield strings"
    assert all(event.endswith("\n\n") for event in events), "an event ends with an empty line: two line breaks"
    assert events[-1] == "data: [DONE]\n\n", f"the stream ends with 'data: [DONE]', yours with {events[-1]!r}"
    assert len(events) != 4, "the pair ('', None) has nothing to say and sends nothing"
    assert len(events) == 3, f"two pairs with something to say, then [DONE]: 3 events, you sent {len(events)}"
    assert all(event.count("\n") == 2 for event in events), (
        "a line break inside an event cuts it: json.dumps escapes it"
    )
    first = json.loads(events[0].removeprefix("data: "))
    assert first["object"] == "text_completion", f"object is 'text_completion', yours is {first['object']!r}"
    want = {"index": 0, "text": "Hi\n", "finish_reason": None}
    got = [{key: choice.get(key, "missing") for key in want} for choice in first["choices"]]
    assert got == [want], f"choices should be [{want}], yours is {first['choices']}"


test_sse_events()


# %% hidden="sse_events" points=2
def hidden_sse_events():
    import json

    taken = []

    def pairs():
        for i, pair in enumerate([("", None), ('a"b', None), ("é\n\ndata: x", None), (" \n", None), ("", "length")]):
            taken.append(i)
            yield pair

    for chat in (False, True):
        taken.clear()
        stream = sse_events(pairs(), "id-7", "m", 99, chat)
        next(stream)
        assert taken == [0, 1], "the first event must leave before the third pair is asked for: yield as they come"
        events = [*sse_events(pairs(), "id-7", "m", 99, chat)]
        assert events[-1] == "data: [DONE]\n\n", f"chat={chat}: no [DONE] at the end"
        assert all(e.startswith("data: ") and e.endswith("\n\n") and e.count("\n") == 2 for e in events), (
            f"chat={chat}: every event is one line 'data: …' and an empty line"
        )
        bodies = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
        for body in bodies:
            head = {key: body.get(key) for key in ("id", "model", "created", "object")}
            kind = "chat.completion.chunk" if chat else "text_completion"
            want = {"id": "id-7", "model": "m", "created": 99, "object": kind}
            assert head == want, f"chat={chat}: the head should be {want}, yours is {head}"
            assert len(body["choices"]) == 1 and body["choices"][0]["index"] == 0, "one choice with index 0"
        choices = [body["choices"][0] for body in bodies]
        assert [c["finish_reason"] for c in choices] == [None, None, None, "length"], (
            f"chat={chat}: pieces of white space are text too; finish_reason is null until the last event, yours: {[c['finish_reason'] for c in choices]}"
        )
        texts = ['a"b', "é\n\ndata: x", " \n", ""]
        if chat:
            want = [{"role": "assistant", "content": texts[0]}, *({"content": text} for text in texts[1:])]
            assert [c["delta"] for c in choices] == want, f"the deltas should be {want} (the role comes once)"
        else:
            assert [c["text"] for c in choices] == texts, f"the texts should be {texts}"
    assert list(sse_events([], "x", "m", 1)) == ["data: [DONE]\n\n"], "an empty answer still ends with [DONE]"


hidden_sse_events()

# %% [markdown] task="Scheduler" stars=3 minutes=45
# ## 2. The scheduler
#
# The scheduler decides, before every pass, which sequences compute how many tokens. You wrote that decision in chapter 10: `schedule_step(state, token_budget)` stands ready-made in the set-up cell, so call it and do not write its loops again. What is new here is everything that a served engine needs around it: sequences instead of dicts, blocks that are really taken and given back, and requests that end or are aborted at any moment. Write `class Scheduler`; the reference engine will serve requests with it.
#
# Parts you are given: a `BlockManager` (`allocate()`, `free(block)`, `num_free_blocks`, `num_blocks`), and `Sequence` objects with `seq_id`, `num_prompt_tokens`, `params.max_tokens`, `num_uncomputed_tokens` (tokens not yet fed: 1 in decode, more in prefill), `block_table` (a list of blocks, yours to fill), `status` and `finish_reason`.
#
# | method | does |
# |---|---|
# | `__init__(block_manager, block_size, max_num_seqs=8, max_num_batched_tokens=64)` | keeps `waiting` (a deque) and `running` (a list). `ValueError` unless $1 \le$ `max_num_seqs` $\le$ `max_num_batched_tokens` |
# | `has_unfinished` | whether any sequence waits or runs |
# | `add(seq)` | queues a sequence. `ValueError` if it needs more blocks than the pool has: it would wait for ever |
# | `step()` | a `SchedulerOutput` whose `rows` are `ScheduledRow(seq, num_new_tokens)` |
# | `update(seq)` | after the pass: a sequence with a `finish_reason` is taken out as `abort` does |
# | `abort(seq)` | takes a sequence out wherever it is, frees its blocks, empties its table, sets `Status.FINISHED` and, if there is none, the finish reason `"abort"`. A finished one is left alone |
#
# What `step()` adds to `schedule_step` is memory:
# 1. It offers `schedule_step` the running sequences, and of the queue only the front, as far as the free blocks last: each sequence counts with the blocks of its whole life. The first one that does not fit ends the offer, and nobody behind it may pass.
# 2. `schedule_step` returns the rows: decodes, then running prefills, then those of the queue for whom a slot (`max_num_seqs`) and some of the budget (`max_num_batched_tokens`) are left.
# 3. A waiting sequence that has a row is admitted: it moves from `waiting` to `running`, takes all its blocks and gets `Status.RUNNING`. One without a row stays where it is and holds nothing.
#
# "Its whole life" is prompt + `max_tokens` − 1 tokens, rounded up to blocks: the last token is never fed back. With all blocks reserved at admission no request can run out later. That is safe and wasteful; chapter 10 has the other way, to allocate as tokens come and preempt.
#
# Example, `max_num_seqs` 4, budget 6, block size 4, prompts of 5 and 9 tokens: step 1 computes 5 + 1, step 2 (the first one decodes) 1 + 5, step 3 is 1 + 3.
#
# Orca (Yu et al., OSDI 2022) schedules between iterations; Sarathi-Serve (arXiv 2403.02310) cuts prompts into chunks beside the decodes.
#
# <details><summary>Hint 1</summary>
#
# A sequence becomes a dict for `schedule_step`: `"id"` is its `seq_id`; with `"tokens"` set to `num_uncomputed_tokens` and `"computed"` to 0 the difference is right. A dict from id to sequence leads back from the rows.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Count before you take: start from `num_free_blocks`, walk the queue from its head, subtract `num_blocks_for(prompt + max_tokens - 1, block_size)` for each sequence, and stop at the first that would make it negative. Blocks are taken only in the loop over the rows, where `status` tells who is new.
#
# </details>


# %% solution="Scheduler"
class Scheduler:
    """Continuous batching with a token budget and blocks reserved at admission.

    block_manager: a BlockManager. block_size: tokens per block. max_num_seqs: sequences that run at once.
    max_num_batched_tokens: tokens per step. Raises ValueError unless 1 <= max_num_seqs <= max_num_batched_tokens.
    """

    def __init__(self, block_manager, block_size, max_num_seqs=8, max_num_batched_tokens=64):
        ### BEGIN SOLUTION
        if not 1 <= max_num_seqs <= max_num_batched_tokens:
            raise ValueError(f"{max_num_batched_tokens=} must be at least {max_num_seqs=}, and that at least 1")
        self.block_manager, self.block_size = block_manager, block_size
        self.max_num_seqs, self.max_num_batched_tokens = max_num_seqs, max_num_batched_tokens
        self.waiting, self.running = deque(), []
        ### END SOLUTION

    @property
    def has_unfinished(self):
        """Whether any sequence waits or runs."""
        ### BEGIN SOLUTION
        return bool(self.waiting or self.running)
        ### END SOLUTION

    def add(self, seq):
        """Queue a sequence. Raises ValueError when its blocks exceed the pool."""
        ### BEGIN SOLUTION
        if self.life(seq) > self.block_manager.num_blocks:
            raise ValueError(f"the request needs {self.life(seq)} blocks, the pool has {self.block_manager.num_blocks}")
        self.waiting.append(seq)
        ### END SOLUTION

    def step(self):
        """Choose the rows of the next pass: a SchedulerOutput with rows of ScheduledRow(seq, num_new_tokens)."""
        ### BEGIN SOLUTION
        room, joining = self.block_manager.num_free_blocks, []
        for seq in self.waiting:
            room -= self.life(seq)
            if room < 0:
                break
            joining.append(seq)
        sequences = {seq.seq_id: seq for seq in (*self.running, *joining)}
        running, waiting = (
            [{"id": seq.seq_id, "tokens": seq.num_uncomputed_tokens, "computed": 0} for seq in group]
            for group in (self.running, joining)
        )
        state = {"running": running, "waiting": waiting, "max_num_seqs": self.max_num_seqs}
        rows = []
        for seq_id, num_new in schedule_step(state, self.max_num_batched_tokens):
            seq = sequences[seq_id]
            if seq.status is Status.WAITING:
                self.running.append(self.waiting.popleft())
                seq.block_table = [self.block_manager.allocate() for _ in range(self.life(seq))]
                seq.status = Status.RUNNING
            rows.append(ScheduledRow(seq, num_new))
        return SchedulerOutput(rows)
        ### END SOLUTION

    def update(self, seq):
        """After a pass: take a sequence out that has a finish_reason."""
        ### BEGIN SOLUTION
        if seq.finish_reason:
            self.abort(seq)
        ### END SOLUTION

    def abort(self, seq):
        """End a sequence and give its blocks back; a finished one is left alone."""
        ### BEGIN SOLUTION
        if seq.status is Status.FINISHED:
            return
        (self.running if seq.status is Status.RUNNING else self.waiting).remove(seq)
        for block in seq.block_table:
            self.block_manager.free(block)
        seq.block_table = []
        seq.status = Status.FINISHED
        seq.finish_reason = seq.finish_reason or "abort"

    def life(self, seq):
        """Blocks of a sequence's whole life; its last token is never fed back."""
        return num_blocks_for(seq.num_prompt_tokens + seq.params.max_tokens - 1, self.block_size)
        ### END SOLUTION


# %% tryit="Scheduler"
manager = BlockManager(64)
engine = reference_engine.Engine(
    Llama(*load_tiny()), block_size=8, block_manager=manager, scheduler=Scheduler(manager, 8, 4, 16)
)
prompts = [[5, 17, 400], list(range(3, 31)), [8] * 10, [77, 12]]
for seq in engine.generate(prompts, SamplingParams(max_tokens=6)):
    print(f"prompt of {seq.num_prompt_tokens:2} tokens -> {seq.output_token_ids}")
print(engine.stats.num_steps, "steps;", manager.num_free_blocks, "of", manager.num_blocks, "blocks free")


# %% test="Scheduler" points=3
def test_Scheduler():
    from mini_engine.block_manager import BlockManager
    from mini_engine.sequence import SamplingParams, Sequence, Status

    manager = BlockManager(20)
    scheduler = Scheduler(manager, 4, max_num_seqs=4, max_num_batched_tokens=6)
    assert not scheduler.has_unfinished, "a new scheduler has nothing unfinished"
    first, second = (Sequence(i, [1] * n, SamplingParams(max_tokens=4)) for i, n in enumerate((5, 9)))
    scheduler.add(first)
    scheduler.add(second)
    assert manager.num_free_blocks == 20, "a waiting sequence holds no blocks: take them at admission, not in add"
    seen = []
    for _ in range(3):
        output = scheduler.step()
        assert output is not None, "step returned None: return a SchedulerOutput"
        seen.append([(row.seq.seq_id, row.num_new_tokens) for row in output.rows])
        assert sum(n for _, n in seen[-1]) <= 6, f"the budget is 6 tokens, your step has {seen[-1]}"
        for row in output.rows:
            ends = row.is_last_chunk
            row.seq.commit(row.num_new_tokens, [7] if ends else [])
            scheduler.update(row.seq)
    want = [[(0, 5), (1, 1)], [(0, 1), (1, 5)], [(0, 1), (1, 3)]]
    assert seen == want, f"(sequence, tokens) of the steps should be {want}, yours are {seen}"
    assert len(first.block_table) == 2 and len(second.block_table) == 3, (
        f"5 + 4 - 1 = 8 tokens are 2 blocks, 9 + 4 - 1 = 12 are 3; "
        f"yours hold {len(first.block_table)} and {len(second.block_table)}"
    )
    scheduler.abort(second)
    assert manager.num_free_blocks == 18, f"after the abort 18 of 20 blocks are free, not {manager.num_free_blocks}"
    assert second.status is Status.FINISHED and second.finish_reason == "abort", "an aborted sequence is FINISHED"
    assert not second.block_table, "empty the block table when its blocks are freed, or they will be freed twice"
    try:
        scheduler.add(Sequence(9, [1] * 70, SamplingParams(max_tokens=12)))
    except ValueError:
        pass
    else:
        raise AssertionError("81 tokens never fit into 20 blocks of 4: reject in add, or the request waits for ever")


test_Scheduler()


# %% hidden="Scheduler" points=6
def hidden_Scheduler():
    import numpy as np
    import torch

    from mini_engine.block_manager import BlockManager, check_owners
    from mini_engine.engine import Engine
    from mini_engine.generate import generate
    from mini_engine.model import Llama
    from mini_engine.sequence import SamplingParams, Sequence, Status
    from mini_engine.weights import load_tiny

    for bad in ((0, 5), (6, 5), (-1, 4)):
        try:
            Scheduler(BlockManager(4), 4, *bad)
        except ValueError:
            continue
        raise AssertionError(f"max_num_seqs, max_num_batched_tokens = {bad} was accepted")

    scheduler = Scheduler(BlockManager(5), 4, 2, 8)
    scheduler.add(Sequence(0, [1] * 17, SamplingParams(max_tokens=4)))  # 17 + 4 - 1 = 20 slots: just fits
    try:
        scheduler.add(Sequence(1, [1] * 18, SamplingParams(max_tokens=4)))
    except ValueError:
        pass
    else:
        raise AssertionError("21 tokens never fit into 5 blocks of 4: reject them in add")
    scheduler.step()
    scheduler.add(Sequence(2, [1] * 17, SamplingParams(max_tokens=4)))  # all blocks are taken now, not for ever

    manager = BlockManager(4)
    scheduler = Scheduler(manager, 4, 2, 8)
    seq = Sequence(0, [1, 2, 3], SamplingParams(max_tokens=6, stop_token_ids=(7,)))
    scheduler.add(seq)
    scheduler.step()
    seq.commit(3, [7])
    scheduler.update(seq)
    assert manager.num_free_blocks == 4 and not scheduler.has_unfinished, (
        "a sequence that ended by a stop token, before max_tokens, still runs or holds blocks: look at finish_reason"
    )
    scheduler.abort(seq)
    assert seq.finish_reason == "stop" and manager.num_free_blocks == 4, (
        f"abort leaves a finished sequence alone: it ended by a stop token, now its reason is {seq.finish_reason!r}"
    )

    # random workloads, against a simulation that knows counts only
    rng = np.random.default_rng(12)
    for trial in range(25):
        num_blocks, block_size, max_seqs = int(rng.integers(4, 20)), int(rng.integers(1, 6)), int(rng.integers(1, 6))
        budget = max_seqs + int(rng.integers(0, 12))
        manager = BlockManager(num_blocks)
        scheduler = Scheduler(manager, block_size, max_seqs, budget)
        left = num_blocks
        waiting, running, sequences, life = [], [], {}, {}
        for i in range(10):
            prompt, new = int(rng.integers(1, 20)), int(rng.integers(1, 7))
            seq = Sequence(i, [1] * prompt, SamplingParams(max_tokens=new))
            blocks = -(-(prompt + new - 1) // block_size)
            try:
                scheduler.add(seq)
            except ValueError:
                assert blocks > num_blocks, f"{blocks} blocks fit into the pool of {num_blocks}, but add rejected"
                continue
            assert blocks <= num_blocks, f"{blocks} blocks cannot come from a pool of {num_blocks}, but add took it"
            sequences[i], life[i] = seq, [blocks, prompt, new]  # blocks, tokens to feed, tokens to write
            waiting.append(i)
        for step in range(400):
            assert scheduler.has_unfinished == bool(waiting or running), "has_unfinished is wrong"
            if not (waiting or running):
                break
            if step and rng.random() < 0.1:  # somebody hangs up
                gone = int(rng.choice(waiting + running))
                scheduler.abort(sequences[gone])
                scheduler.abort(sequences[gone])
                left += life[gone][0] if gone in running else 0
                (running if gone in running else waiting).remove(gone)
            want = {i: 1 for i in running if life[i][1] == 1}
            order, room = list(want), budget - len(want)
            for i in running:
                if i not in want and room > 0:
                    want[i] = min(life[i][1], room)
                    room -= want[i]
                    order.append(i)
            while waiting and len(running) < max_seqs and room > 0 and life[waiting[0]][0] <= left:
                i = waiting.pop(0)
                running.append(i)
                left -= life[i][0]
                want[i] = min(life[i][1], room)
                room -= want[i]
                order.append(i)
            rows = scheduler.step().rows
            got = [(row.seq.seq_id, row.num_new_tokens) for row in rows]
            assert got == [(i, want[i]) for i in order], (
                f"trial {trial}, step {step}: (sequence, tokens) should be {[(i, want[i]) for i in order]}, got {got}; "
                f"budget {budget}, max_num_seqs {max_seqs}, {left} blocks left"
            )
            assert manager.num_free_blocks == left, f"{left} blocks should be free, {manager.num_free_blocks} are"
            check_owners(manager, [seq.block_table for seq in scheduler.running])
            for row in rows:
                i = row.seq.seq_id
                assert row.seq.status is Status.RUNNING, "an admitted sequence has Status.RUNNING"
                row.seq.commit(row.num_new_tokens, [7] if row.is_last_chunk else [])
                scheduler.update(row.seq)
                life[i][1] -= row.num_new_tokens
                if life[i][1] == 0:
                    life[i][1:] = [1, life[i][2] - 1]
                    if life[i][2] == 0:
                        running.remove(i)
                        left += life[i][0]
                        assert row.seq.status is Status.FINISHED and row.seq.finish_reason == "length", (
                            "update must finish a sequence that has a finish_reason, and keep that reason"
                        )
        assert not scheduler.has_unfinished, f"trial {trial}: after 400 steps a sequence still waits"
        assert manager.num_free_blocks == num_blocks, (
            f"trial {trial}: {num_blocks - manager.num_free_blocks} blocks leak"
        )
        assert all(not seq.block_table for seq in sequences.values()), "a finished sequence keeps its block table"

    # in the reference engine, on the shipped checkpoint: the text of each request alone
    config, weights = load_tiny()
    model = Llama(config, weights, torch.float64)  # float64, so that ties cannot decide
    prompts = [rng.integers(0, 512, n).tolist() for n in (3, 21, 11)]
    manager = BlockManager(12)
    engine = Engine(model, block_size=4, block_manager=manager, scheduler=Scheduler(manager, 4, 3, 8))
    for prompt, seq in zip(prompts, engine.generate(prompts, SamplingParams(max_tokens=5)), strict=True):
        want = list(generate(model, prompt, 5))
        assert seq.output_token_ids == want, (
            f"alone the model writes {want}, with your scheduler {seq.output_token_ids}"
        )
    assert manager.num_free_blocks == 12, f"{12 - manager.num_free_blocks} blocks were not given back"


hidden_Scheduler()

# %% [markdown] task="Engine" stars=4 minutes=60
# ## 3. The engine loop
#
# Now the loop around it. The parts come from outside; your `class Engine` makes them work together.
#
# | part | what it does |
# |---|---|
# | `model(rows)` | feeds the rows' tokens; returns one array of logits `[V]` per row, for what follows the row's last token |
# | `model.copy_blocks(copies)` | copies blocks, `(source, target)` pairs |
# | `scheduler` | `add(seq)`, `step()`, `update(seq)`, `abort(seq)`, `has_unfinished`, as in exercise 2; here the reference's, with a prefix cache and preemption |
# | `sample(logits)` | a token id; the default is greedy |
#
# | method | does |
# |---|---|
# | `add(prompt, max_tokens)` | queues a list of token ids and returns a new request id (an int). What the caller does with the list afterwards must not matter. `ValueError` for an empty prompt or `max_tokens` below 1, with nothing left behind |
# | `step()` | one pass. Returns a list of `(request_id, token, finish_reason)`, one for each row that got a token; `finish_reason` is `None`, `"length"` or `"stop"` (the token is `eos_token_id`). With nothing to do it returns `[]`. `token` is a plain `int`, since JSON takes no NumPy number |
# | `abort(request_id)` | ends a request; unknown and finished ids are ignored |
# | `has_unfinished` | whether a step would have anything to do |
#
# What a step must do, in order: ask the scheduler (`output.copies`, `output.rows`), copy the blocks, run the model **once** on all rows, choose a token for each row whose `is_last_chunk` is true (a prompt chunk in the middle has no use for logits), tell the sequence by `seq.commit(num_new_tokens, tokens, eos_token_id=…)` (which counts what is computed and sets `finish_reason`), then tell the scheduler by `update(seq)`.
#
# Example: two prompts of 3 tokens. The first step feeds 6 tokens and returns two tokens, one for each; the second feeds 2.
#
# <details><summary>Hint 1</summary>
#
# The sequences that are unfinished live in a dict by request id; `Sequence(request_id, prompt, SamplingParams(max_tokens=…))` makes one, and raises `ValueError` for bad sizes itself.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `is_last_chunk` must be read before `commit` changes the counts. `tokens` is a list of one token or an empty list.
#
# </details>


# %% solution="Engine"
class Engine:
    """Serves many requests with one model, one pass per step.

    model, scheduler: the parts of the table above. sample: logits [V] -> token id. eos_token_id: ends a request, or None.
    """

    def __init__(self, model, scheduler, sample=np.argmax, eos_token_id=None):
        ### BEGIN SOLUTION
        self.model, self.scheduler, self.sample, self.eos_token_id = model, scheduler, sample, eos_token_id
        self.sequences = {}
        self.next_id = 0
        ### END SOLUTION

    @property
    def has_unfinished(self):
        """Whether a step would have anything to do."""
        ### BEGIN SOLUTION
        return self.scheduler.has_unfinished
        ### END SOLUTION

    def add(self, prompt, max_tokens):
        """Queue a prompt (list of token ids); returns the request id. Raises ValueError for sizes that make no sense."""
        ### BEGIN SOLUTION
        seq = Sequence(self.next_id, list(prompt), SamplingParams(max_tokens=max_tokens))
        self.scheduler.add(seq)
        self.sequences[seq.seq_id] = seq
        self.next_id += 1
        return seq.seq_id
        ### END SOLUTION

    def step(self):
        """One pass for all requests: a list of (request_id, token, finish_reason or None)."""
        ### BEGIN SOLUTION
        if not self.has_unfinished:
            return []
        output = self.scheduler.step()
        self.model.copy_blocks(output.copies)
        events = []
        for row, logits in zip(output.rows, self.model(output.rows), strict=True):
            seq = row.seq
            tokens = [int(self.sample(logits))] if row.is_last_chunk else []
            seq.commit(row.num_new_tokens, tokens, eos_token_id=self.eos_token_id)
            self.scheduler.update(seq)
            events += [(seq.seq_id, token, seq.finish_reason) for token in tokens]
            if seq.finish_reason:
                del self.sequences[seq.seq_id]
        return events
        ### END SOLUTION

    def abort(self, request_id):
        """End a request; unknown and finished ids are ignored."""
        ### BEGIN SOLUTION
        seq = self.sequences.pop(request_id, None)
        if seq is not None:
            self.scheduler.abort(seq)
        ### END SOLUTION


# %% tryit="Engine"
manager = BlockManager(32)
engine = Engine(ToyModel(32), reference_scheduler.Scheduler(manager, 4, max_num_batched_tokens=32))
for prompt in ([1, 2, 3], [40, 50, 60, 70, 80]):
    engine.add(prompt, 4)
while engine.has_unfinished:
    print(engine.step())
print(manager.num_free_blocks, "of 32 blocks free")


# %% test="Engine" points=3
def test_Engine():
    from mini_engine.block_manager import BlockManager
    from mini_engine.scheduler import Scheduler as GivenScheduler

    manager, model = BlockManager(16), ToyModel(16)
    engine = Engine(model, GivenScheduler(manager, 4, max_num_seqs=4, max_num_batched_tokens=6))
    assert engine.step() == [], "a step without requests returns []"
    prompts = [[1, 2, 3], [4, 5, 6]]
    ids = [engine.add(prompt, 3) for prompt in prompts]
    assert None not in ids, "add returned None: return the request id"
    assert ids[0] != ids[1], "two requests have two ids"
    first = engine.step()
    assert first is not None, "step returned None: return a list"
    assert model.passes == [{ids[0]: 3, ids[1]: 3}], (
        f"one pass should feed 3 tokens of each prompt, the model saw {model.passes} (one call per request?)"
    )
    want = [(i, toy_answer(prompt, 1)[0], None) for i, prompt in zip(ids, prompts, strict=True)]
    assert first == want, f"the first step should give {want}, yours gave {first}"
    text = {i: [token] for i, token, _ in first}
    reasons = {}
    for _ in range(5):
        for i, token, reason in engine.step():
            text[i].append(token)
            reasons[i] = reason
    for i, prompt in zip(ids, prompts, strict=True):
        assert text[i] == toy_answer(prompt, 3), f"alone: {toy_answer(prompt, 3)}; your engine: {text[i]}"
    assert reasons == dict.fromkeys(ids, "length"), f"both ended at max_tokens: 'length', yours {reasons}"
    assert not engine.has_unfinished, "both requests have ended, but has_unfinished is true"
    assert manager.num_free_blocks == 16, f"{16 - manager.num_free_blocks} blocks leak: call scheduler.update(seq)"
    engine.abort(ids[0])


test_Engine()


# %% hidden="Engine" points=6
def hidden_Engine():
    import numpy as np

    from mini_engine.block_manager import BlockManager
    from mini_engine.prefix_cache import PrefixCache
    from mini_engine.scheduler import Scheduler as GivenScheduler

    rng = np.random.default_rng(120)
    num_copies = num_stops = 0
    for trial in range(30):
        num_blocks = int(rng.integers(14, 24))
        manager, model = BlockManager(num_blocks), ToyModel(num_blocks)
        cache = PrefixCache(manager, 4) if trial % 2 else None
        scheduler = GivenScheduler(manager, 4, max_num_seqs=4, max_num_batched_tokens=7, prefix_cache=cache)
        eos = int(rng.integers(0, 97))
        prompts, limits = [], []
        for i in range(8):
            shared = list(range(8)) if i % 2 else []
            prompts.append(shared + rng.integers(0, 97, 4 * int(rng.integers(0, 3)) + (not shared)).tolist())
            limits.append(int(rng.integers(1, 14)))
        if trial % 5 == 4:
            eos = toy_answer(prompts[0], 3)[-1]
        engine = Engine(model, scheduler, eos_token_id=eos)
        want = [toy_answer(prompt, n, eos) for prompt, n in zip(prompts, limits, strict=True)]
        number, text, reasons, gone = {}, {}, {}, set()
        for step in range(300):
            if step < 8:  # one new request per step
                given = list(prompts[step])
                request_id = engine.add(given, limits[step])
                given.append(0)  # what the caller does with its list later is its own business
                assert request_id not in number, f"id {request_id} was given twice"
                number[request_id], text[request_id] = step, []
            if step == 6:
                gone = {next(iter(number)), max(number)}
                for request_id in gone:
                    engine.abort(request_id)
                    engine.abort(request_id)
            num_passes = len(model.passes)
            events = engine.step()
            assert len(model.passes) <= num_passes + 1, "one step, one call of the model with all rows"
            for request_id, token, reason in events:
                assert request_id not in reasons and (request_id not in gone or step < 6), "a token after the end"
                assert isinstance(token, int), f"a token is an int, not {type(token).__name__} (JSON takes no NumPy)"
                text[request_id].append(token)
                if reason is not None:
                    reasons[request_id] = reason
            if step >= 8 and not engine.has_unfinished:
                break
        assert not engine.has_unfinished, f"trial {trial}: after 300 steps requests are unfinished"
        for request_id, i in number.items():
            if request_id in gone:
                assert text[request_id] == want[i][: len(text[request_id])], "wrong text before the abort"
                continue
            assert text[request_id] == want[i], (
                f"trial {trial}, prompt {prompts[i]}: alone {want[i]}, your engine {text[request_id]} "
                f"({'with' if cache else 'without'} prefix cache; copies done before the pass? counts committed?)"
            )
            reason = "stop" if want[i][-1] == eos else "length"
            assert reasons.get(request_id) == reason, (
                f"finish_reason should be {reason!r}, is {reasons.get(request_id)!r}"
            )
            num_stops += reason == "stop"
        scheduler.check_invariants()
        held = len(cache) if cache else 0
        assert manager.num_free_blocks + held == num_blocks, f"trial {trial}: blocks leak"
        num_copies += model.num_copies
    assert num_copies > 0 and num_stops > 0, "the workloads should need copies and stops"

    manager = BlockManager(8)
    engine = Engine(ToyModel(8), GivenScheduler(manager, 4, max_num_seqs=2, max_num_batched_tokens=4))
    for bad in (([], 3), ([1], 0), ([1], -2), ([1] * 40, 3)):
        try:
            engine.add(*bad)
        except ValueError:
            assert not engine.has_unfinished, f"add{bad} was rejected but something stayed in the queue"
            continue
        raise AssertionError(f"add{bad} was accepted")
    engine.abort(99)

    one, other = (
        Engine(ToyModel(8), GivenScheduler(BlockManager(8), 4, max_num_seqs=2, max_num_batched_tokens=4)) for _ in "ab"
    )
    request_id = one.add([1, 2], 3)
    other.abort(request_id)
    assert not other.has_unfinished and one.has_unfinished, "two engines share their requests"
    got = [token for _ in range(3) for _, token, _ in one.step()]
    assert got == toy_answer([1, 2], 3), "a request of one engine was ended by abort() of another"

    calls = []

    def least(logits):
        calls.append(np.asarray(logits).shape)
        return 5

    engine = Engine(ToyModel(8), GivenScheduler(BlockManager(8), 4, max_num_seqs=2, max_num_batched_tokens=4), least)
    request_id = engine.add(list(range(10)), 2)
    got = [event for _ in range(4) for event in engine.step()]
    assert got == [(request_id, 5, None), (request_id, 5, "length")], f"sample() returns 5 each time, you gave {got}"
    assert len(calls) == 2, f"2 tokens need 2 samples, yours took {len(calls)}: a middle chunk has no token"
    assert calls[0] == (97,), f"sample gets one row of logits [V], it got {calls[0]}"

    scheduler = GivenScheduler(BlockManager(8), 4, max_num_seqs=2, max_num_batched_tokens=4)
    engine = Engine(ToyModel(8), scheduler, lambda logits: 0, eos_token_id=0)
    request_id = engine.add([1, 2], 5)
    got = engine.step()
    assert got == [(request_id, 0, "stop")], f"token 0 ends a request where eos_token_id is 0; your step gave {got}"

    manager, model = BlockManager(16), ToyModel(16)
    scheduler = GivenScheduler(
        manager, 4, max_num_seqs=2, max_num_batched_tokens=5, prefix_cache=PrefixCache(manager, 4)
    )
    engine = Engine(model, scheduler)
    ids = [engine.add(list(range(12)), 2) for _ in "ab"]  # in the third step the first needs 2 tokens, 3 are left
    for _ in range(3):
        engine.step()
    fed = model.passes[2].get(ids[1], 0)
    found = scheduler.running[1].num_computed_tokens - fed
    assert found == 8, (
        f"two blocks of the first prompt are full after two chunks, and the same second prompt found {found} of their 8 "
        "tokens: update(seq) is told after every row, also after a chunk in the middle"
    )


hidden_Engine()

# %% [markdown] task="ablation" stars=2 minutes=30
# ## 4. What did each part bring?
#
# An ablation runs one fixed workload through the engine, first naive, then with one part more each time. Write `ablation(engine_factory, workload)`.
#
# `engine_factory(stage)` makes a **new** engine for each name of `STAGES` (set-up cell). An engine has `add(prompt, max_tokens)` → id, `step()` → list of `(id, [tokens])`, `has_unfinished`, `clock()` → seconds, and `peak_kv_bytes`: read it when the last step is done, since it grows until then. `workload` is a list of `(prompt, max_tokens)`. Add all requests, then step until nothing is left. Return a list of dicts, one per stage, in order:
#
# | key | is |
# |---|---|
# | `"stage"` | the name |
# | `"tokens_per_s"` | all generated tokens ÷ seconds from before the first `add` to the last token |
# | `"ttft_s"` | mean over the requests of first token − its `add` |
# | `"tpot_s"` | mean over the requests with two tokens or more of (last − first) ÷ (tokens − 1); `None` if there is none |
# | `"peak_kv_bytes"` | as the engine says at the end |
# | `"num_same_text"` | requests whose tokens are those of the stage `"naive"` |
#
# Read times from **the engine's** clock only: before each `add`, and right after each `step`. All tokens of one step carry the same time: with speculation a step may give a request several.
#
# Example: adds at 0 s; steps end at 1, 2 and 4 s with tokens `[5]`, `[6, 7]` and `[8]` of the only request: TTFT 1 s, TPOT $(4-1)/3 = 1$ s, 1 token/s.
#
# <details><summary>Hint 1</summary>
#
# For each id keep the time of its `add`, its tokens, and one time per token. The metrics follow from these alone.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `times[i] += [now] * len(tokens)`. The naive stage is the first row: keep its texts for the comparison, in the order of the workload (ids may differ from engine to engine).
#
# </details>


# %% solution="ablation"
def ablation(engine_factory, workload):
    """One row per name of STAGES: throughput, latencies, memory and agreement with the naive stage.

    engine_factory: stage name -> a new engine (see above). workload: list of (prompt, max_tokens). Returns a list of
    dicts. Raises ValueError for an empty workload.
    """
    ### BEGIN SOLUTION
    if not workload:
        raise ValueError("the workload is empty: 0 requests")
    rows, reference = [], None
    for stage in STAGES:
        engine = engine_factory(stage)
        start, added, texts, times = engine.clock(), {}, {}, {}
        for prompt, max_tokens in workload:
            now = engine.clock()
            request_id = engine.add(prompt, max_tokens)
            added[request_id], texts[request_id], times[request_id] = now, [], []
        while engine.has_unfinished:
            output = engine.step()
            now = engine.clock()
            for request_id, tokens in output:
                texts[request_id] += tokens
                times[request_id] += [now] * len(tokens)
        answers = list(texts.values())
        reference = answers if reference is None else reference
        gaps = [(t[-1] - t[0]) / (len(t) - 1) for t in times.values() if len(t) > 1]
        rows.append(
            {
                "stage": stage,
                "tokens_per_s": sum(map(len, answers)) / (max(t[-1] for t in times.values()) - start),
                "ttft_s": sum(t[0] - added[i] for i, t in times.items()) / len(times),
                "tpot_s": sum(gaps) / len(gaps) if gaps else None,
                "peak_kv_bytes": engine.peak_kv_bytes,
                "num_same_text": sum(a == b for a, b in zip(answers, reference, strict=True)),
            }
        )
    return rows
    ### END SOLUTION


# %% tryit="ablation"
class StagedEngine:
    """The reference engine with the parts of one stage, on the shipped checkpoint, in the form of this exercise."""

    def __init__(self, stage):
        level = STAGES.index(stage)
        self.model = Llama(*load_tiny())
        if level >= 5:
            quantize_model(self.model, "int4")
        self.use_cache, self.is_serial = level >= 1, level < 2
        self.queue, self.num_added, self.peak_kv_bytes = deque(), 0, 0
        options = {"block_size": 64, "num_blocks": 8} if level == 2 else {"block_size": 8, "num_blocks": 64}
        draft = NgramDraft(3) if level >= 6 else None
        self.engine = reference_engine.Engine(self.model, prefix_caching=level >= 4, draft=draft, **options)
        self.clock = time.perf_counter

    def add(self, prompt, max_tokens):
        self.num_added += 1
        if not self.is_serial:
            return self.engine.add(prompt, SamplingParams(max_tokens=max_tokens)).seq_id
        tokens = generate_one(self.model, prompt, max_tokens, use_cache=self.use_cache)
        self.queue.append((self.num_added, iter(tokens)))
        if self.use_cache:
            self.peak_kv_bytes = max(self.peak_kv_bytes, self.model.new_cache(len(prompt) + max_tokens).num_bytes)
        return self.num_added

    @property
    def has_unfinished(self):
        return bool(self.queue) if self.is_serial else self.engine.has_unfinished

    def step(self):
        if not self.is_serial:
            outputs = [(output.seq.seq_id, output.new_token_ids) for output in self.engine.step()]
            self.peak_kv_bytes = self.engine.stats.peak_used_blocks * self.engine.cache.block_bytes
            return outputs
        request_id, tokens = self.queue[0]
        token = next(tokens, None)
        if token is None:
            self.queue.popleft()
        return [] if token is None else [(request_id, [token])]


rows = ablation(StagedEngine, [([9] * 24 + [i], 12) for i in range(8)])
for row in rows:
    times = f"TTFT {1e3 * row['ttft_s']:6.1f} ms, TPOT {1e3 * row['tpot_s']:5.2f} ms"
    print(f"{row['stage']:16} {row['tokens_per_s']:7.0f} tokens/s, {times}, {row['peak_kv_bytes'] / 1e3:7.1f} kB")
fig, axes = figure(1, 2)
axes[0].barh([row["stage"] for row in rows], [row["tokens_per_s"] for row in rows])
axes[0].set(xlabel="tokens per second")
axes[1].barh([row["stage"] for row in rows], [row["peak_kv_bytes"] / 1e3 for row in rows])
axes[1].set(xlabel="peak KV memory (kB)", yticklabels=[])
for ax in axes:
    ax.invert_yaxis()
show(fig, alt="Throughput and peak KV memory of each stage on the shipped two-layer model.")


# %% test="ablation" points=1
def test_ablation():
    class Scripted:
        """Gives out a fixed list of (seconds, outputs); its clock moves in step() only."""

        lends = ("add", "clock", "has_unfinished", "peak_kv_bytes", "step")

        def __init__(self, stage):
            self.now, self.peak_kv_bytes, self.ids = 10.0, 0, iter((4, 2))
            self.script = [(1.0, [(4, [5])]), (1.0, [(4, [6, 7])]), (2.0, [(4, [8]), (2, [9])])]
            if stage == "+ int4":
                self.script[1] = (1.0, [(4, [6, 1])])
            made.append(stage)

        def clock(self):
            return self.now

        def add(self, prompt, max_tokens):
            return next(self.ids)

        @property
        def has_unfinished(self):
            return bool(self.script)

        def step(self):
            seconds, outputs = self.script.pop(0)
            self.now += seconds
            self.peak_kv_bytes += 100
            return outputs

    made = []
    names = ["naive", "+ cache", "+ batching", "+ paging", "+ prefix reuse", "+ int4", "+ speculation"]
    rows = ablation(Scripted, [([1, 2], 4), ([3], 1)])
    assert rows is not None, "ablation returned None: is there a return statement?"
    assert made == names, f"make one new engine per stage, naive first: {names}, you made {made}"
    assert [row["stage"] for row in rows] == names, "one row per stage, in order"
    first = rows[0]
    assert abs(first["tokens_per_s"] - 1.25) < 1e-9, (
        f"5 tokens in 4 seconds are 1.25 per second, yours {first['tokens_per_s']}"
    )
    assert abs(first["ttft_s"] - 2.5) < 1e-9, f"first tokens after 1 and 4 s: mean 2.5 s, yours {first['ttft_s']}"
    assert abs(first["tpot_s"] - 1) < 1e-9, (
        f"4 tokens between 1 s and 4 s: 3 s / 3 = 1 s; the other request has one token and no TPOT; yours {first['tpot_s']}"
    )
    assert first["peak_kv_bytes"] == 300, f"the peak is 300 after the last step, yours {first['peak_kv_bytes']}"
    same = [row["num_same_text"] for row in rows]
    assert same == [2, 2, 2, 2, 2, 1, 2], f"num_same_text should be [2, 2, 2, 2, 2, 1, 2], yours {same}"


test_ablation()


# %% hidden="ablation" points=3
def hidden_ablation():
    import numpy as np

    def factory(log):
        class Fake:
            lends = ("add", "clock", "has_unfinished", "peak_kv_bytes", "step")

            def __init__(self, stage):
                self.rng = np.random.default_rng(len(log["engines"]))
                self.now, self.todo, self.peak_kv_bytes = 1000.0 * self.rng.random(), {}, 0
                self.num_steps = 0
                self.log = {"stage": stage, "start": None, "added": {}, "tokens": {}, "times": {}}
                log["engines"].append(self)

            def clock(self):
                if self.log["start"] is None:
                    self.log["start"] = self.now
                return self.now

            def add(self, prompt, max_tokens):
                request_id = int(self.rng.integers(10**9))
                self.log["added"][request_id] = self.now
                self.log["tokens"][request_id], self.log["times"][request_id] = [], []
                self.todo[request_id] = max(1, max_tokens - int(self.rng.integers(0, 2)))  # some end early
                self.num_idle = int(self.rng.integers(0, 2))  # steps of housekeeping after the last token
                self.now += 0.25  # adding takes time as well
                return request_id

            @property
            def has_unfinished(self):
                return bool(self.todo) or self.num_idle > 0

            def step(self):
                self.now += float(self.rng.random()) + 0.01
                outputs, self.num_steps = [], self.num_steps + 1
                if not self.todo:
                    self.num_idle -= 1
                for request_id in self.rng.permutation(list(self.todo)).tolist():
                    count = min(self.todo[request_id], int(self.rng.integers(0, 4)))
                    count = 0 if self.num_steps == 2 else count  # a step in which nobody gets a token
                    tokens = self.rng.integers(0, 2, count).tolist()
                    self.log["tokens"][request_id] += tokens
                    self.log["times"][request_id] += [self.now] * count
                    self.todo[request_id] -= count
                    if count or self.rng.random() < 0.5:
                        outputs.append((request_id, tokens))
                    if not self.todo[request_id]:
                        del self.todo[request_id]
                self.peak_kv_bytes = max(self.peak_kv_bytes, 10 * len(self.todo) + len(self.log["stage"]))
                return outputs

        return Fake

    for workload in ([([1], 1)] * 3, [([1] * i, 2 + i) for i in range(1, 5)], [([1], 1), ([2, 3], 3), ([1], 2)]):
        log = {"engines": []}
        given = [(list(prompt), n) for prompt, n in workload]
        rows = ablation(factory(log), workload)
        assert workload == given, "the workload was changed"
        assert len(log["engines"]) == 7, f"7 stages need 7 engines, you made {len(log['engines'])}"
        naive = list(log["engines"][0].log["tokens"].values())
        for row, engine in zip(rows, log["engines"], strict=True):
            seen = engine.log
            assert row["stage"] == seen["stage"], "the rows are not in the order of the stages"
            ends = [t for times in seen["times"].values() for t in times]
            speed = len(ends) / (max(ends) - seen["start"])
            waits = [seen["times"][i][0] - seen["added"][i] for i in seen["added"]]
            gaps = [(max(t) - min(t)) / (len(t) - 1) for t in seen["times"].values() if len(t) > 1]
            tpot = float(np.mean(gaps)) if gaps else None
            assert abs(row["tokens_per_s"] - speed) < 1e-9, (
                f"{row['stage']}: {speed} tokens/s, not {row['tokens_per_s']}"
            )
            assert abs(row["ttft_s"] - np.mean(waits)) < 1e-9, (
                f"{row['stage']}: mean TTFT is {np.mean(waits)} s from each request's own add, not {row['ttft_s']}"
            )
            if tpot is None:
                assert row["tpot_s"] is None, "no request has two tokens: tpot_s is None"
            else:
                assert row["tpot_s"] is not None and abs(row["tpot_s"] - tpot) < 1e-9, (
                    f"{row['stage']}: mean TPOT over the requests is {tpot} s, not {row['tpot_s']}"
                )
            assert row["peak_kv_bytes"] == engine.peak_kv_bytes, "peak_kv_bytes is what the engine says at the end"
            same = sum(a == b for a, b in zip(seen["tokens"].values(), naive, strict=True))
            assert row["num_same_text"] == same, (
                f"{row['stage']}: {same} texts agree with naive, not {row['num_same_text']}"
            )
    log = {"engines": []}
    try:
        ablation(factory(log), [])
    except ValueError:
        assert not log["engines"], "reject an empty workload before an engine is made"
    else:
        raise AssertionError("an empty workload was accepted: raise ValueError")


hidden_ablation()

# %% [markdown] task="load_test" stars=3 minutes=45
# ## 5. A load test
#
# A server is judged from outside. Write `load_test(base_url, model="smollm2", prompts=PROMPTS, max_tokens=32, concurrency=4, open_stream=open_stream, clock=time.perf_counter)`. It works against any OpenAI-compatible server: this one, llama.cpp's, vLLM.
#
# `open_stream(url, body)` posts the dict `body` as JSON and yields the response's lines (`str`, without line ends); it raises `OSError` for a rejected connection, an HTTP error, or a stream that breaks. The set-up cell has one made of `urllib`; the checks pass one of their own.
#
# - Post to `/completions` under `base_url`, which may end in `/v1` or not, with a slash or without: `http://h:8000`, `http://h:8000/`, `http://h:8000/v1` all mean `http://h:8000/v1/completions`.
# - The body: `model`, `prompt`, `max_tokens`, `temperature` 0, `stream` true, `stream_options` `{"include_usage": True}`.
# - At most `concurrency` requests are open at once, and as many while there are prompts left: a `ThreadPoolExecutor` does that.
# - A line that starts with `data: ` is an event, `data: [DONE]` the end: nothing comes after it. An event whose choice has a non-empty `"text"` is output: note its time. Empty texts are not: a first token with empty text would make TTFT look good. The event with `"usage"` (its `"choices"` may be empty) tells how many tokens there were, `usage["completion_tokens"]`; if none comes, each text counts as one.
# - A request has failed if `open_stream` raised `OSError`, an event has the key `"error"`, or there was no text. Failed requests count only in `num_failed`.
#
# Return a dict: `num_ok`, `num_failed`, `duration_s` (from before the first request to the end of the last), `requests_per_s` (ok ÷ duration), `output_tokens_per_s` (tokens of the ok ones ÷ duration), `ttft_s` and `tpot_s`: dicts `{"p50", "p95", "p99"}` over the ok requests, by `np.percentile`; where no request has one, `None` stands instead of the dict. TTFT is first text − just before `open_stream` is called **for that request**; TPOT is (last text − first text) ÷ (tokens − 1), over the requests with two tokens or more.
#
# Example: called at 0 s, texts at 2, 3 and 5 s, usage says 4 tokens: TTFT 2 s, TPOT $(5 - 2) / 3 = 1$ s.
#
# <details><summary>Hint 1</summary>
#
# Write one function for one request, which returns its TTFT, its TPOT and its tokens, or `None` if it failed. `pool.map` runs it for all prompts.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `open_stream` may be a generator: nothing is sent before you ask for the first line, so `try` must be around the loop. Do not start the clock of a request when you submit it to the pool, but when a thread takes it.
#
# </details>


# %% solution="load_test"
def load_test(
    base_url,
    model="smollm2",
    prompts=PROMPTS,
    max_tokens=32,
    concurrency=4,
    open_stream=open_stream,
    clock=time.perf_counter,
):
    """Send one streaming completion per prompt and report rates and percentiles; see the table above.

    base_url: with or without /v1. open_stream: (url, body) -> lines. clock: seconds. Raises ValueError for no prompts
    or a concurrency or max_tokens below 1.
    """
    ### BEGIN SOLUTION
    if not prompts or concurrency < 1 or max_tokens < 1:
        raise ValueError(f"must be positive: {len(prompts)} prompts, {concurrency=}, {max_tokens=}")
    url = base_url.rstrip("/").removesuffix("/v1") + "/v1/completions"
    shared = {"model": model, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    shared["stream_options"] = {"include_usage": True}

    def send(prompt):
        times, num_tokens, start = [], None, clock()
        try:
            for line in open_stream(url, {**shared, "prompt": prompt}):
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    return None
                if any(choice.get("text") for choice in event.get("choices") or ()):
                    times.append(clock())
                if event.get("usage"):
                    num_tokens = event["usage"]["completion_tokens"]
        except OSError:
            return None
        if not times:
            return None
        num_tokens = len(times) if num_tokens is None else num_tokens
        tpot = (times[-1] - times[0]) / (num_tokens - 1) if num_tokens > 1 else None
        return times[0] - start, tpot, num_tokens

    def percentiles(values):
        return {f"p{p}": float(np.percentile(values, p)) for p in (50, 95, 99)} if values else None

    start = clock()
    with ThreadPoolExecutor(concurrency) as pool:
        results = list(pool.map(send, prompts))
    duration = clock() - start
    good = [result for result in results if result is not None]
    return {
        "num_ok": len(good),
        "num_failed": len(results) - len(good),
        "duration_s": duration,
        "requests_per_s": len(good) / duration,
        "output_tokens_per_s": sum(num_tokens for _, _, num_tokens in good) / duration,
        "ttft_s": percentiles([ttft for ttft, _, _ in good]),
        "tpot_s": percentiles([tpot for _, tpot, _ in good if tpot is not None]),
    }
    ### END SOLUTION


# %% tryit="load_test"
def slow_server(url, body):
    """A server that needs 20 ms for a first token and 5 ms for each of the others."""
    for i in range(body["max_tokens"]):
        time.sleep(0.005 if i else 0.02)
        yield "data: " + json.dumps({"choices": [{"text": " word", "finish_reason": None}]})
        yield ""
    yield "data: [DONE]"


for concurrency in (1, 4):
    report = load_test("http://nowhere", concurrency=concurrency, max_tokens=8, open_stream=slow_server)
    print(
        f"{concurrency} at once: {report['requests_per_s']:.1f} requests/s,",
        f"TTFT p95 {report['ttft_s']['p95']:.3f} s",
    )


# %% test="load_test" points=2
def test_load_test():
    import json
    import time

    now = [100.0]
    bodies, open_requests, most_open = [], [], []

    def stub(url, body):
        bodies.append((url, body))
        open_requests.append(body["prompt"])
        most_open.append(len(open_requests))
        deadline = time.monotonic() + 0.4
        while len(bodies) == len(open_requests) == 1 and time.monotonic() < deadline:
            time.sleep(0.01)  # the first request leaves time for one that comes too early
        for seconds, event in (
            (2, {"choices": [{"text": "a"}]}),
            (1, {"choices": [{"text": "b"}]}),
            (2, {"choices": [{"text": "cd"}]}),
            (0, {"choices": [], "usage": {"completion_tokens": 4}}),
        ):
            now[0] += seconds
            yield "data: " + json.dumps(event)
            yield ""
        open_requests.remove(body["prompt"])
        yield "data: [DONE]"

    got = load_test("http://h:1", "m", ["x", "y"], 7, 1, stub, lambda: now[0])
    assert got is not None, "load_test returned None: is there a return statement?"
    assert max(most_open) == 1, f"concurrency 1: one request at a time, but {max(most_open)} were open at once"
    assert [url for url, _ in bodies] == ["http://h:1/v1/completions"] * 2, f"posted to {bodies[0][0]}"
    want = {"model": "m", "prompt": "x", "max_tokens": 7, "temperature": 0, "stream": True}
    want["stream_options"] = {"include_usage": True}
    assert bodies[0][1] == want, f"the body should be {want}, yours is {bodies[0][1]}"
    assert (got["num_ok"], got["num_failed"]) == (2, 0), f"2 ok, 0 failed; yours {got['num_ok']}, {got['num_failed']}"
    assert abs(got["duration_s"] - 10) < 1e-9, f"two requests of 5 s one after the other: 10 s, not {got['duration_s']}"
    assert abs(got["requests_per_s"] - 0.2) < 1e-9, f"2 requests in 10 s: 0.2 per second, not {got['requests_per_s']}"
    assert abs(got["output_tokens_per_s"] - 0.8) < 1e-9, (
        f"8 tokens (by usage) in 10 s: 0.8 per second, not {got['output_tokens_per_s']}"
    )
    assert got["ttft_s"] == {"p50": 2, "p95": 2, "p99": 2}, f"TTFT is 2 s in both requests, yours {got['ttft_s']}"
    assert got["tpot_s"] == {"p50": 1, "p95": 1, "p99": 1}, f"TPOT is (5 - 2) / (4 - 1) = 1 s, yours {got['tpot_s']}"


test_load_test()


# %% hidden="load_test" points=4
def hidden_load_test():
    import json
    import threading
    import time

    import numpy as np

    def event(text=None, **more):
        choices = [] if text is None else [{"index": 0, "text": text, "finish_reason": None}]
        return "data: " + json.dumps({"choices": choices, **more})

    # one at a time, on a clock that only the server moves: every kind of answer
    scripts = {
        "plain": [(1.5, event("a")), (0.5, event("b")), (0.25, event("c")), (1, "data: [DONE]")],
        "empty first": [(0.5, event("")), (2.5, event("a")), (3, event("b", usage=None)), (0, event("")), (1, "")],
        "usage": [(0.75, ": ping"), (1, event("a b")), (4, event("c")), (2, event(usage={"completion_tokens": 9}))],
        "one": [(0.125, event("z")), (0, event(usage={"completion_tokens": 1})), (0, "data: [DONE]")],
        "one then much": [(1, event("z")), (0, 'data: {"usage": {"completion_tokens": 3}}')],
        "no text": [(3, event("")), (1, "data: [DONE]")],
        "error": [(1, event("a")), (1, 'data: {"error": {"message": "out of memory"}}')],
        "refused": OSError("connection refused"),
        "broken": [(1, event("a")), (1, ConnectionResetError("peer"))],
    }
    now = [5.0]

    def stub(url, body):
        urls.append(url)
        script = scripts[body["prompt"]]
        if isinstance(script, OSError):
            raise script
        for seconds, line in script:
            now[0] += seconds
            if isinstance(line, OSError):
                raise line
            yield line

    for base in ("http://h:8", "http://h:8/", "http://h:8/v1", "http://h:8/v1/"):
        urls = []
        load_test(base, "m", ["plain"], 3, 1, stub, lambda: now[0])
        assert urls == ["http://h:8/v1/completions"], f"{base} should lead to http://h:8/v1/completions, not {urls}"
    order, urls = list(scripts), []
    began = now[0]
    got = load_test("http://h", "m", order, 3, 1, stub, lambda: now[0])
    assert order == list(scripts), "the caller's list of prompts was changed"
    assert (got["num_ok"], got["num_failed"]) == (5, 4), (
        f"5 of the answers {order} are ok and 4 failed (no text, error event, refused, broken); "
        f"yours {got['num_ok']} and {got['num_failed']}"
    )
    length = now[0] - began
    assert abs(got["duration_s"] - length) < 1e-9, f"the test took {length} s, not {got['duration_s']}"
    assert abs(got["requests_per_s"] - 5 / length) < 1e-9, "requests_per_s counts the ok ones only"
    assert abs(got["output_tokens_per_s"] - (3 + 2 + 9 + 1 + 3) / length) < 1e-9, (
        "tokens: usage where it comes, else one per non-empty text, ok requests only"
    )
    ttft, tpot = [1.5, 3.0, 1.75, 0.125, 1.0], [0.375, 3.0, 0.5, 0.0]
    for name, values in (("ttft_s", ttft), ("tpot_s", tpot)):
        for p in (50, 95, 99):
            want = float(np.percentile(values, p))
            assert abs(got[name][f"p{p}"] - want) < 1e-9, f"{name} p{p} of {values} is {want}, not {got[name][f'p{p}']}"
    got = load_test("http://h", "m", ["refused", "no text"], 3, 1, stub, lambda: now[0])
    assert got["num_ok"] == 0 and got["ttft_s"] is None and got["tpot_s"] is None, "nothing ok: percentiles are None"
    got = load_test("http://h", "m", ["one"], 3, 1, stub, lambda: now[0])
    assert got["tpot_s"] is None and got["ttft_s"]["p50"] == 0.125, "one token has a TTFT and no TPOT"
    assert load_test("http://h", "m", ["one"], 1, 1, stub, lambda: now[0])["num_ok"] == 1, "max_tokens 1 makes sense"
    scripts["blank"] = [(0.5, event(" ")), (1, event("a")), (1, "data: [DONE]")]
    got = load_test("http://h", "m", ["blank"], 3, 1, stub, lambda: now[0])
    assert got["ttft_s"]["p50"] == 0.5 and got["tpot_s"]["p50"] == 1, (
        "a blank is a text like any other; only '' is none"
    )
    scripts["quote"] = [(1, event('{"error": 1}')), (1, "data: [DONE]")]
    got = load_test("http://h", "m", ["quote"], 3, 1, stub, lambda: now[0])
    assert got["num_ok"] == 1, "an answer that quotes an error has not failed: look at the event's keys"

    # concurrency: the first three requests wait for each other, so a serial client never gets past the first
    gate, lock = threading.Barrier(3, timeout=0.5), threading.Lock()
    state = {"open": 0, "most": 0, "begun": 0}

    def gated(url, body):
        with lock:
            state["open"] += 1
            state["begun"] += 1
            state["most"] = max(state["most"], state["open"])
            must_wait = state["begun"] <= 3
        try:
            if must_wait:
                gate.wait()
            time.sleep(0.02)  # long enough for a thread too many to come in
            yield event("a")
            yield event("b")
        except threading.BrokenBarrierError:
            raise OSError("alone") from None
        finally:
            with lock:
                state["open"] -= 1

    got = load_test("http://h", "m", [f"p{i}" for i in range(9)], 3, 3, gated)
    assert state["most"] <= 3, f"concurrency 3, but {state['most']} requests were open at once"
    assert got["num_ok"] == 9, f"concurrency 3: requests must run side by side, {got['num_failed']} waited in vain"
    assert got["ttft_s"]["p50"] >= 0 and got["duration_s"] > 0, "times come from the clock that was given"
    begun, others = [], threading.Event()

    def first_is_slow(url, body):
        begun.append(body["prompt"])
        if len(begun) == 6:
            others.set()
        if body["prompt"] == "p0" and not others.wait(1):
            raise OSError("nobody came")
        yield event("a")

    got = load_test("http://h", "m", [f"p{i}" for i in range(6)], 3, 3, first_is_slow)
    assert got["num_ok"] == 6, "a slow request holds up the others: as soon as one has ended, the next prompt is sent"
    for bad in ({"prompts": []}, {"concurrency": 0}, {"max_tokens": 0}):
        try:
            load_test("http://h", **{"prompts": ["plain"], "open_stream": stub, **bad})
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted: raise ValueError")


hidden_load_test()

# %% [markdown] task="inference_checks" stars=3 minutes=40
# ## 6. Is it still right?
#
# Four checks belong to every serving engine, as code that runs and not as a list in a document. Write `inference_checks(engine, ids, new_tokens=4)`. `ids` is a batch of prompts of equal length, `[B, N]` ints. The engine has
#
# | member | is |
# |---|---|
# | `prefill(ids)` | starts a new cache with the prompts; logits `[B, V]` of the last position |
# | `decode(ids)` | feeds one more token per row, `[B]`; logits `[B, V]` |
# | `recompute(ids)` | the same model without a cache: logits `[B, T, V]` of all positions |
# | `reference(ids)` | the unquantized model: logits `[B, T, V]` |
# | `kv_bytes`, `config`, `bytes_per`, `block_size` | bytes that the cache holds now; the model's shape; bytes per stored number; tokens per block (1: no blocks) |
# | `clock()` | seconds |
#
# Run one prefill, then `new_tokens` greedy decode steps, each fed with the argmax of the logits before it. Leave `ids` as it is. Return a dict:
#
# | key | holds |
# |---|---|
# | `"cache"` | `{"ok", "max_difference"}`: the largest absolute difference between each of the `new_tokens + 1` cached rows of logits and the same row of `recompute`; ok means at most 1e-4, and a NaN in any row is not ok |
# | `"timing"` | `{"prefill_s", "decode_s"}`: the prefill call, and the **mean of one** decode call, timed apart by the engine's clock |
# | `"memory"` | `{"ok", "expected_bytes", "held_bytes"}` after the last step: the formula for this batch and these tokens, each request rounded up to whole blocks, against what is held; ok means equal |
# | `"quality"` | `{"top1_agreement", "mean_kl"}` of `recompute` against `reference` over all positions of the final text (the prompts and the tokens that were fed): the share of positions with the same argmax, and the mean of $\mathrm{KL}(p_\text{reference} \,\|\, p_\text{engine})$ in nats |
#
# Per token the cache holds $2 \cdot L \cdot H_{kv} \cdot d_h \cdot b$ bytes (`config.num_hidden_layers`, `num_key_value_heads`, `head_dim`). The booleans are `bool`, the numbers `float` or `int`, so that `json.dumps` takes the whole.
#
# Example: 2 prompts of 5 tokens and 4 steps: 9 tokens each are in the cache (the last choice is never fed), 3 blocks of 4; with 96 bytes per token $2 \cdot 12 \cdot 96 = 2304$ bytes.
#
# <details><summary>Hint 1</summary>
#
# Keep the rows of logits that came out of prefill and decode. One `recompute` of the final text gives all rows to compare with, because a causal model's row $i$ does not depend on what comes later.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The first cached row belongs to position $N - 1$. For KL, subtract the maximum and the log of the sum of exponentials: $\log p$ of both, then $\sum p\,(\log p - \log q)$ over the vocabulary, the mean over positions.
#
# </details>


# %% solution="inference_checks"
def inference_checks(engine, ids, new_tokens=4):
    """The four checks of the table above as a dict of dicts.

    engine: the members above. ids: [B, N] prompt ids. new_tokens: decode steps, at least 1 (else ValueError).
    """
    ### BEGIN SOLUTION
    if new_tokens < 1:
        raise ValueError(f"new_tokens must be at least 1, got {new_tokens}")
    text = np.asarray(ids)
    batch, prompt = text.shape
    start = engine.clock()
    rows = [engine.prefill(text)]
    prefill_s = engine.clock() - start
    decode_s = 0.0
    for _ in range(new_tokens):
        newest = rows[-1].argmax(axis=-1)
        text = np.concatenate([text, newest[:, None]], axis=1)
        start = engine.clock()
        logits = engine.decode(newest)
        decode_s += engine.clock() - start
        rows.append(logits)
    held = engine.kv_bytes
    config = engine.config
    slots = batch * num_blocks_for(prompt + new_tokens, engine.block_size) * engine.block_size
    per_token = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * engine.bytes_per
    full, reference = (np.asarray(f(text), np.float64) for f in (engine.recompute, engine.reference))
    difference = float(np.abs(np.stack(rows, axis=1) - full[:, prompt - 1 :]).max())
    log_q, log_p = (
        x - x.max(-1, keepdims=True) - np.log(np.exp(x - x.max(-1, keepdims=True)).sum(-1, keepdims=True))
        for x in (full, reference)
    )
    return {
        "cache": {"ok": difference <= 1e-4, "max_difference": difference},
        "timing": {"prefill_s": prefill_s, "decode_s": decode_s / new_tokens},
        "memory": {"ok": held == slots * per_token, "expected_bytes": slots * per_token, "held_bytes": held},
        "quality": {
            "top1_agreement": float((full.argmax(-1) == reference.argmax(-1)).mean()),
            "mean_kl": float((np.exp(log_p) * (log_p - log_q)).sum(-1).mean()),
        },
    }
    ### END SOLUTION


# %% tryit="inference_checks"
class Probe:
    """The shipped checkpoint in the form of this exercise; quant: None, "int8" or "int4"."""

    config, bytes_per, block_size, clock = TINY, 4, 1, staticmethod(time.perf_counter)

    def __init__(self, quant=None):
        self.float_model, self.model = Llama(*load_tiny()), Llama(*load_tiny())
        if quant:
            quantize_model(self.model, quant)

    def prefill(self, ids):
        self.cache = self.model.new_cache(64, len(ids))
        return self.model(torch.from_numpy(ids), self.cache)[:, -1].numpy()

    def decode(self, ids):
        return self.model(torch.from_numpy(ids)[:, None], self.cache)[:, -1].numpy()

    @property
    def kv_bytes(self):
        return self.cache.num_bytes * self.cache.length // self.cache.max_tokens  # of what is reserved, the used part

    def recompute(self, ids):
        return self.model(torch.from_numpy(ids)).numpy()

    def reference(self, ids):
        return self.float_model(torch.from_numpy(ids)).numpy()


for quant in (None, "int8", "int4"):
    print(quant, json.dumps(inference_checks(Probe(quant), np.arange(40).reshape(2, 20) * 7), indent=1))


# %% test="inference_checks" points=2
def test_inference_checks():
    import json
    import types

    import numpy as np

    class Fake:
        """Logits made from the text; decode may be wrong by a given amount from step `bad` on."""

        lends = "prefill decode recompute reference clock config bytes_per block_size kv_bytes".split()
        bytes_per, block_size = 2, 4
        config = types.SimpleNamespace(num_hidden_layers=3, num_key_value_heads=2, head_dim=4, num_attention_heads=8)

        def __init__(self, error=0.0):
            self.error, self.now, self.kv_bytes = error, 0.0, 0

        def clock(self):
            return self.now

        def recompute(self, ids):
            total = np.cumsum(ids, axis=1)[..., None]
            return np.cos(total * np.arange(1, 6))

        reference = recompute

        def prefill(self, ids):
            self.now += 3.0
            self.text = ids
            self.kv_bytes = 2304
            return self.recompute(ids)[:, -1]

        def decode(self, ids):
            self.now += 0.5
            self.text = np.concatenate([self.text, np.asarray(ids)[:, None]], axis=1)
            return self.recompute(self.text)[:, -1] + self.error

    ids = np.array([[1, 2, 3, 4, 5], [2, 0, 1, 0, 3]])
    got = inference_checks(Fake(), ids, 4)
    assert got is not None, "inference_checks returned None: is there a return statement?"
    assert set(got) == {"cache", "timing", "memory", "quality"}, f"the four keys, not {sorted(got)}"
    json.dumps(got)
    assert got["cache"]["ok"] is True and got["cache"]["max_difference"] < 1e-9, (
        f"this engine's cache is right; you report {got['cache']} (the first cached row is position N - 1)"
    )
    assert got["timing"]["prefill_s"] == 3, f"the prefill takes 3 s, you report {got['timing']['prefill_s']}"
    assert got["timing"]["decode_s"] == 0.5, f"one decode step takes 0.5 s, you report {got['timing']['decode_s']}"
    want = {"ok": True, "expected_bytes": 2304, "held_bytes": 2304}
    assert got["memory"] == want, f"9 tokens are 3 blocks of 4, 2 prompts, 96 bytes: {want}, not {got['memory']}"
    assert got["quality"]["top1_agreement"] == 1, "an engine agrees with itself"
    assert abs(got["quality"]["mean_kl"]) < 1e-12, f"KL of equal distributions is 0, yours {got['quality']['mean_kl']}"
    wrong = inference_checks(Fake(0.01), ids, 2)
    assert wrong["cache"]["ok"] is False, "decode is off by 0.01 in each step and your check says ok"


test_inference_checks()


# %% hidden="inference_checks" points=4
def hidden_inference_checks():
    import json
    import math
    import types

    import numpy as np

    class Fake:
        lends = "prefill decode recompute reference clock config bytes_per block_size kv_bytes".split()

        def __init__(self, seed, bad_step, error, noise, extra_bytes):
            rng = np.random.default_rng(seed)
            self.table = 20 * rng.standard_normal((50, 7))
            self.noisy = self.table + noise * rng.standard_normal((50, 7))
            layers, kv, rep, dim, self.block_size, scale = (int(n) for n in rng.integers(1, 6, 6))
            self.bytes_per = (0.5, 1, 2, 4)[int(rng.integers(4))]
            self.config = types.SimpleNamespace(
                num_hidden_layers=layers, num_key_value_heads=kv, head_dim=2 * dim, num_attention_heads=kv * (rep + 1)
            )
            self.per_token = layers * kv * 4 * dim * self.bytes_per
            self.bad_step, self.error, self.extra, self.scale = bad_step, error, extra_bytes, scale
            self.now, self.steps, self.calls = 9.0, 0, []

        def clock(self):
            return self.now

        @property
        def kv_bytes(self):
            blocks = math.ceil(self.text.shape[1] / self.block_size) * len(self.text)
            return blocks * self.block_size * self.per_token + self.extra

        def logits(self, table, ids):
            return table[(np.cumsum(ids, axis=1) * self.scale) % 50]

        def recompute(self, ids):
            self.now += 1000.0
            return self.logits(self.noisy, ids)

        def reference(self, ids):
            self.now += 1000.0
            return self.logits(self.table, ids)

        def prefill(self, ids):
            self.calls.append("prefill")
            self.now += 2.5
            self.prompts = self.text = np.array(ids)
            self.steps = 0
            return self.logits(self.noisy, self.text)[:, -1] + (self.error if self.bad_step == 0 else 0)

        def decode(self, ids):
            self.calls.append("decode")
            assert np.shape(ids) == (len(self.text),), f"decode takes one id per row, it got {np.shape(ids)}"
            want = self.logits(self.noisy, self.text)[:, -1].argmax(-1)
            assert np.array_equal(ids, want), f"the argmax {want.tolist()} is fed, you fed {np.asarray(ids).tolist()}"
            self.steps += 1
            self.now += 2.0**self.steps
            self.text = np.concatenate([self.text, np.asarray(ids)[:, None]], axis=1)
            out = self.logits(self.noisy, self.text)[:, -1].copy()
            if self.steps == self.bad_step:
                out[-1, 3] -= self.error
            return out

    def log_softmax(row):
        top = max(row)
        total = math.log(math.fsum(math.exp(x - top) for x in row))
        return [x - top - total for x in row]

    rng = np.random.default_rng(70)
    for seed in range(24):
        steps = int(rng.integers(1, 6))
        bad_step = int(rng.integers(0, steps + 1)) if seed % 2 else None
        error = (2e-4, 5e-5)[seed // 2 % 2] if bad_step is not None else 0
        extra = (0, 0, 16, -16)[seed % 4]
        engine = Fake(seed, bad_step, error, (0, 2.0)[seed % 3 > 0], extra)
        ids = rng.integers(0, 49_152, (int(rng.integers(1, 4)), int(rng.integers(1, 6))))
        kept = ids.copy()
        got = inference_checks(engine, ids.tolist() if seed % 5 == 0 else ids, steps)
        case = f"batch {ids.shape[0]}, prompt {ids.shape[1]}, {steps} steps"
        assert np.array_equal(ids, kept), f"{case}: the prompts were changed"
        assert np.array_equal(engine.prompts, kept), f"{case}: prefill got {engine.prompts.tolist()}, not the prompts"
        json.dumps(got)
        assert engine.calls == ["prefill"] + ["decode"] * steps, f"{case}: the calls were {engine.calls}"
        assert abs(got["cache"]["max_difference"] - error) < 1e-9, (
            f"{case}: step {bad_step} is off by {error}, you report {got['cache']['max_difference']}"
        )
        assert got["cache"]["ok"] is (error <= 1e-4), f"{case}: difference {error}, ok is {got['cache']['ok']!r}"
        timing = {"prefill_s": 2.5, "decode_s": (2.0 ** (steps + 1) - 2) / steps}
        assert all(abs(got["timing"][key] - value) < 1e-9 for key, value in timing.items()), (
            f"{case}: the clock says {timing}, you report {got['timing']} (mean of one decode call; checks not timed)"
        )
        blocks = math.ceil((ids.shape[1] + steps) / engine.block_size) * ids.shape[0]
        want = int(blocks * engine.block_size * engine.per_token)
        assert got["memory"]["expected_bytes"] == want, (
            f"{case}, blocks of {engine.block_size}: {want} bytes expected, you say {got['memory']['expected_bytes']} "
            "(KV heads, not query heads; whole blocks per request; the last choice is not fed)"
        )
        assert got["memory"]["held_bytes"] == want + extra, f"{case}: held_bytes is what the engine says after the run"
        assert got["memory"]["ok"] is (extra == 0), f"{case}: ok is {got['memory']['ok']!r}, {extra} bytes off"
        text = engine.text
        p = [log_softmax(row) for rows in engine.logits(engine.table, text).tolist() for row in rows]
        q = [log_softmax(row) for rows in engine.logits(engine.noisy, text).tolist() for row in rows]
        kl = sum(math.exp(a) * (a - b) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / len(p)
        same = sum(x.index(max(x)) == y.index(max(y)) for x, y in zip(p, q, strict=True)) / len(p)
        assert abs(got["quality"]["top1_agreement"] - same) < 1e-9, (
            f"{case}: {same} of all {len(p)} positions agree, you say {got['quality']['top1_agreement']}"
        )
        assert abs(got["quality"]["mean_kl"] - kl) < 1e-9, (
            f"{case}: the mean KL(reference || engine) is {kl} nats, you say {got['quality']['mean_kl']} "
            "(other way round, log2, or without the maximum subtracted?)"
        )
    big = Fake(1, None, 0, 1.0, 0)
    big.table, big.noisy = big.table + 900, big.noisy + 900
    assert np.isfinite(inference_checks(big, ids, 1)["quality"]["mean_kl"]), (
        "logits of 900 overflow exp: shift by the max"
    )
    ids = np.ones((2, 3), int)
    broken = inference_checks(Fake(2, 1, math.nan, 1.0, 0), ids, 1)["cache"]
    assert broken["ok"] is False, "a cached row with nan in it is not ok: a comparison with nan, and max, can lose it"
    try:
        inference_checks(Fake(0, None, 0, 0, 0), ids, 0)
    except ValueError as error:
        assert str(error), "the ValueError says nothing: tell what is wrong"
    else:
        raise AssertionError("new_tokens=0 was accepted")


hidden_inference_checks()

# %% [markdown] answer="read_the_ablation" points=3
# ### In your own words: read the table
#
# Batching raises tokens per second and also raises TPOT; prefix reuse lowers the TTFT of requests that come after others with the same beginning; speculation sometimes makes a full batch slower. In at most 200 words: explain the three, say which parts you would switch on for one user on a laptop and which for a crowded server, and what must be checked each time before a speed is believed.
#
# ### BEGIN SOLUTION
# **Rubric, 1 point each.** (1) Batching: the weights are read once for everybody, so a step gives more tokens, but each step is longer (more rows, prompts of others beside the decodes), and TPOT is the length of a step. (2) Prefix reuse saves prompt computation, so it acts on TTFT (and frees the budget), not on a single decode step; speculation feeds several tokens per sequence and pays where a pass has arithmetic to spare: one user yes, a full batch no, and rejected drafts are wasted work. (3) A choice for both cases, and the check: the greedy text equal to the naive loop's, an error budget for quantization, the same workload, machine and repeats.
#
# **Model answer.** A decode step reads all weights whether one sequence or eight use them, so eight share the cost and throughput rises. But the step also does eight times the arithmetic and now and then carries somebody's prompt: it is longer, and each user waits one step per token. Prefix reuse takes prompt tokens from the cache. A prompt's work ends with the first token, so TTFT falls; a decode step takes as long as before. Speculation bets several tokens per sequence on one pass. With one user the pass has arithmetic to spare and wins are free; in a full batch the extra tokens lengthen the pass, and every rejected one is lost. For one user on a laptop: cache, int4 or int8 weights, speculation if the text repeats itself. For a crowded server: cache, batching, paging, prefix reuse, quantized weights where kernels make them fast, speculation only at low load. Before I believe a number: the same greedy text as the naive loop (or a KL budget where weights were quantized), the same workload on the same machine, several runs.
# ### END SOLUTION

# %% [markdown] task="diagnose" stars=2 minutes=15
# ## 7. Diagnose a server
#
# The machine-graded companion: six servers, seen through `/metrics` and a load test. Write `diagnose()`, which returns a dict with one letter for each.
#
# | key | what you see |
# |---|---|
# | `idle_queue` | 30 requests wait, 8 run (`max_num_seqs` 8), 85% of the KV blocks are free, TPOT is half of what was promised |
# | `same_beginning` | TTFT is too high; every prompt starts with the same 3,000 tokens; 0% of the prompt tokens hit the prefix cache |
# | `long_prompts` | TPOT p50 is fine and ITL p99 is 2 s; the slow steps are those that compute an 8,000-token prompt in one piece |
# | `many_preemptions` | 2% of the blocks are free, preemptions rise every second, computed tokens are far more than prompts and answers together |
# | `alone` | one user, GPU arithmetic 2% busy, TPOT equals weight bytes ÷ bandwidth, the text is a list with repetitions |
# | `refused` | all latencies are within limits, 10% of the requests get 429, the machine could not do more at these limits |
#
# **a** turn on prefix caching · **b** chunked prefill with a smaller token budget · **c** raise `max_num_seqs` · **d** admit fewer at once or make the KV cache smaller (int8 KV, GQA model), so that running requests keep their blocks · **e** quantized weights and speculation · **f** nothing here: add a replica, and let clients retry after the time the server names
#
# <details><summary>Hint 1</summary>
#
# For each: which resource is short (blocks, budget per step, bandwidth, machines), and which one is idle?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Each letter is used once.
#
# </details>


# %% solution="diagnose"
def diagnose():
    """The first thing to change on each of the six servers: a dict of six letters "a" to "f"."""
    ### BEGIN SOLUTION
    return {
        "idle_queue": "c",
        "same_beginning": "a",
        "long_prompts": "b",
        "many_preemptions": "d",
        "alone": "e",
        "refused": "f",
    }
    ### END SOLUTION


# %% tryit="diagnose"
for server, letter in diagnose().items():
    print(f"{server:17} {letter}")


# %% test="diagnose" points=1
def test_diagnose():
    got = diagnose()
    assert got is not None, "diagnose returned None: is there a return statement?"
    keys = {"idle_queue", "same_beginning", "long_prompts", "many_preemptions", "alone", "refused"}
    assert set(got) == keys, f"missing or unknown keys: {sorted(keys ^ set(got))}"
    assert sorted(got.values()) == list("abcdef"), f"each letter a to f once, yours are {sorted(got.values())}"
    assert got["same_beginning"] == "a", "a common beginning that is computed again each time asks for prefix caching"


test_diagnose()


# %% hidden="diagnose" points=2
def hidden_diagnose():
    got = diagnose()
    why = {
        "idle_queue": ("c", "blocks are free and the steps have room: only max_num_seqs keeps the queue waiting"),
        "same_beginning": ("a", "3,000 equal tokens are computed for every request"),
        "long_prompts": ("b", "a prompt in one piece makes one long step for every request; chunks bound the step"),
        "many_preemptions": ("d", "sequences lose their blocks and are computed again: less in flight, or smaller KV"),
        "alone": ("e", "bandwidth is the limit: fewer bytes per token, or more tokens per read"),
        "refused": ("f", "the latency limits hold and the machine is full: 429 is what it should answer"),
    }
    for key, (letter, reason) in why.items():
        assert got[key] == letter, f"{key}: {reason}"


hidden_diagnose()

# %% [markdown]
# ## The real server, a real client
#
# Nothing to write and no points: `python -m mini_engine serve` in a process of its own, the `openai` client, and your `load_test`. It runs where SmolLM2-135M has been fetched before (`python -m mini_engine generate "Hello"` does that) and says so where not.

# %%
from mini_engine.weights import smollm2_is_cached


def talk_to_the_server():
    """Start the server on a free port, ask it something, measure it, stop it."""
    import subprocess
    import sys

    import openai

    command = [sys.executable, "-m", "mini_engine", "serve", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline()  # "serving smollm2 at http://127.0.0.1:PORT/v1 (Ctrl+C stops)"
        print(line, end="")
        base_url = line.split(" at ")[1].split(" ")[0]
        client = openai.OpenAI(base_url=base_url, api_key="none", max_retries=5)
        question = [{"role": "user", "content": "What is the capital of France?"}]
        stream = client.chat.completions.create(
            model="smollm2", messages=question, max_tokens=24, temperature=0, stream=True
        )
        print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
        print(json.dumps(load_test(base_url, max_tokens=8), indent=1))
    finally:
        server.terminate()
        server.wait()


if smollm2_is_cached():
    talk_to_the_server()
else:
    print('SmolLM2-135M is not on this machine: skipped. `python -m mini_engine generate "Hello"` fetches it.')

# %% [markdown]
# **Before you close this.** Whatever scheduler, cache or draft is plugged in, the greedy text of a request is the text it gets alone: that is what your engine was held to. And you measured what the parts buy, with a clock, a fixed workload and percentiles, from inside (the ablation) and from outside (the load test).
