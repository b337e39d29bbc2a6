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
# # 18 · A fleet
#
# One engine is not enough, or not safe enough, so several stand behind one address. In this notebook you choose a replica for a request, plan what of a cache has to travel, decide what happens to a request whose replica is lost, count the requests that kept their objectives, search the highest rate at which they still do, scale the number of replicas, and work out what a million tokens costs. The chapter *A fleet* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# You need no network and no second process. Where time matters it is a number that you are given: nothing here waits, and nothing depends on how fast your machine is.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and no argument is changed. The task says which arguments are meant.

# %% setup=True
import math

import numpy as np

from mini_engine.accounting import kv_bytes_per_token
from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M

# %% [markdown] task="choose_replica" stars=2 minutes=20
# ## 1. Who gets the request?
#
# A **replica** is one engine with its own cache. A request goes to one of them. Two wishes pull in different directions: the replica that has the beginning of the prompt in its cache has less to compute, and the replica with less to do begins sooner. NVIDIA's Dynamo adds both up, in blocks, and takes the smallest sum:
#
# $$
# \text{cost} = \text{weight} \cdot \text{blocks to compute} + \text{blocks in work}
# $$
#
# Write `choose_replica(blocks, cached, load, weight)`, which returns the number of a replica, from 0.
#
# - `blocks`: a list, the names of the prompt's blocks in order. As in chapter 9 a name stands for the block and all before it.
# - `cached`: for each replica a set, the names of the blocks that it has.
# - `load`: for each replica the blocks in work there, an integer.
# - `weight`: what a block to compute counts, a number from 0.
#
# A cached block helps only if every block before it is cached too: attention to the positions in a gap would have to be computed first. So the blocks to compute are all from the first one that is missing. Of replicas with the same cost take the one with the smaller load, then the smaller number.
#
# `ValueError` names `weight` where it is negative, and the length of `cached` where it is 0 or differs from that of `load`.
#
# Example: blocks `["a", "b", "c"]`. Replica 0 has `{"a", "b"}` and 5 blocks in work, replica 1 has nothing and 3. With weight 1 the costs are 1 + 5 and 3 + 3: equal, and replica 1 has the smaller load. With weight 2 they are 7 and 9: replica 0.
#
# <details><summary>Hint 1</summary>
#
# Count the overlap first, in a loop that stops at the first missing block. The rest is a `min`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Tuples are compared from the left: the smallest of `(cost, load, number)` settles ties as wanted.
#
# </details>


# %% solution="choose_replica"
def choose_replica(blocks, cached, load, weight):
    """The number of the replica with the smallest weight x blocks to compute + blocks in work.

    blocks: names in order. cached: a set of names per replica. load: blocks in work per replica. Ties: smaller load,
    then smaller number. Raises ValueError for a negative weight, for no replicas, for lists of different length.
    """
    ### BEGIN SOLUTION
    if weight < 0:
        raise ValueError(f"the weight cannot be negative, got {weight}")
    if len(cached) == 0 or len(cached) != len(load):
        raise ValueError(f"{len(cached)} sets of blocks and {len(load)} loads are not one of each per replica")
    best = None
    for number, known in enumerate(cached):
        overlap = 0
        for block in blocks:
            if block not in known:
                break
            overlap += 1
        cost = weight * (len(blocks) - overlap) + load[number]
        if best is None or (cost, load[number]) < best[:2]:
            best = cost, load[number], number
    return best[2]
    ### END SOLUTION


# %% tryit="choose_replica"
for weight in (0, 1, 2):
    print(f"weight {weight}: replica", choose_replica(["a", "b", "c"], [{"a", "b"}, set()], [5, 3], weight))


# %% test="choose_replica" points=1
def test_choose_replica():
    got = choose_replica(["a", "b", "c"], [{"a", "b"}, set()], [5, 3], 2)
    assert got is not None, "choose_replica returned None: is there a return statement?"
    assert got == 0, f"weight 2: costs 2 * 1 + 5 and 2 * 3 + 3, so replica 0; you returned {got}"
    got = choose_replica(["a", "b", "c"], [{"a", "b"}, set()], [5, 3], 1)
    assert got == 1, f"both cost 6: the smaller load, replica 1; you returned {got}"
    got = choose_replica(["a", "b", "c"], [{"b", "c"}, {"a"}], [0, 0], 1)
    assert got == 1, f"b and c without a help nothing: only a leading overlap counts, replica 1; you returned {got}"
    got = choose_replica(["a"], [set(), set()], [2, 2], 1)
    assert got == 0, f"all equal: the smaller number, 0; you returned {got}"
    for args, value in (
        ((["a"], [set()], [0], -3), "-3"),
        ((["a"], [], [], 1), "0"),
        ((["a"], [set(), set(), set()], [0], 1), "3"),
    ):
        try:
            got = choose_replica(*args)
        except ValueError as error:
            assert value in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, this makes no sense")


test_choose_replica()


# %% hidden="choose_replica" points=2
def hidden_choose_replica():
    import numpy as np

    rng = np.random.default_rng(181)
    for trial in range(300):
        num, size = int(rng.integers(1, 6)), int(rng.integers(0, 7))
        blocks = [f"block {trial} {i}" for i in range(size)]
        cached = [{name for name in blocks if rng.random() < 0.7} | {"another"} for _ in range(num)]
        load = [int(n) for n in rng.integers(0, 5, num)]
        weight = [0, 0.5, 1, 2, 1000][trial % 5]
        costs = []
        for number in range(num):
            lengths = [n for n in range(size + 1) if set(blocks[:n]) <= cached[number]]
            costs.append((weight * (size - max(lengths)) + load[number], load[number], number))
        want = sorted(costs)[0][2]
        before = [set(each) for each in cached], list(load), list(blocks)
        got = choose_replica(blocks, cached, load, weight)
        assert got == want, "the smallest cost, then the smaller load, then the smaller number"
        assert (cached, load, blocks) == before, "an argument was changed"
    got = choose_replica([], [{"a"}, set()], [3, 2], 5)
    assert got == 1, "a prompt without a full block: only the load counts"
    got = choose_replica(["a", "b"], [set(), {"a", "b"}], [0, 1000], 0)
    assert got == 0, "with weight 0 only the load counts"
    for bad in (([], [set()], [0], -0.5), ([], [set()], [0, 0], 1), ([], [set(), set()], [0], 1), ([], [], [], 0)):
        try:
            choose_replica(*bad)
        except ValueError:
            continue
        raise AssertionError("a negative weight, no replicas, or lists of different length were accepted")


hidden_choose_replica()


# %% [markdown] task="handover_plan" stars=2 minutes=20
# ## 2. What has to travel?
#
# One process reads the prompt (*prefill*), another writes the answer (*decode*). The first computes K and V of the whole prompt and the first new token. The second gets the cache in blocks of `block_size` tokens, and only **full** blocks have a name by which it can find them. Blocks that it has already, from an earlier prompt with the same beginning, do not travel again. What did not travel it computes: the prompt's tokens behind the last full block, and then the first new token, which nobody has put into a cache yet.
#
# Write `handover_plan(num_tokens, block_size, num_held, bytes_per_token)`. It returns `(blocks, num_bytes, num_left)`:
#
# - `blocks`: the numbers of the blocks that travel, a list in order; block 0 holds the first tokens.
# - `num_bytes`: the bytes that travel, when a token's K and V have `bytes_per_token` bytes over all layers.
# - `num_left`: how many tokens the receiver has to compute before it can write the *second* new token.
#
# `num_held`: how many of the first blocks the receiver has. `ValueError` names the value where `num_tokens`, `block_size` or `bytes_per_token` is below 1, or where `num_held` is negative or more than the full blocks of the prompt.
#
# Example: a prompt of 39 tokens in blocks of 16 has 2 full blocks and 7 tokens behind them. The receiver has block 0. Block 1 travels, 16 tokens; with 100 bytes a token that is 1,600 bytes. The receiver computes 7 + 1 = 8 tokens: `([1], 1600, 8)`. (DistServe, 2401.09670, and Mooncake, 2407.00079, run the two phases apart.)
#
# <details><summary>Hint 1</summary>
#
# How many full blocks has the prompt? All three results follow from that number.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `num_tokens // block_size` full blocks; `num_tokens % block_size` tokens are behind them. The new token is one more, even where nothing is behind them.
#
# </details>


# %% solution="handover_plan"
def handover_plan(num_tokens, block_size, num_held, bytes_per_token):
    """(blocks, num_bytes, num_left) of handing a prompt's cache to a decode process that has its first num_held blocks.

    blocks: numbers of the full blocks that travel. num_left: tokens that the receiver computes, the first new one among
    them. Raises ValueError, naming the value, for sizes below 1 and for num_held outside 0 to the full blocks.
    """
    ### BEGIN SOLUTION
    for value in (num_tokens, block_size, bytes_per_token):
        if value < 1:
            raise ValueError(f"sizes must be at least 1, got {value}")
    num_full, behind = divmod(num_tokens, block_size)
    if not 0 <= num_held <= num_full:
        raise ValueError(f"the receiver can have 0 to {num_full} full blocks, got {num_held}")
    blocks = list(range(num_held, num_full))
    return blocks, len(blocks) * block_size * bytes_per_token, behind + 1
    ### END SOLUTION


# %% tryit="handover_plan"
per_token = kv_bytes_per_token(LLAMA_3_8B)
for held in (0, 400):
    blocks, num_bytes, num_left = handover_plan(8191, 16, held, per_token)
    print(f"{held} blocks held: {len(blocks)} travel, {num_bytes / 1e9:.2f} GB, {num_left} tokens are left to compute")


# %% test="handover_plan" points=1
def test_handover_plan():
    got = handover_plan(39, 16, 1, 100)
    assert got is not None, "handover_plan returned None: is there a return statement?"
    assert got == ([1], 1600, 8), f"39 tokens, blocks of 16, one held: ([1], 1600, 8), you returned {got}"
    got = handover_plan(32, 16, 0, 10)
    assert got == ([0, 1], 320, 1), f"32 tokens: two full blocks and only the new token is left, you returned {got}"
    got = handover_plan(5, 16, 0, 10)
    assert got == ([], 0, 6), f"no full block: nothing travels and 5 + 1 tokens are left, you returned {got}"
    got = handover_plan(64, 16, 4, 10)
    assert got == ([], 0, 1), f"all four blocks are held: nothing travels, you returned {got}"
    for args, value in (
        ((0, 16, 0, 1), 0),
        ((39, -16, 0, 1), -16),
        ((39, 16, 0, -7), -7),
        ((39, 16, 3, 1), 3),
        ((39, 16, -1, 1), -1),
    ):
        try:
            got = handover_plan(*args)
        except ValueError as error:
            assert str(value) in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, {value} makes no sense here")


test_handover_plan()


# %% hidden="handover_plan" points=2
def hidden_handover_plan():
    import numpy as np

    from mini_engine.accounting import num_blocks_for

    rng = np.random.default_rng(182)
    for _ in range(200):
        size, tokens, per_token = (int(n) for n in rng.integers(1, (40, 400, 3000)))
        full = [i for i in range(num_blocks_for(tokens, size)) if (i + 1) * size <= tokens]
        held = int(rng.integers(0, len(full) + 1))
        blocks, num_bytes, num_left = handover_plan(tokens, size, held, per_token)
        assert list(blocks) == full[held:], "the full blocks that the receiver does not have, in order"
        assert num_bytes == sum(per_token for _ in blocks for _ in range(size)), "every token of these blocks"
        in_cache = {position for i in full for position in range(i * size, (i + 1) * size)}
        left = [position for position in range(tokens + 1) if position not in in_cache]
        assert num_left == len(left), "what is behind the full blocks, and the new token"
        assert all(isinstance(n, int) for n in (*blocks, num_left)), "block numbers and tokens are integers"
    got = handover_plan(7, 1, 0, 3)
    assert got == (list(range(7)), 21, 1), "blocks of one token are all full"
    for bad in ((-2, 4, 0, 1), (8, 0, 0, 1), (8, 4, 0, 0), (8, 4, 5, 1), (8, 4, -2, 1)):
        try:
            handover_plan(*bad)
        except ValueError as error:
            named = [str(n) for n in bad if n < 1 or n == 5]
            assert any(n in str(error) for n in named), "the message should hold the value"
            continue
        raise AssertionError("a size that makes no sense was accepted: raise ValueError")


hidden_handover_plan()


# %% [markdown] task="ask_replicas" stars=3 minutes=35
# ## 3. When a replica is lost
#
# Replicas die: out of memory, a driver fault, a new version rolled out. The front that stands before them can hide much of that. The rule is about what the **client has been told**:
#
# - Nothing yet: ask the next replica. A second attempt costs time, and nobody sees it.
# - Some of the text already: do not ask again. With sampling a second answer would be another text, and half of one joined to half of another is neither. End the answer and say that it broke off.
#
# A *stream* tells the client each piece when it comes. Without streaming nothing is told before the end.
#
# Write `ask_replicas(scripts, is_stream, limit_s)`, a front on a simulated clock. `scripts` has one list of events for each replica, in the order in which to ask them. An event is `(at_s, kind, text)`: it happens `at_s` seconds after *this replica* was asked.
#
# | kind | meaning |
# |---|---|
# | `"piece"` | the next piece of the answer, in `text`, which is never empty |
# | `"end"` | the answer is complete |
# | `"busy"` | it refuses for now (a 429); comes only as the first event |
# | `"lost"` | the connection breaks |
#
# A list may just stop: then this replica is silent from there on. A replica that has said nothing for **more than** `limit_s` seconds, counted from when it was asked or from its last event, is treated as lost at that moment (after exactly `limit_s` seconds), and what it might say later is not heard.
#
# Return `(outcome, text, at_s, num_asked)`. `outcome` is `"answered"`, with the whole text; `"broken"`, with what the client has been told; or `"refused"`, with `""`, when no replica is left to ask. `at_s` is the time since the first replica was asked, `num_asked` how many were. No replica is asked twice, and the next one is asked at the moment when the one before is given up.
#
# `ValueError` names `limit_s` where it is not above 0, and an event's kind that is not in the table, if you come to it. No replicas at all is no error: refused, at 0 seconds.
#
# Example, a stream with `limit_s` 5: the first replica is `[(2, "lost", "")]`, the second `[(1, "piece", "Hi"), (4, "end", "")]`. The result is `("answered", "Hi", 6, 2)`. With `[(1, "piece", "Hi")]` as the first, the stream is broken at 1 + 5 seconds: `("broken", "Hi", 6, 1)`. Without streaming the second is asked at 6 and answers at 10: `("answered", "Hi", 10, 2)`.
#
# <details><summary>Hint 1</summary>
#
# Two loops: over the replicas, and over the events of one. Keep the time at which this replica was asked, and the time of its last sign of life. The pieces of a replica belong to it alone: a second attempt starts with none.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Put a silence in the same form as the rest: if the list has ended, or the next event is more than `limit_s` after the last, treat it as `"lost"` at last + `limit_s`. When one is lost there is a single question: is it a stream, and were there pieces?
#
# </details>


# %% solution="ask_replicas"
def ask_replicas(scripts, is_stream, limit_s):
    """(outcome, text, at_s, num_asked) of one request before replicas that behave as their scripts say.

    scripts: for each replica a list of (at_s, kind, text), seconds from when it was asked. limit_s: the longest silence.
    outcome: "answered", "broken" (a stream that had begun) or "refused". Raises ValueError for limit_s not above 0 and
    for an unknown kind.
    """
    ### BEGIN SOLUTION
    if not limit_s > 0:
        raise ValueError(f"the longest silence must be above 0 seconds, got {limit_s}")
    now = 0
    for num_asked, script in enumerate(scripts, 1):
        last, told = 0, []
        for at, kind, text in [*script, (math.inf, "lost", "")]:
            if at - last > limit_s:
                at, kind = last + limit_s, "lost"
            last = at
            if kind == "piece":
                told.append(text)
            elif kind == "end":
                return "answered", "".join(told), now + at, num_asked
            elif kind in ("lost", "busy"):
                break
            else:
                raise ValueError(f"there is no event of the kind {kind!r}")
        now += last
        if is_stream and told:
            return "broken", "".join(told), now, num_asked
    return "refused", "", now, len(scripts)
    ### END SOLUTION


# %% tryit="ask_replicas"
good = [(1, "piece", "Hi"), (2, "piece", " there"), (4, "end", "")]
for name, first in (("busy", [(1, "busy", "")]), ("lost in the middle", good[:1] + [(3, "lost", "")]), ("silent", [])):
    for is_stream in (True, False):
        print(f"{name}, {'stream' if is_stream else 'whole'}:", ask_replicas([first, good], is_stream, 5))


# %% test="ask_replicas" points=2
def test_ask_replicas():
    whole = [(1, "piece", "Hi"), (4, "end", "")]
    got = ask_replicas([[(2, "lost", "")], whole], True, 5)
    assert got is not None, "ask_replicas returned None: is there a return statement?"
    assert tuple(got) == ("answered", "Hi", 6, 2), (
        f"lost before its first piece: the next one answers at 6, yours {got}"
    )
    got = tuple(ask_replicas([[(1, "piece", "Hi")], whole], True, 5))
    assert got == ("broken", "Hi", 6, 1), f"a stream that had begun breaks off at 1 + 5 seconds, you returned {got}"
    got = tuple(ask_replicas([[(1, "piece", "Hi")], whole], False, 5))
    assert got[1] != "HiHi", "the piece of the lost attempt was joined to the second answer"
    assert got == ("answered", "Hi", 10, 2), f"without streaming nothing was told: asked again at 6, you returned {got}"
    got = tuple(ask_replicas([[(1, "busy", "")], [(0, "busy", "")]], True, 5))
    assert got == ("refused", "", 1, 2), f"two busy replicas: refused at 1 second, you returned {got}"
    got = tuple(ask_replicas([], True, 5))
    assert got == ("refused", "", 0, 0), f"no replica at all: refused at 0, you returned {got}"
    got = tuple(ask_replicas([[(5, "piece", "a"), (10, "end", "")]], True, 5))
    assert got == ("answered", "a", 10, 1), f"exactly limit_s between two events is not too long, you returned {got}"
    got = tuple(ask_replicas([[(1, "piece", "a"), (9, "end", "")], whole], False, 5))
    assert got == ("answered", "Hi", 10, 2), f"8 seconds of silence: given up at 1 + 5, you returned {got}"
    for args, value in (
        (([], True, 0), "0"),
        (([[(1, "end", "")]], True, -2), "-2"),
        (([[(1, "pie", "")]], True, 5), "pie"),
    ):
        try:
            got = ask_replicas(*args)
        except ValueError as error:
            assert value in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, {value} makes no sense")


test_ask_replicas()


# %% hidden="ask_replicas" points=3
def hidden_ask_replicas():
    import numpy as np

    def tick_by_tick(scripts, is_stream, limit):
        """The same front in steps of one second, with integers: no event is looked at before its time."""
        clock, number, asked_at, told, heard, place = 0, 0, 0, "", 0, 0
        while number < len(scripts):
            given_up = False
            while place < len(scripts[number]) and asked_at + scripts[number][place][0] == clock:
                _, kind, text = scripts[number][place]
                place, heard = place + 1, clock
                if kind == "end":
                    return "answered", told, clock, number + 1
                if kind == "piece":
                    told += text
                else:
                    given_up = True
                    break
            if given_up or clock - max(heard, asked_at) >= limit:
                nexts = scripts[number][place:]
                if given_up or not nexts or asked_at + nexts[0][0] > clock:
                    if is_stream and told:
                        return "broken", told, clock, number + 1
                    number, asked_at, told, heard, place = number + 1, clock, "", clock, 0
                    continue
            clock += 1
        return "refused", "", clock, len(scripts)

    rng = np.random.default_rng(183)
    seen = set()
    for _ in range(500):
        scripts = []
        for _ in range(int(rng.integers(0, 5))):
            kinds = ["piece"] * int(rng.integers(0, 4)) + [str(rng.choice(["end", "lost", "lost", "silence"]))]
            kinds = ["busy"] if rng.random() < 0.2 else [kind for kind in kinds if kind != "silence"]
            times = np.cumsum(rng.integers(1, 7, len(kinds)))
            texts = [str(rng.choice(["a", "bc", " d", "x"])) if kind == "piece" else "" for kind in kinds]
            scripts.append([(int(at), kind, text) for at, kind, text in zip(times, kinds, texts)])
        is_stream, limit = bool(rng.integers(2)), int(rng.integers(2, 7))
        want = tick_by_tick(scripts, is_stream, limit)
        before = [list(script) for script in scripts]
        got = tuple(ask_replicas(scripts, is_stream, limit))
        assert got[0] == want[0], "answered, broken or refused: what has the client been told when a replica is lost?"
        assert got[1] == want[1], "the text is what this one replica said"
        assert got[2] == want[2], "the time: each replica is asked when the one before is given up"
        assert got[3] == want[3], "the number of replicas asked"
        assert scripts == before, "an argument was changed"
        seen.add(got[0])
    assert seen == {"answered", "broken", "refused"}, "the random cases should hold all three"
    got = tuple(ask_replicas([[(0.25, "piece", "a"), (4096 + 2**-20, "lost", "")], [(0.5, "end", "")]], False, 5000))
    assert got == ("answered", "", 4096.5 + 2**-20, 2), "times may be fractions, and an answer may be empty"
    got = tuple(ask_replicas([[(0.5, "end", "")], [(1, "nonsense", "")]], True, 1))
    assert got[0] == "answered", "a replica that is never asked does not matter"
    got = tuple(ask_replicas([[(9, "nonsense", "")], [(0.5, "end", "")]], True, 1))
    assert got == ("answered", "", 1.5, 2), "what a replica says after it was given up is not heard"
    for bad in (([], False, -1), ([[(1, "ENDE", "")]], False, 2), ([[(0, "end", "")]], True, 0)):
        try:
            ask_replicas(*bad)
        except ValueError:
            continue
        raise AssertionError("a limit that is not above 0, or an unknown kind, was accepted")


hidden_ask_replicas()


# %% [markdown] task="goodput" stars=2 minutes=15
# ## 4. Requests that kept their objectives
#
# Tokens per second say nothing about users who left. **Goodput** counts only the requests that kept their objectives: a first token within `ttft_s` seconds, and at most `tpot_s` seconds per token after it, on average.
#
# Write `goodput(requests, ttft_s, tpot_s, duration_s)`, the good requests per second of a test that took `duration_s` seconds. A request is a dict: `"start"` is when it was sent, `"times"` the list of the times at which its tokens came, `"error"` is `None` or a text. All times are seconds on one clock.
#
# - TTFT is the first token's time less the start. TPOT is the time from the first token to the last, divided by the tokens *after the first*.
# - A request with an error is not good, whatever it had got by then. One without a token is not good.
# - One with a single token has no TPOT to miss: its TTFT decides.
# - An objective that is met exactly is kept.
#
# `ValueError` names `duration_s` where it is not above 0. No requests is no error.
#
# Example: objectives 1 and 0.5, a request with start 10 and times `[11, 11.5, 12]`: TTFT 1, TPOT 1 / 2. It is good. In a test of 4 seconds with nothing else the goodput is 0.25. (DistServe, Zhong et al. 2024, 2401.09670, sizes a deployment by this number.)
#
# <details><summary>Hint 1</summary>
#
# Write a function of one request that says yes or no. The rest is a count and a division.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Between `n` tokens there are `n − 1` gaps. Ask for the error and for an empty list first; then `times[0]` exists.
#
# </details>


# %% solution="goodput"
def goodput(requests, ttft_s, tpot_s, duration_s):
    """Requests per second that kept both objectives.

    requests: dicts with "start", "times" (of tokens) and "error" (None or text), seconds. Raises ValueError for a
    duration_s that is not above 0.
    """
    ### BEGIN SOLUTION
    if not duration_s > 0:
        raise ValueError(f"a test takes more than 0 seconds, got {duration_s}")
    good = 0
    for request in requests:
        times = request["times"]
        if request["error"] is not None or len(times) == 0:
            continue
        gaps = len(times) - 1
        tpot = (times[-1] - times[0]) / gaps if gaps else 0
        if times[0] - request["start"] <= ttft_s and tpot <= tpot_s:
            good += 1
    return good / duration_s
    ### END SOLUTION


# %% tryit="goodput"
trace = [{"start": i, "times": [i + 0.25 * i + 0.125 * n for n in range(5)], "error": None} for i in range(8)]
for limit in (0.5, 1, 2):
    print(f"first token within {limit} s: {goodput(trace, limit, 0.2, 8):.3f} good requests per second")


# %% test="goodput" points=1
def test_goodput():
    def one(start, times, error=None):
        return {"start": start, "times": times, "error": error}

    got = goodput([one(10, [11, 11.5, 12])], 1, 0.5, 4)
    assert got is not None, "goodput returned None: is there a return statement?"
    assert got == 0.25, f"TTFT 1 and TPOT 1 / 2 are kept exactly: 1 / 4, you returned {got}"
    got = goodput([one(0, [1, 2, 3])], 1, 0.75, 1)
    assert got == 0, f"2 seconds for 2 gaps is a TPOT of 1, not 2 / 3: not good, you returned {got}"
    got = goodput([one(0, [2, 2.5])], 1, 1, 1)
    assert got == 0, f"the first token came after 2 seconds: not good, you returned {got}"
    got = goodput([one(0, [1]), one(0, []), one(0, [0.5, 0.75], "lost")], 1, 0.5, 2)
    assert got == 0.5, f"one token in time is good, no token is not, an error is not: 1 / 2, you returned {got}"
    got = goodput([], 1, 1, 5)
    assert got == 0, f"no requests: 0, you returned {got}"
    for bad in (0, -3):
        try:
            got = goodput([], 1, 1, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name {bad}, it says: {error}"
        else:
            raise AssertionError(f"a duration of {bad} returned {got}: raise ValueError")


test_goodput()


# %% hidden="goodput" points=2
def hidden_goodput():
    import numpy as np

    rng = np.random.default_rng(184)
    for _ in range(60):
        requests, good = [], 0
        ttft, tpot = (int(n) / 8 for n in rng.integers(1, 17, 2))
        for _ in range(int(rng.integers(0, 12))):
            start = int(rng.integers(0, 800)) / 8
            gaps = rng.integers(0, 24, int(rng.integers(0, 6))) / 8
            times = [float(t) for t in start + np.cumsum(gaps)]
            error = "lost" if rng.random() < 0.2 else None
            requests.append({"start": start, "times": times, "error": error})
            in_time = len(gaps) > 0 and gaps[0] <= ttft and (len(gaps) < 2 or np.mean(gaps[1:]) <= tpot)
            good += bool(in_time and error is None)
        before = [dict(request, times=list(request["times"])) for request in requests]
        got = goodput(requests, ttft, tpot, 7)
        assert abs(got - good / 7) < 1e-12, (
            "good requests over seconds; the mean of the gaps is compared, errors never count"
        )
        assert requests == before, "an argument was changed"
    stalls = {"start": 0, "times": [1, 1, 1, 4], "error": None}
    assert goodput([stalls], 1, 1, 1) == 1, "TPOT is a mean: one long gap among short ones may be kept"
    empty = {"start": 0, "times": [0.5, 0.5], "error": ""}
    assert goodput([empty], 1, 1, 1) == 0, "an error with an empty text is still an error"
    late = {"start": 5, "times": [6.0, 6.0, 6.0], "error": None}
    assert goodput([late, late], 1, 0, 0.5) == 4, "an objective of 0 seconds per token is kept exactly"


hidden_goodput()


# %% [markdown] task="highest_rate" stars=3 minutes=30
# ## 5. The highest rate
#
# How many requests per second can a fleet take while, say, 90% of them keep their objectives? No formula knows. So one sends a rate, looks, and sends another. Each look costs minutes, so there should be few.
#
# Write `highest_rate(share_at, share, lowest, highest, within)`. `share_at(rate)` sends requests at this rate and returns the part of them that kept the objectives; it falls as the rate grows. A rate *passes* if it returns at least `share`. Return the highest rate known to pass, good enough in this sense:
#
# - where `lowest` does not pass, return `0.0`; no other rate is tried then;
# - where `highest` passes, return `highest`;
# - else the result passes, and a rate that is at most `within` times as high was tried and does not pass.
#
# No rate is tried twice, none outside of `lowest` to `highest`, and in all at most 40. Rates can be far apart: `highest` may be 10,000 times `lowest`, so a step of fixed size will not do.
#
# `ValueError` names `lowest` where it is not above 0 or is above `highest`, and `within` where it is not above 1.
#
# Example: rates up to 5 pass, `lowest` 1, `highest` 64, `within` 1.1. Doubling tries 1, 2, 4, 8; 8 does not pass. Between 4 and 8 you halve the gap on a scale of ratios: √(4 · 8) ≈ 5.66 does not pass, √(4 · 5.66) ≈ 4.76 does, then 5.19 does not. 5.19 / 4.76 is below 1.1: the result is 4.76, after 7 tries.
#
# <details><summary>Hint 1</summary>
#
# Two phases. First find a rate that fails, doubling, but never beyond `highest`. Then keep two numbers, the highest that passed and the lowest that failed, and try one between them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `min(2 * rate, highest)` is the next rate of the first phase; it ends when a rate fails or `highest` has passed. The second ends when failed / passed is at most `within`.
#
# </details>


# %% solution="highest_rate"
def highest_rate(share_at, share, lowest, highest, within):
    """The highest rate known to pass, share_at(rate) >= share, to within a factor; 0.0 where lowest does not pass.

    share_at falls with the rate; at most 40 rates are tried, none twice. Raises ValueError unless
    0 < lowest <= highest and within > 1.
    """
    ### BEGIN SOLUTION
    if not 0 < lowest <= highest:
        raise ValueError(f"lowest must be above 0 and at most {highest}, got {lowest}")
    if not within > 1:
        raise ValueError(f"within must be above 1, got {within}")
    passed, rate = 0.0, lowest
    while share_at(rate) >= share:
        passed = rate
        if rate == highest:
            return highest
        rate = min(2 * rate, highest)
    failed = rate
    while passed and failed / passed > within:
        middle = math.sqrt(passed * failed)
        if share_at(middle) >= share:
            passed = middle
        else:
            failed = middle
    return passed
    ### END SOLUTION


# %% tryit="highest_rate"
def printed(rate):
    share = 1 / (1 + (rate / 9) ** 4)
    print(f"  {rate:7.3f} requests/s: {share:.0%} kept their objectives")
    return share


print("result:", highest_rate(printed, 0.9, 1, 64, 1.1))


# %% test="highest_rate" points=2
def test_highest_rate():
    def search(limit, lowest, highest, within=1.1):
        tried = []

        def share_at(rate):
            tried.append(rate)
            return 0.95 if rate <= limit else 0.2

        return highest_rate(share_at, 0.9, lowest, highest, within), tried

    got, tried = search(5, 1, 64)
    assert got is not None, "highest_rate returned None: is there a return statement?"
    assert got <= 5 and got in tried, f"rates up to 5 pass; {got} does not pass or was never tried"
    assert any(got < rate <= 1.1 * got for rate in tried), f"{got}: no failing rate within 1.1 of it was tried"
    assert len(tried) <= 40 and len(set(tried)) == len(tried), f"tried {tried}: at most 40, none twice"
    got, tried = search(0.5, 1, 64)
    assert got == 0 and tried == [1], f"the lowest fails: 0.0 after one try, you returned {got} after {tried}"
    got, tried = search(100, 1, 48)
    assert got == 48 and max(tried) == 48, f"all pass: 48, the highest, you returned {got} after {tried}"
    got, tried = search(7, 1, 10_000, 1.01)
    assert got <= 7 <= 1.01 * got and len(tried) <= 40, f"limit 7 of 1 to 10,000: {got} after {len(tried)} tries"
    for args, value in (((0, 5, 1.1), "0"), ((7, 5, 1.1), "7"), ((1, 5, 0.75), "0.75")):
        try:
            got = search(3, *args)
        except ValueError as error:
            assert value in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, {value} makes no sense")


test_highest_rate()


# %% hidden="highest_rate" points=3
def hidden_highest_rate():
    import math

    import numpy as np

    rng = np.random.default_rng(185)
    for _ in range(120):
        lowest = float(rng.uniform(0.01, 3)) * float(rng.choice([1, 1e5]))
        highest = lowest * float(rng.choice([1, 1.5, 2, 10, 10_000]))
        within = float(rng.choice([1.01, 1.1, 1.5, 3]))
        limit = lowest * float(np.exp(rng.uniform(-0.5, math.log(highest / lowest) + 0.5)))
        slope, tried = float(rng.uniform(0.5, 6)), {}
        level = float(rng.choice([0.5, 0.9, 0.99]))

        def share_at(rate):
            assert rate not in tried, "a rate was tried twice"
            assert lowest <= rate <= highest, "a rate outside of the bounds was tried"
            tried[rate] = 1 - (1 - level) * (rate / limit) ** slope
            return tried[rate]

        got = highest_rate(share_at, level, lowest, highest, within)
        assert len(tried) <= 40, "more than 40 rates were tried"
        if tried[lowest] < level:
            assert got == 0 and len(tried) == 1, "the lowest rate fails: 0.0, and no other is tried"
        elif tried.get(highest, 0) >= level:
            assert got == highest, "the highest rate passes: it is the result"
        else:
            assert tried.get(got, 0) >= level, "the result was not tried or does not pass"
            assert any(n < level and rate <= got * within * (1 + 1e-12) for rate, n in tried.items() if rate > got), (
                "no failing rate within the factor was tried"
            )
    got = highest_rate(lambda rate: 0.9 if rate <= 3 else 0.5, 0.9, 1, 4, 1.01)
    assert 3 / 1.01 <= got <= 3, "a share that is met exactly passes, between the doubled rates too"
    got = highest_rate(lambda rate: 1.0, 0.9, 5000, 20_000, 2)
    assert got == 20_000, "the highest rate passes, and it is a large one"
    exact = {1: 0.9, 2: 0.9, 4: 0.5}
    got = highest_rate(lambda rate: exact.get(rate, 0.5), 0.9, 1, 4, 1.2)
    assert got == 2, "a share that is met exactly passes"
    for bad in ((-1, 5, 1.1), (6, 5, 1.1), (1, 5, 1), (0, 0, 2)):
        try:
            highest_rate(lambda rate: 1.0, 0.9, *bad)
        except ValueError:
            continue
        raise AssertionError("bounds or a factor that make no sense were accepted")


hidden_highest_rate()


# %% [markdown] task="Autoscaler" stars=3 minutes=30
# ## 6. How many replicas?
#
# Load changes by the hour, and an idle replica costs as much as a busy one. An autoscaler looks at the requests that are open, running or waiting, and says how many replicas there should be. The trap is haste downwards: a replica takes minutes to start, and its cache begins empty, so whoever removes one in every lull pays twice.
#
# Write the class `Autoscaler(target, least, most, down_s)` with one method, `replicas(now_s, num_open)`, which is called from time to time and returns the number of replicas from now on.
#
# - At each call the number *wanted* is the smallest with at most `target` open requests per replica, but never below `least` or above `most`.
# - **Up at once**: the result is never below what is wanted now.
# - **Down late**: the result is the largest number that was wanted in the last `down_s` seconds, that is, at calls at or after `now_s − down_s`, the present one among them. This is the *stabilization window* of Kubernetes' autoscaler.
#
# `ValueError` names the value: a `target` not above 0, a `least` below 1, a `most` below `least`, a negative `down_s`; in `replicas` a negative `num_open`, and a `now_s` before that of an earlier call. A call that is refused changes nothing.
#
# Example: `Autoscaler(4, 1, 8, 60)`. At 0 seconds with 10 open: 10 / 4, so 3. At 30 with 2 open: 1 is wanted, but 3 was 30 seconds ago, so 3. At 60 with 6 open: still 3, the call at 0 is just in the window. At 61 with 2 open: the largest of 1, 2 and 1 is 2. (Kubernetes, KEP 853; Ray Serve scales by the same measure and calls it `target_ongoing_requests`.)
#
# <details><summary>Hint 1</summary>
#
# Remember every call as a pair, time and number wanted. The result is a `max` over some of them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The number wanted is a division rounded up, then held between two bounds with `min` and `max`. Check before you remember. Old pairs can be dropped, but need not be.
#
# </details>


# %% solution="Autoscaler"
class Autoscaler:
    """Says how many replicas there should be: up at once, down only after down_s seconds.

    target: open requests per replica. least, most: bounds of the result. Raises ValueError, naming the value, for a
    target not above 0, least below 1, most below least, a negative down_s.
    """

    def __init__(self, target, least, most, down_s):
        ### BEGIN SOLUTION
        if not target > 0:
            raise ValueError(f"target must be above 0, got {target}")
        if least < 1 or most < least:
            raise ValueError(f"least must be at least 1 and most at least least, got {least} and {most}")
        if down_s < 0:
            raise ValueError(f"down_s cannot be negative, got {down_s}")
        self.target, self.least, self.most, self.down_s = target, least, most, down_s
        self.calls = []
        ### END SOLUTION

    def replicas(self, now_s, num_open):
        """The number of replicas from now on. Raises ValueError for a negative num_open and a now_s that goes back."""
        ### BEGIN SOLUTION
        if num_open < 0:
            raise ValueError(f"there cannot be {num_open} open requests")
        if self.calls and now_s < self.calls[-1][0]:
            raise ValueError(f"time went back from {self.calls[-1][0]} to {now_s}")
        wanted = min(max(math.ceil(num_open / self.target), self.least), self.most)
        self.calls.append((now_s, wanted))
        return max(number for at, number in self.calls if at >= now_s - self.down_s)
        ### END SOLUTION


# %% tryit="Autoscaler"
scaler = Autoscaler(4, 1, 8, 60)
for now, num_open in ((0, 10), (30, 2), (60, 6), (61, 2), (90, 40), (140, 0), (151, 0)):
    print(f"{now:4} s, {num_open:2} open: {scaler.replicas(now, num_open)} replicas")


# %% test="Autoscaler" points=2
def test_Autoscaler():
    scaler = Autoscaler(4, 1, 8, 60)
    got = [scaler.replicas(now, num) for now, num in ((0, 10), (30, 2), (60, 6), (61, 2))]
    assert got[0] is not None, "replicas returned None: is there a return statement?"
    assert got[0] == 3, f"10 open, 4 each: 3 replicas, rounded up, yours {got[0]}"
    assert got[1] == 3, f"30 seconds later 3 is still in the window of 60: 3, yours {got[1]}"
    assert got[2] == 3, f"a call exactly 60 seconds ago is in the window: 3, yours {got[2]}"
    assert got[3] == 2, f"now the largest of 1, 2 and 1 wanted counts: 2, not the last wish and not 3, yours {got[3]}"
    got = scaler.replicas(62, 400)
    assert got == 8, f"up at once, but never above most: 8, yours {got}"
    got = Autoscaler(4, 2, 8, 0).replicas(0, 0)
    assert got == 2, f"never below least: 2, yours {got}"
    at_once = Autoscaler(1, 1, 9, 0)
    got = [at_once.replicas(0, 7), at_once.replicas(1, 2)]
    assert got == [7, 2], f"with down_s 0 the number falls at once: [7, 2], yours {got}"
    for args, value in (((0, 1, 2, 5), 0), ((1, -4, 2, 5), -4), ((1, 3, 2, 5), 2), ((1, 1, 2, -5), -5)):
        try:
            Autoscaler(*args)
        except ValueError as error:
            assert str(value) in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"Autoscaler{args} was accepted: raise ValueError, {value} makes no sense")
    for args, value in (((61, 3), 61), ((63, -1), -1)):
        try:
            got = scaler.replicas(*args)
        except ValueError as error:
            assert str(value) in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"replicas{args} returned {got}: raise ValueError, {value} makes no sense")


test_Autoscaler()


# %% hidden="Autoscaler" points=3
def hidden_Autoscaler():
    import numpy as np

    rng = np.random.default_rng(186)
    for trial in range(80):
        target = [1, 2, 3, 0.5, 2.5][trial % 5]
        least = int(rng.integers(1, 4))
        most = least + int(rng.integers(0, 6))
        down = int(rng.integers(0, 40))
        scaler, now, wishes = Autoscaler(target, least, most, down), 0, []
        other = Autoscaler(1, 1, 99, 1000)
        other.replicas(0, 99)
        for _ in range(25):
            now += int(rng.choice([0, 1, 5, 20, 60]))
            num_open = int(rng.integers(0, 14))
            wanted = next(n for n in range(least, most + 1) if n * target >= num_open or n == most)
            wishes.append((now, wanted))
            want = sorted(n for at, n in wishes if now - at <= down)[-1]
            got = scaler.replicas(now, num_open)
            assert got == want, (
                "the largest number wanted at the calls of the last down_s seconds, with the present one"
            )
            assert isinstance(got, int), "a number of replicas is an integer"
    scaler = Autoscaler(2, 1, 50, 10)
    scaler.replicas(5, 20)
    for bad in ((4, 90), (6, -1)):
        try:
            scaler.replicas(*bad)
        except ValueError:
            continue
        raise AssertionError("a time that goes back, or a negative number of requests, was accepted")
    got = scaler.replicas(5, 1)
    assert got == 10, "a refused call must change nothing, and the same time again is no step back"
    got = [scaler.replicas(16, 1), scaler.replicas(16, 3)]
    assert got == [1, 2], "a call that is older than down_s no longer counts"
    for bad in ((-1, 1, 2, 0), (1, 0, 2, 0), (1, 5, 4, 0), (1, 1, 1, -0.5)):
        try:
            Autoscaler(*bad)
        except ValueError:
            continue
        raise AssertionError("an argument that makes no sense was accepted: raise ValueError")


hidden_Autoscaler()


# %% [markdown] task="dollars_per_million" stars=2 minutes=20
# ## 7. What does a million tokens cost?
#
# A replica costs `dollars_per_hour`, busy or not. It serves `goodput` requests per second within the objectives. The load of a day is a list `rates`, the requests per second of each hour.
#
# Write `dollars_per_million(rates, goodput, tokens_per_request, dollars_per_hour, least)`. It returns `(scaled, fixed)`, dollars per million output tokens:
#
# - `scaled`: every hour has just as many replicas as its rate needs, but at least `least`;
# - `fixed`: all hours have as many as the busiest hour needs.
#
# A rate needs the smallest number of replicas whose goodput together is at least the rate. Every request is served and writes `tokens_per_request` tokens; an hour has 3,600 seconds.
#
# `ValueError` names the value where `goodput` or `tokens_per_request` is not above 0, where `dollars_per_hour` is negative, where `least` is below 1, or where a rate is negative; and where no request comes at all (no rates, or only zeros), since there is no token to divide by: name `rates`.
#
# Example: rates `[1, 5, 0]`, goodput 2, 100 tokens, 3 dollars, least 1. The hours need 1, 3 and 1 replicas: 5 replica-hours, 15 dollars. The 6 requests per second add up to 6 · 3,600 · 100 = 2.16 million tokens, so `scaled` is 15 / 2.16 ≈ 6.94. `fixed` has 3 replicas in each hour, 9 replica-hours: 12.5.
#
# <details><summary>Hint 1</summary>
#
# The tokens are the same in both cases; only the replica-hours differ.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `math.ceil(rate / goodput)`, not below `least`, for each hour: add them up for `scaled`, take the largest times the number of hours for `fixed`.
#
# </details>


# %% solution="dollars_per_million"
def dollars_per_million(rates, goodput, tokens_per_request, dollars_per_hour, least):
    """(scaled, fixed): dollars per million output tokens with replicas by the hour, and with the busiest hour's always.

    rates: requests per second of each hour. goodput: what one replica serves. Raises ValueError, naming the value, for
    sizes that make no sense and where no request comes.
    """
    ### BEGIN SOLUTION
    for value in (goodput, tokens_per_request):
        if not value > 0:
            raise ValueError(f"goodput and tokens_per_request must be above 0, got {value}")
    if dollars_per_hour < 0 or least < 1:
        raise ValueError(f"dollars_per_hour must be at least 0 and least at least 1: {dollars_per_hour}, {least}")
    for rate in rates:
        if rate < 0:
            raise ValueError(f"a rate cannot be negative, got {rate}")
    millions = sum(rates) * 3600 * tokens_per_request / 1e6
    if millions == 0:
        raise ValueError(f"rates has no request, so no token: {rates}")
    needed = [max(least, math.ceil(rate / goodput)) for rate in rates]
    return sum(needed) * dollars_per_hour / millions, max(needed) * len(rates) * dollars_per_hour / millions
    ### END SOLUTION


# %% tryit="dollars_per_million"
day = [4 + 3.5 * math.sin(math.pi * (hour - 9) / 12) for hour in range(24)]
for least in (1, 4):
    scaled, fixed = dollars_per_million(day, 1.5, 250, 2.5, least)
    print(f"at least {least}: {scaled:.2f} dollars scaled, {fixed:.2f} with the busiest hour's replicas all day")


# %% test="dollars_per_million" points=1
def test_dollars_per_million():
    got = dollars_per_million([1, 5, 0], 2, 100, 3, 1)
    assert got is not None, "dollars_per_million returned None: is there a return statement?"
    scaled, fixed = got
    assert abs(scaled - 15 / 2.16) < 1e-9, f"scaled: 5 replica-hours for 2.16 million tokens, 6.94; yours {scaled}"
    assert abs(fixed - 27 / 2.16) < 1e-9, f"fixed: 3 replicas in 3 hours, 12.5; yours {fixed}"
    scaled, fixed = dollars_per_million([4, 4], 2, 100, 3, 1)
    assert abs(scaled - fixed) < 1e-9, f"an even load costs the same either way, yours {scaled} and {fixed}"
    scaled, fixed = dollars_per_million([1, 1], 2, 100, 3, 5)
    assert abs(scaled - 30 / 0.72) < 1e-9, f"at least 5 replicas in each hour: 10 replica-hours; yours {scaled}"
    assert abs(fixed - 30 / 0.72) < 1e-9, f"least holds for the fixed fleet too: 10 replica-hours; yours {fixed}"
    for args, value in (
        (([1], 0, 100, 3, 1), "0"),
        (([1], 2, -9, 3, 1), "-9"),
        (([1], 2, 100, -3, 1), "-3"),
        (([1], 2, 100, 3, -2), "-2"),
        (([1, -7], 2, 100, 3, 1), "-7"),
        (([0, 0], 2, 100, 3, 1), "rates"),
        (([], 2, 100, 3, 1), "rates"),
    ):
        try:
            got = dollars_per_million(*args)
        except ValueError as error:
            assert value in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, {value} makes no sense")


test_dollars_per_million()


# %% hidden="dollars_per_million" points=2
def hidden_dollars_per_million():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(187)
    for _ in range(100):
        rates = [int(n) / 4 for n in rng.integers(0, 60, int(rng.integers(1, 25)))]
        rates[0] += 0.25
        goodput, tokens = int(rng.integers(1, 24)) / 4, int(rng.integers(1, 900))
        price, least = int(rng.integers(0, 40)) / 4, int(rng.integers(1, 5))
        hours = []
        for rate in rates:
            number = least
            while number * goodput < rate:
                number += 1
            hours.append(number)
        served = sum(Fraction(rate) for rate in rates) * 3600 * tokens
        for got, total, name in zip(
            dollars_per_million(rates, goodput, tokens, price, least),
            (sum(hours), max(hours) * len(hours)),
            ("scaled", "fixed"),
        ):
            want = float(Fraction(price) * total / served * 10**6)
            assert abs(got - want) <= 1e-9 * max(1, want), (
                f"{name}: replica-hours times dollars over millions of tokens"
            )
    assert dollars_per_million([1], 1, 1, 0, 1) == (0, 0), "a replica may cost nothing"
    rates = [1, 2]
    dollars_per_million(rates, 1, 1, 1, 1)
    assert rates == [1, 2], "an argument was changed"
    for bad in (
        ([1], -1, 1, 1, 1),
        ([1], 1, 0, 1, 1),
        ([1], 1, 1, -0.5, 1),
        ([1], 1, 1, 1, 0),
        ([3, -1], 1, 1, 1, 1),
        ([-1, 1, 0], 1, 1, 1, 1),
        ([0], 1, 1, 1, 1),
    ):
        try:
            dollars_per_million(*bad)
        except ValueError:
            continue
        raise AssertionError("an argument that makes no sense was accepted: raise ValueError")


hidden_dollars_per_million()
