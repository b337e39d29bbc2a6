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
# # 16 · Many devices
#
# A model that does not fit into one device, or is too slow on one, is cut into parts, and the parts talk. In this notebook you decide who holds which heads, sum arrays around a ring, cut an MLP so that one sum is enough, count messages and bytes of a decode step, find a token when nobody sees all logits, fill a pipeline, and send tokens to their experts. The chapter *Many devices* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# A device is called a **rank** here, with a number from 0 to `size` − 1, as in every library for this. Every rank runs the same code on its own part of the data. You need no network: a rank is given two functions.
#
# | | |
# |---|---|
# | `send(x, to)` | puts the array `x` on its way to rank `to` and goes on at once |
# | `recv(source)` | waits for the next message from rank `source` and returns it, an array; messages from one rank arrive in the order in which they were sent |
#
# If every rank waits for a message that nobody has sent, the run ends at once with an error that says who waits for whom. Nothing hangs. (To do this without threads, `Ranks` below leaves a call in which `recv` has to wait and makes it again from its beginning when the message is there. So do not catch the exception that `recv` raises, and keep no state outside of your function.)
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and no argument is changed. The task says which arguments are meant.

# %% setup=True
import numpy as np

from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M


class Waits(Exception):
    """Leaves a call whose message is not there yet."""


class Ranks:
    """`size` ranks that exchange arrays, one after the other in this process.

    run(work) calls work(rank, send, recv) for every rank and returns the list of results. sent is then the list of all
    messages, (from, to, array), and num_unread says how many of them nobody took. Raises RuntimeError when all wait.
    """

    def __init__(self, size):
        self.size, self.sent, self.num_unread = size, [], 0

    def run(self, work):
        self.sent, results, waits = [], {}, {rank: None for rank in range(self.size)}
        taken = {rank: {} for rank in range(self.size)}
        while len(results) < self.size:
            free = [r for r, wait in waits.items() if wait is None or len(self.from_to(wait[0], r)) > wait[1]]
            if not free:
                who = ", ".join(f"rank {r} for rank {wait[0]}" for r, wait in waits.items())
                raise RuntimeError(f"nobody can go on: {who} waits for a message that was not sent")
            for rank in free:
                taken[rank] = {}
                try:
                    results[rank] = work(rank, *self.ends(rank, taken[rank], waits))
                    del waits[rank]
                except Waits:
                    pass
        self.num_unread = len(self.sent) - sum(sum(each.values()) for each in taken.values())
        return [results[rank] for rank in range(self.size)]

    def from_to(self, source, to):
        return [x for a, b, x in self.sent if (a, b) == (source, to)]

    def other(self, rank, place):
        if place not in range(self.size) or place == rank:
            raise RuntimeError(f"rank {rank} of {self.size} names rank {place}: there is none, or it is itself")
        return int(place)

    def ends(self, rank, taken, waits):
        known, num_sent = sum(a == rank for a, _, _ in self.sent), 0

        def send(x, to):
            nonlocal num_sent
            to, num_sent = self.other(rank, to), num_sent + 1
            if num_sent > 500:
                raise RuntimeError(f"rank {rank} has sent 500 messages: a loop without end?")
            if num_sent > known:  # else it went out when the call was made before
                self.sent.append((rank, to, np.array(x)))

        def recv(source):
            source = self.other(rank, source)
            place, found = taken.get(source, 0), self.from_to(source, rank)
            if place >= len(found):
                waits[rank] = (source, place)
                raise Waits(f"rank {rank} waits for rank {source}")
            taken[source] = place + 1
            return found[place].copy()

        return send, recv


# %% [markdown] task="heads_of_rank" stars=1 minutes=15
# ## 1. Who holds which heads?
#
# Attention is cut between its heads: a rank computes some query heads and keeps the keys and values of the KV heads that these look at. With grouped queries (chapter 5) `num_heads / num_kv_heads` neighbouring query heads share a KV head: query head `q` looks at KV head `q // group`.
#
# Write `heads_of_rank(num_heads, num_kv_heads, rank, size)`, which returns `(queries, kept)`: two sorted lists of integers, the query heads that the rank computes and the KV heads that it keeps.
#
# - With at most as many ranks as KV heads, each rank keeps the same number of KV heads, in order, and computes all query heads of these.
# - With more ranks, a KV head is **copied**: `size / num_kv_heads` neighbouring ranks keep the same one and divide its query heads evenly among them, in order.
#
# Together the ranks compute every query head exactly once. All numbers are integers of at least 1. `ValueError` names `num_heads` where it is no multiple of `num_kv_heads`; `size` where some rank would get another number of heads than the others; and `rank` where it is not from 0 to `size` − 1.
#
# Example: 8 query heads and 4 KV heads. Of 2 ranks, rank 1 has `([4, 5, 6, 7], [2, 3])`. Of 8 ranks, rank 3 has `([3], [1])`, and rank 2 keeps KV head 1 too. 3 ranks, or 16, are an error. (Shoeybi et al. 2019, 1909.08053, cut the heads; vLLM copies KV heads where there are fewer of them than ranks.)
#
# <details><summary>Hint 1</summary>
#
# If every rank computes `num_heads / size` query heads, in order, which KV heads do these look at?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The query heads are a range; `sorted({q // group for q in queries})` are its KV heads. What is left is to refuse the sizes where this range begins or ends in the middle of what another rank keeps: either `size` divides the KV heads, or the KV heads divide `size` and `size` divides the query heads.
#
# </details>


# %% solution="heads_of_rank"
def heads_of_rank(num_heads, num_kv_heads, rank, size):
    """(query heads, KV heads) of a rank: two sorted lists of integers.

    Raises ValueError, naming the value, for num_heads that is no multiple of num_kv_heads, a size that does not divide
    the heads evenly, a rank outside 0 to size - 1.
    """
    ### BEGIN SOLUTION
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    if num_heads % size or (num_kv_heads % size and size % num_kv_heads):
        raise ValueError(f"{size} ranks cannot share {num_kv_heads} KV heads evenly")
    if not 0 <= rank < size:
        raise ValueError(f"rank must be 0 to {size - 1}, got {rank}")
    each, group = num_heads // size, num_heads // num_kv_heads
    queries = list(range(rank * each, (rank + 1) * each))
    return queries, sorted({query // group for query in queries})
    ### END SOLUTION


# %% tryit="heads_of_rank"
for size in (2, 8):
    for rank in range(size):
        print(f"{size} ranks, rank {rank}:", *heads_of_rank(8, 4, rank, size))


# %% test="heads_of_rank" points=1
def test_heads_of_rank():
    got = heads_of_rank(8, 4, 1, 2)
    assert got is not None, "heads_of_rank returned None: is there a return statement?"
    assert got == ([4, 5, 6, 7], [2, 3]), f"8 heads on 4, rank 1 of 2: ([4, 5, 6, 7], [2, 3]), you returned {got}"
    got = heads_of_rank(8, 4, 3, 8)
    assert got == ([3], [1]), f"more ranks than KV heads: rank 3 of 8 has ([3], [1]), a copy of KV head 1; yours {got}"
    got = heads_of_rank(8, 4, 2, 8)
    assert got == ([2], [1]), f"rank 2 of 8 keeps KV head 1 too and computes query head 2; you returned {got}"
    got = heads_of_rank(8, 4, 0, 1)
    assert got == (list(range(8)), [0, 1, 2, 3]), f"a single rank has everything, you returned {got}"
    for args, value in (
        ((8, 3, 0, 1), 8),
        ((8, 4, 0, 3), 3),
        ((8, 4, 0, 16), 16),
        ((8, 4, 2, 2), 2),
        ((8, 4, -1, 2), -1),
    ):
        try:
            got = heads_of_rank(*args)
        except ValueError as error:
            assert str(value) in str(error), f"{args}: the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{args} returned {got}: raise ValueError, {value} makes no sense here")


test_heads_of_rank()


# %% hidden="heads_of_rank" points=2
def hidden_heads_of_rank():
    for kv in range(1, 9):
        for group in (1, 2, 3, 4, 6):
            heads = kv * group
            for size in range(1, 26):
                copies = size // kv
                fits = kv % size == 0 or (size % kv == 0 and group % copies == 0)
                case = f"{heads} query heads, {kv} KV heads, {size} ranks"
                if not fits:
                    try:
                        heads_of_rank(heads, kv, 0, size)
                    except ValueError as error:
                        assert str(size) in str(error), f"{case}: the message should hold the number of ranks"
                        continue
                    raise AssertionError(f"{case} was accepted: some rank would get another number of heads")
                for rank in {0, size // 2, size - 1}:
                    if size <= kv:
                        kept = [h for h in range(kv) if h * size // kv == rank]
                        queries = [q for q in range(heads) if q // group in kept]
                    else:
                        kept = [rank // copies]
                        mine = [q for q in range(heads) if q // group == kept[0]]
                        part = len(mine) // copies
                        queries = mine[(rank % copies) * part :][:part]
                    got = heads_of_rank(heads, kv, rank, size)
                    assert got == (queries, kept), f"{case}, rank {rank}: {(queries, kept)}, you returned {got}"
                    assert all(isinstance(n, int) for n in [*got[0], *got[1]]), "the heads are integers, not floats"
    for bad in (4, 17, -2):
        try:
            heads_of_rank(8, 4, bad, 4)
        except ValueError as error:
            assert str(bad) in str(error), "the message should hold the rank"
            continue
        raise AssertionError("a rank outside of the ranks was accepted: raise ValueError")
    try:
        heads_of_rank(22, 4, 0, 2)
    except ValueError as error:
        assert "22" in str(error), "the message should hold the number of query heads"
    else:
        raise AssertionError("query heads that are no multiple of the KV heads were accepted")


hidden_heads_of_rank()


# %% [markdown] task="ring_all_reduce" stars=3 minutes=35
# ## 2. A sum around a ring
#
# Every rank has an array of the same length, and every rank needs the sum of all of them. That is an **all-reduce**. If each rank sent its array to each other one, `size` − 1 whole arrays would leave every rank. A ring does it with less than two.
#
# Cut every array into `size` equal parts. In each step a rank sends one part to the next rank, `(rank + 1) % size`, and receives one from the rank before it.
#
# 1. *Reduce-scatter*, `size` − 1 steps: rank `r` sends part `r` first. What arrives is added to the own part of the same number, and this sum is what is sent in the next step. After the last step one part of each rank is the whole sum: part `(r + 1) % size` of rank `r`.
# 2. *All-gather*, `size` − 1 steps: the whole parts go around and replace what is there.
#
# Write `ring_all_reduce(rank, size, x, send, recv)`. `x` is a float64 array of one axis; return a new array of the same length, and leave `x` as it is. Each rank sends exactly 2(`size` − 1) messages of `len(x)` / `size` numbers, all to the next rank, and takes all that come. A single rank sends nothing. `ValueError` names `len(x)` where it is no multiple of `size`.
#
# All ranks must get **the same bits**, not nearly the same numbers: ranks that disagree in the last bit may choose different tokens, and from there on they write different texts. With the ring this comes by itself, since every part is summed up once and then copied.
#
# Example: 2 ranks with `[1, 2]` and `[30, 40]`. Rank 0 sends `[1]`, rank 1 sends `[40]`. Now rank 0 has part 1 whole, 2 + 40, and rank 1 has part 0 whole, 30 + 1. One more exchange, and both return `[31, 42]`. (`doc/PERFORMANCE.md` of NVIDIA's nccl-tests counts the transfers that any all-reduce needs: 2(n − 1) of each number, which is what the ring does.)
#
# <details><summary>Hint 1</summary>
#
# Keep a list of `size` parts. In step `s` of the first half, rank `r` sends part `(r − s) % size` and receives part `(r − s − 1) % size`. Write it down for 3 ranks before you write code.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In step `s` of the second half, rank `r` sends part `(r + 1 − s) % size` and replaces part `(r − s) % size`. Send before you receive, in every step. `np.concatenate` joins the parts.
#
# </details>


# %% solution="ring_all_reduce"
def ring_all_reduce(rank, size, x, send, recv):
    """The sum of every rank's x, a new float64 array with the same bits on every rank.

    x: [n] float64, n a multiple of size, else ValueError. send(array, to), recv(source): see the first cell. Sends
    2(size - 1) messages of n / size numbers, all to rank (rank + 1) % size.
    """
    ### BEGIN SOLUTION
    if len(x) % size:
        raise ValueError(f"{len(x)} numbers cannot be cut into {size} equal parts")
    after, before = (rank + 1) % size, (rank - 1) % size
    parts = np.split(x.copy(), size)
    for s in range(size - 1):
        send(parts[(rank - s) % size], after)
        part = (rank - s - 1) % size
        parts[part] = parts[part] + recv(before)
    for s in range(size - 1):
        send(parts[(rank + 1 - s) % size], after)
        parts[(rank - s) % size] = recv(before)
    return np.concatenate(parts)
    ### END SOLUTION


# %% tryit="ring_all_reduce"
ranks = Ranks(3)
arrays = [np.arange(6.0) * 10**rank for rank in range(3)]
for rank, total in enumerate(ranks.run(lambda r, send, recv: ring_all_reduce(r, 3, arrays[r].copy(), send, recv))):
    print(f"rank {rank} has {total}")
print(f"{len(ranks.sent)} messages; the first: rank {ranks.sent[0][0]} to rank {ranks.sent[0][1]}: {ranks.sent[0][2]}")


# %% test="ring_all_reduce" points=2
def test_ring_all_reduce():
    import numpy as np

    def on(size, arrays):
        ranks, given = Ranks(size), {}

        def work(rank, send, recv):
            given[rank] = arrays[rank].copy()
            return ring_all_reduce(rank, size, given[rank], send, recv)

        got = ranks.run(work)
        for rank in range(size):
            assert np.array_equal(given[rank], arrays[rank]), f"rank {rank} of {size}: x was changed; add to a copy"
        return got, ranks

    for size, length in ((1, 3), (2, 2), (3, 6), (4, 8)):
        arrays = [np.arange(length) + 100.0**rank for rank in range(size)]
        got, ranks = on(size, arrays)
        for total in got:
            assert total is not None, "ring_all_reduce returned None: is there a return statement?"
            assert np.shape(total) == (length,), f"{size} ranks: {length} numbers are wanted, shape {np.shape(total)}"
        count = [sum(a == rank for a, _, _ in ranks.sent) for rank in range(size)]
        assert count == [2 * (size - 1)] * size, f"{size} ranks: each sends {2 * (size - 1)} messages, yours {count}"
        for a, b, x in ranks.sent:
            assert b == (a + 1) % size, f"a rank sends to the next one only; rank {a} of {size} sent to {b}"
            assert np.shape(x) == (length // size,), (
                f"a message is one part, {length // size} numbers; one has {np.shape(x)}"
            )
        for rank, total in enumerate(got):
            want = sum(arrays)
            assert np.array_equal(total, want), (
                f"rank {rank} of {size} should have {want}, it has {total}: check which part is sent and which arrives"
            )
        assert ranks.num_unread == 0, f"{ranks.num_unread} messages were sent and never received"
    try:
        got = ring_all_reduce(0, 3, np.zeros(7), None, None)
    except ValueError as error:
        assert "7" in str(error), f"the ValueError should name the length 7, it says: {error}"
    else:
        raise AssertionError(f"7 numbers on 3 ranks returned {got}: raise ValueError")


test_ring_all_reduce()


# %% hidden="ring_all_reduce" points=3
def hidden_ring_all_reduce():
    from math import fsum

    import numpy as np

    rng = np.random.default_rng(16)
    for size in (1, 2, 3, 5, 7):
        for per_part in (1, 4):
            length = size * per_part
            arrays = [rng.standard_normal(length) * 10.0 ** rng.integers(-3, 4) for _ in range(size)]
            ranks = Ranks(size)
            got = ranks.run(lambda r, send, recv: ring_all_reduce(r, size, arrays[r].copy(), send, recv))
            want = np.array([fsum(column) for column in zip(*arrays)])
            for total in got:
                np.testing.assert_allclose(total, want, rtol=1e-9, atol=1e-9, err_msg="not the sum of all arrays")
                assert np.array_equal(total, got[0]), "the ranks' sums differ in their last bits"
            assert {a for a, _, _ in ranks.sent} == ({*range(size)} if size > 1 else set()), "every rank sends"
            for a, b, x in ranks.sent:
                assert b == (a + 1) % size, "a message went to another rank than the next one"
                assert np.shape(x) == (per_part,), "a message is one part of the array"
            assert len(ranks.sent) == 2 * size * (size - 1), "each rank sends twice as many messages as others exist"
            assert ranks.num_unread == 0, "a message was never received"
    empty = Ranks(2).run(lambda r, send, recv: ring_all_reduce(r, 2, np.zeros(0), send, recv))
    assert [np.shape(each) for each in empty] == [(0,), (0,)], "no numbers: an empty array comes back"
    alone = np.arange(3.0)
    got = ring_all_reduce(0, 1, alone, None, None)
    assert np.array_equal(got, alone), "a single rank has the sum already"
    got[0] = 9
    assert alone[0] == 0, "a new array is wanted on a single rank too, not x itself or a view of it"
    for size, length in ((2, 5), (4, 10), (5, 4)):
        try:
            ring_all_reduce(0, size, np.zeros(length), None, None)
        except ValueError as error:
            assert str(length) in str(error), "the message should hold the length"
            continue
        raise AssertionError("a length that is no multiple of the ranks was accepted: raise ValueError")


hidden_ring_all_reduce()


# %% [markdown] task="parallel_mlp" stars=2 minutes=25
# ## 3. An MLP cut in two directions
#
# LLaMA's MLP is `(silu(x @ w_gate) * (x @ w_up)) @ w_down`, with `w_gate` and `w_up` of shape `[d, f]` and `w_down` of shape `[f, d]`; silu is `a / (1 + exp(-a))`. Cut the first two by **columns** and the last by **rows**: then a rank can compute its part of the `f` numbers, silu and product included, without asking anybody, and multiply it with its rows. What it gets has the full shape `[n, d]`, but it is only one term of a sum. One all-reduce of it, and every rank has the output.
#
# Write two functions.
#
# - `mlp_part(weights, rank, size)`: the part of a rank, a dict of the same three names. `weights` is the whole dict of arrays. Each rank gets `f / size` neighbouring columns and the rows of the same numbers, in order. `ValueError` names `f` where it is no multiple of `size`.
# - `parallel_mlp(x, part, all_reduce)`: the output `[n, d]` for `x` `[n, d]`, where `part` comes from `mlp_part` and `all_reduce(a)` returns the sum of every rank's `a`. Call it exactly **once**, since each call makes all ranks wait for each other.
#
# Neither may change its arrays. Values are float64 and of ordinary size, so `exp` needs no care.
#
# Example: `d` = 2, `f` = 4, `size` = 2. Rank 1 gets columns 2 and 3 of `w_gate` and `w_up` (each `[2, 2]`) and rows 2 and 3 of `w_down` (`[2, 2]`). (Shoeybi et al. 2019, 1909.08053.)
#
# <details><summary>Hint 1</summary>
#
# Why not cut `w_gate` by rows? Its product would be a sum of the ranks' terms, and silu of a sum is not the sum of silus: one more all-reduce.
#
# </details>
# <details><summary>Hint 2</summary>
#
# With `a = rank * f // size` and `b` likewise for `rank + 1`: `w[:, a:b]` for the first two and `w[a:b]` for the last. The sum over `f` in the last product is what is divided among the ranks.
#
# </details>


# %% solution="parallel_mlp"
def mlp_part(weights, rank, size):
    """A rank's part: w_gate, w_up [d, f / size], w_down [f / size, d]. Raises ValueError when size does not divide f.

    weights: {"w_gate": [d, f], "w_up": [d, f], "w_down": [f, d]}.
    """
    ### BEGIN SOLUTION
    f = weights["w_down"].shape[0]
    if f % size:
        raise ValueError(f"{f} columns cannot be cut into {size} equal parts")
    part = slice(rank * f // size, (rank + 1) * f // size)
    columns = {name: weights[name][:, part] for name in ("w_gate", "w_up")}
    return {**columns, "w_down": weights["w_down"][part]}
    ### END SOLUTION


def parallel_mlp(x, part, all_reduce):
    """The MLP's whole output [n, d] for x [n, d], with one call of all_reduce.

    part: as mlp_part returns it. all_reduce(a): the sum of every rank's array a.
    """
    ### BEGIN SOLUTION
    gate = x @ part["w_gate"]
    hidden = gate / (1 + np.exp(-gate)) * (x @ part["w_up"])
    return all_reduce(hidden @ part["w_down"])
    ### END SOLUTION


# %% tryit="parallel_mlp"
rng = np.random.default_rng(0)
whole = {"w_gate": rng.normal(size=(2, 4)), "w_up": rng.normal(size=(2, 4)), "w_down": rng.normal(size=(4, 2))}
x = rng.normal(size=(1, 2))
terms = [parallel_mlp(x, mlp_part(whole, rank, 2), lambda a: a) for rank in range(2)]
print("the ranks' terms:", *terms)
print("their sum:", terms[0] + terms[1], "the whole MLP:", parallel_mlp(x, mlp_part(whole, 0, 1), lambda a: a))


# %% test="parallel_mlp" points=1
def test_parallel_mlp():
    import numpy as np

    weights = {
        "w_gate": np.arange(8.0).reshape(2, 4) / 8,
        "w_up": np.arange(8.0)[::-1].reshape(2, 4) / 4,
        "w_down": np.arange(8.0).reshape(4, 2) - 3,
    }
    part = mlp_part(weights, 1, 2)
    assert part is not None, "mlp_part returned None: is there a return statement?"
    assert set(part) == set(weights), f"the part has the same three names, yours has {sorted(part)}"
    for name, want, how in (
        ("w_gate", weights["w_gate"][:, 2:], "columns 2 and 3"),
        ("w_up", weights["w_up"][:, 2:], "columns 2 and 3"),
        ("w_down", weights["w_down"][2:], "rows 2 and 3"),
    ):
        assert np.array_equal(part[name], want), f"rank 1 of 2 gets {how} of {name}: {want}, you returned {part[name]}"
    x = np.array([[0.5, -1.0], [2.0, 1.0], [0.0, 0.0]])
    gate = x @ weights["w_gate"]
    whole = (gate / (1 + np.exp(-gate)) * (x @ weights["w_up"])) @ weights["w_down"]
    terms = []
    for rank in range(4):
        parallel_mlp(x, mlp_part(weights, rank, 4), lambda a: terms.append(np.array(a)) or a)
    assert len(terms) == 4, f"4 ranks call all_reduce once each, yours called it {len(terms)} times"
    assert terms[0].shape == (3, 2), f"what is summed has the output's shape (3, 2), yours {terms[0].shape}"
    np.testing.assert_allclose(
        sum(terms), whole, atol=1e-10, err_msg="the ranks' terms do not add up to the whole MLP's output"
    )
    got = parallel_mlp(x, mlp_part(weights, 0, 2), lambda a: np.full((3, 2), 7.0))
    assert got is not None, "parallel_mlp returned None: is there a return statement?"
    assert np.array_equal(got, np.full((3, 2), 7.0)), "return what all_reduce gave back, not the rank's own term"
    try:
        got = mlp_part(weights, 0, 3)
    except ValueError as error:
        assert "4" in str(error), f"the ValueError should name f = 4, it says: {error}"
    else:
        raise AssertionError("f = 4 on 3 ranks was accepted: raise ValueError")


test_parallel_mlp()


# %% hidden="parallel_mlp" points=2
def hidden_parallel_mlp():
    from math import exp

    import numpy as np

    rng = np.random.default_rng(163)
    for d, f, size, n in ((1, 1, 1, 1), (3, 6, 1, 2), (3, 6, 2, 5), (2, 6, 3, 1), (5, 8, 8, 4), (4, 12, 4, 0)):
        shapes = {"w_gate": (d, f), "w_up": (d, f), "w_down": (f, d)}
        weights = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
        given, x = {name: w.copy() for name, w in weights.items()}, rng.standard_normal((n, d))
        before, terms = x.copy(), []
        for rank in range(size):
            part = mlp_part(weights, rank, size)
            each = f // size
            mine = range(rank * each, (rank + 1) * each)
            for name in ("w_gate", "w_up"):
                want = np.array([[weights[name][i, j] for j in mine] for i in range(d)])
                assert np.array_equal(part[name], want), "a rank's columns of gate and up are neighbours, in order"
            want = np.array([[weights["w_down"][j, i] for i in range(d)] for j in mine])
            assert np.array_equal(part["w_down"], want), "the rows of down have the numbers of the columns"
            kept = {name: w.copy() for name, w in part.items()}
            parallel_mlp(x, part, lambda a: terms.append(np.array(a)) or a)
            assert all(np.array_equal(part[name], kept[name]) for name in kept), "the part was changed"
        assert len(terms) == size, "one all-reduce on each rank"
        total = sum(terms)
        for row in range(n):
            hidden = []
            for j in range(f):
                gate = sum(x[row, i] * weights["w_gate"][i, j] for i in range(d))
                up = sum(x[row, i] * weights["w_up"][i, j] for i in range(d))
                hidden.append(gate / (1 + exp(-gate)) * up)
            want = [sum(hidden[j] * weights["w_down"][j, i] for j in range(f)) for i in range(d)]
            np.testing.assert_allclose(total[row], want, atol=1e-10, err_msg="the terms do not add up to the output")
        assert total.shape == (n, d), "the output has the shape of x, for no tokens too"
        answer = rng.standard_normal((n, d))
        got = parallel_mlp(x, mlp_part(weights, size - 1, size), lambda a: answer)
        assert np.array_equal(got, answer), "the output is what all_reduce returns"
        assert np.array_equal(x, before), "x was changed"
        assert all(np.array_equal(weights[name], given[name]) for name in given), "the weights were changed"
    for f, size in ((10, 4), (9, 2), (3, 5)):
        bad = {"w_gate": np.zeros((2, f)), "w_up": np.zeros((2, f)), "w_down": np.zeros((f, 2))}
        try:
            mlp_part(bad, 0, size)
        except ValueError as error:
            assert str(f) in str(error), "the message should hold f"
            continue
        raise AssertionError("an f that is no multiple of the ranks was accepted: raise ValueError")


hidden_parallel_mlp()


# %% [markdown] task="step_traffic" stars=2 minutes=25
# ## 4. What a decode step says
#
# A decode step of `batch` requests under tensor parallelism does two all-reduces in every layer, each of an array `[batch, d]`, where `d` is `config.hidden_size` and a number has `bytes_per` bytes. Count only these, done by the ring of exercise 2 over the array as one row of `batch * d` numbers.
#
# Write two functions.
#
# - `step_traffic(config, size, batch, bytes_per)`: `(num_messages, num_bytes)` that **one** rank sends in the step, two integers. `ValueError` names `size` or `batch` where it is below 1, and `size` where it does not divide `batch * d`.
# - `fastest_size(config, sizes, batch, bytes_per, weight_bytes, memory, link, latency_s)`: which of `sizes`, a list of numbers of ranks, gives the shortest step. A step takes the time of reading, `weight_bytes / size / memory`, plus the time of its messages, `latency_s` for each and `num_bytes / link` for what is in them. `memory` and `link` are bytes per second. Of equally fast ones return the smallest. `ValueError` names `sizes` where it is empty; a size that `step_traffic` refuses is an error too.
#
# `config` is a `ModelConfig` of the engine: use `config.num_hidden_layers` and `config.hidden_size`.
#
# Example: SmolLM2 has 30 layers and `d` = 576. On 2 ranks, one request in 16 bits: 60 all-reduces of 2 messages each, 120 messages of 288 numbers, so `(120, 69120)`. On 4 ranks it is `(360, 103680)`: three times the messages, and half as many bytes again. (The time as a latency and a size over a bandwidth: `doc/PERFORMANCE.md` of NVIDIA's nccl-tests.)
#
# <details><summary>Hint 1</summary>
#
# Exercise 2 says how many messages one all-reduce needs, and how long each is. There are two all-reduces a layer.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `2 * layers * 2 * (size - 1)` messages of `batch * d // size * bytes_per` bytes. For the second function put the pair (seconds, size) for each size into a list; the smallest pair is the answer, ties included.
#
# </details>


# %% solution="step_traffic"
def step_traffic(config, size, batch, bytes_per):
    """(messages, bytes) that one rank sends in a decode step: two ring all-reduces of [batch, d] in each layer.

    Raises ValueError for size or batch below 1, and a size that does not divide batch * d.
    """
    ### BEGIN SOLUTION
    if batch < 1:
        raise ValueError(f"batch must be at least 1, got {batch}")
    if size < 1 or batch * config.hidden_size % size:
        raise ValueError(f"{batch * config.hidden_size} numbers cannot be cut into {size} equal parts")
    num_messages = 2 * config.num_hidden_layers * 2 * (size - 1)
    return num_messages, num_messages * (batch * config.hidden_size // size) * bytes_per
    ### END SOLUTION


def fastest_size(config, sizes, batch, bytes_per, weight_bytes, memory, link, latency_s):
    """The number of ranks with the shortest step, the smallest of equals. Raises ValueError for no sizes.

    sizes: a list of integers. weight_bytes: of the whole model. memory, link: bytes per second. latency_s: of a message.
    """
    ### BEGIN SOLUTION
    if not sizes:
        raise ValueError(f"no sizes to choose from: {sizes}")
    steps = []
    for size in sizes:
        num_messages, num_bytes = step_traffic(config, size, batch, bytes_per)
        steps.append((weight_bytes / size / memory + num_messages * latency_s + num_bytes / link, size))
    return min(steps)[1]
    ### END SOLUTION


# %% tryit="step_traffic"
for size in (1, 2, 4, 8):
    print(f"SmolLM2 on {size}: {step_traffic(SMOLLM2_135M, size, 1, 2)} messages and bytes from each rank")
for latency_s in (1e-6, 5e-6, 20e-6):
    best = fastest_size(LLAMA_3_8B, [1, 2, 4, 8], 1, 2, 15.0e9, 3.35e12, 450e9, latency_s)
    print(f"Llama-3-8B with {1e6 * latency_s:2.0f} µs a message: fastest on {best}")


# %% test="step_traffic" points=2
def test_step_traffic():
    from mini_engine.config import SMOLLM2_135M, TINY

    got = step_traffic(SMOLLM2_135M, 2, 1, 2)
    assert got is not None, "step_traffic returned None: is there a return statement?"
    assert got != (60, 34560), "half of it: two all-reduces in each layer, and each is twice size - 1 messages"
    assert got != (240, 138240), "twice too much: count what one rank sends, size - 1 messages in each half of the ring"
    assert got == (120, 69120), f"SmolLM2 on 2 ranks, one request, 2 bytes: (120, 69120), you returned {got}"
    got = step_traffic(SMOLLM2_135M, 4, 1, 2)
    assert got == (360, 103680), f"4 ranks: 2 · 3 messages in each of 60 all-reduces, 144 numbers each; yours {got}"
    assert step_traffic(TINY, 1, 5, 4) == (0, 0), f"a single rank says nothing, yours {step_traffic(TINY, 1, 5, 4)}"
    got = step_traffic(TINY, 2, 8, 4)
    assert got == (8, 8192), f"tiny (2 layers, d = 64), 2 ranks, 8 requests, 4 bytes: (8, 8192), yours {got}"
    # 1 s of reading in all, and messages that cost only their latency
    args = (TINY, [4, 1, 2], 1, 4, 1e9, 1e9, 1e30)
    for latency_s, want in ((0.0, 4), (0.03, 2), (1.0, 1)):
        got = fastest_size(*args, latency_s)
        assert got == want, f"1 s of reading shared, {latency_s} s a message: {want} ranks are fastest, yours {got}"
    got = fastest_size(TINY, [2, 1], 1, 4, 1024e6, 1e9, 1e3, 0.0)
    assert got == 1, (
        f"bytes count: 1,024 of them over a link of 1,000 bytes/s cost more than reading saves; yours {got}"
    )
    for call, value in (
        (lambda: step_traffic(TINY, 0, 1, 4), "0"),
        (lambda: step_traffic(TINY, 2, -3, 4), "-3"),
        (lambda: step_traffic(TINY, 3, 1, 4), "3"),
        (lambda: fastest_size(TINY, [], 1, 4, 1e9, 1e9, 1e9, 0.0), "[]"),
    ):
        try:
            got = call()
        except ValueError as error:
            assert value in str(error), f"the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{value} was accepted and gave {got}: raise ValueError")


test_step_traffic()


# %% hidden="step_traffic" points=3
def hidden_step_traffic():
    import random
    from fractions import Fraction

    from mini_engine.config import TINY, ModelConfig

    rng = random.Random(164)

    def simulate(config, size, batch, bytes_per):
        """Counts every message of every all-reduce."""
        messages = total = 0
        for _ in range(2 * config.num_hidden_layers):
            for _ in ("reduce-scatter", "all-gather"):
                for _ in range(size - 1):
                    messages += 1
                    total += Fraction(batch * config.hidden_size, size) * bytes_per
        return messages, int(total)

    for _ in range(60):
        layers, d = rng.randint(1, 12), 8 * rng.randint(1, 20)
        config = ModelConfig("random", layers, d, 4, 2, 16, 32, 8)
        size, batch, bytes_per = rng.choice((1, 2, 4, 8)), rng.randint(1, 9), rng.choice((1, 2, 4))
        want = simulate(config, size, batch, bytes_per)
        got = step_traffic(config, size, batch, bytes_per)
        assert got == want, f"{layers} layers, d = {d}, {size} ranks, batch {batch}: {want}, you returned {got}"
        assert all(isinstance(n, int) for n in got), "messages and bytes are integers"
        weight_bytes, memory = rng.randint(10**6, 10**9), rng.randint(10**6, 10**9)
        link, latency_s = rng.randint(10**3, 10**9), rng.choice((0, 1e-6, 1e-4, 1e-2))
        sizes = rng.sample([1, 2, 4, 8], rng.randint(1, 4))
        given = list(sizes)

        def seconds(n):
            messages, total = simulate(config, n, batch, bytes_per)
            return weight_bytes / n / memory + messages * latency_s + total / link

        best = fastest_size(config, given, batch, bytes_per, weight_bytes, memory, link, latency_s)
        assert best in sizes, "the answer is one of the sizes"
        assert seconds(best) <= min(map(seconds, sizes)) * (1 + 1e-9), "another size has a shorter step"
        assert given == sizes, "the list of sizes was changed"
    wide = ModelConfig("wide", 1, 6, 4, 2, 16, 32, 8)
    assert step_traffic(wide, 4, 2, 1) == (12, 36), (
        "the array is one row of all requests' numbers: 12 of them fit 4 ranks"
    )
    got = fastest_size(wide, [4], 2, 1, 1e6, 1e9, 1e9, 0.0)
    assert got == 4, "4 ranks can cut the 12 numbers of 2 requests: the only size is the fastest"
    equal = fastest_size(TINY, [2, 1], 1, 4, 1024, 1.0, 2.0, 0.0)
    assert equal == 1, "two sizes are equally fast: the smaller one is wanted"
    for size, batch in ((0, 1), (-4, 1), (2, 0), (5, 1), (7, 3)):
        try:
            step_traffic(TINY, size, batch, 4)
        except ValueError as error:
            assert str(batch if batch < 1 else size) in str(error), "the message should hold the value that is wrong"
            continue
        raise AssertionError("a size or a batch that makes no sense was accepted: raise ValueError")
    for sizes in ([], [2, 3], [0, 1]):
        try:
            fastest_size(TINY, sizes, 1, 4, 1e9, 1e9, 1e9, 0.0)
        except ValueError:
            continue
        raise AssertionError("sizes that make no sense were accepted: raise ValueError")


hidden_step_traffic()


# %% [markdown] task="split_vocabulary" stars=3 minutes=30
# ## 5. A token that nobody sees whole
#
# The head is cut along the vocabulary: rank `r` computes the logits of its own ids alone. To collect all 128,256 logits of Llama-3-8B on every rank would send a quarter of what its 32 layers send together. A few numbers are enough.
#
# Write `split_vocabulary(rank, size, logits, first_id, send, recv)`. `logits` is this rank's float64 array of one axis, with at least one value; `logits[i]` belongs to token `first_id + i`. The ranks' ids do not overlap and together are the whole vocabulary; parts may differ in length. Every rank returns the same `(token, logprob)`: the id with the largest logit of all, an `int`, the smallest id where several are equal; and the natural logarithm of its softmax probability over the **whole** vocabulary, a `float`.
#
# A rank sends at most 2(`size` − 1) messages, each of at most three numbers, and every message is received. How they travel, around a ring or to everyone, is yours. Logits may be as large as 1,000 or as small as −1,000, where `exp` overflows or gives 0: be careful as in chapter 8. `ValueError` names `first_id` where it is negative.
#
# Example: rank 0 has logits `[0.0, 2.0]` from id 0, rank 1 has `[1.0]` from id 2. Both return token 1. Its probability is $e^2 / (e^0 + e^2 + e^1)$ = 0.665, so `logprob` is −0.408. With the largest logit $m$, the logarithm of the sum is $m + \ln \sum e^{z - m}$.
#
# <details><summary>Hint 1</summary>
#
# A rank's part is described by three numbers: its largest logit, the id of that, and the sum of `exp(logits − largest)`. How do you join two such triples into one?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Send your triple to every other rank, then receive theirs. With the largest of the largest, `m`, a part's sum counts `exp(its largest − m)` times. The winner's logit is `m` itself, so its log-probability is minus the logarithm of the joint sum. To make all ranks return the same bits, add in the order of the ranks everywhere.
#
# </details>


# %% solution="split_vocabulary"
def split_vocabulary(rank, size, logits, first_id, send, recv):
    """(token, logprob) of the largest logit over all ranks' parts, the same on every rank.

    logits: [n] float64, of the ids first_id to first_id + n - 1. At most 2(size - 1) messages from each rank, of three
    numbers at most. The smallest id of equals wins. Raises ValueError for a negative first_id.
    """
    ### BEGIN SOLUTION
    if first_id < 0:
        raise ValueError(f"first_id must not be negative, got {first_id}")
    best = int(np.argmax(logits))
    mine = np.array([logits[best], first_id + best, np.exp(logits - logits[best]).sum()])
    others = [other for other in range(size) if other != rank]
    for other in others:
        send(mine, other)
    triples = {other: recv(other) for other in others}
    triples[rank] = mine
    largest, token = max((z, -i) for z, i, _ in triples.values())
    total = sum(triples[r][2] * np.exp(triples[r][0] - largest) for r in range(size))
    return int(-token), float(-np.log(total))
    ### END SOLUTION


# %% tryit="split_vocabulary"
vocabulary = [np.array([0.0, 2.0]), np.array([1.0])]
ranks = Ranks(2)
for found in ranks.run(lambda r, send, recv: split_vocabulary(r, 2, vocabulary[r], 2 * r, send, recv)):
    print(found, "probability", round(float(np.exp(found[1])), 3))
print(f"{len(ranks.sent)} messages, {sum(x.nbytes for _, _, x in ranks.sent)} bytes")


# %% test="split_vocabulary" points=2
def test_split_vocabulary():
    import numpy as np

    def on(parts, firsts=None):
        size, ranks, given = len(parts), Ranks(len(parts)), [part.copy() for part in parts]
        firsts = firsts or [sum(map(len, parts[:r])) for r in range(size)]
        found = ranks.run(lambda r, send, recv: split_vocabulary(r, size, given[r], firsts[r], send, recv))
        assert all(map(np.array_equal, given, parts)), "the logits were changed"
        for each in found:
            assert each is not None, "split_vocabulary returned None: is there a return statement?"
            assert len(each) == 2, f"(token, logprob) is wanted, you returned {each}"
            assert each == found[0], f"all ranks must return the same, rank 0 has {found[0]}, another {each}"
        for rank in range(size):
            count = sum(a == rank for a, _, _ in ranks.sent)
            assert count <= 2 * (size - 1), (
                f"{size} ranks: at most {2 * (size - 1)} messages each, rank {rank} sent {count}"
            )
        for _, _, x in ranks.sent:
            assert np.size(x) <= 3, f"a message has at most three numbers, one of yours has {np.size(x)}"
        assert ranks.num_unread == 0, f"{ranks.num_unread} messages were sent and never received"
        return found[0]

    token, logprob = on([np.array([0.0, 2.0]), np.array([1.0])])
    assert token == 1, f"logits 0, 2, 1: token 1 has the largest, you returned {token}"
    assert isinstance(token, int), f"the token is an int, yours is a {type(token).__name__}"
    assert abs(logprob + 0.126928) > 1e-4, "this is the probability among the own part's ids only: sum over all ranks"
    assert abs(logprob - np.log(0.66524096)) < 1e-6, f"ln 0.66524 = -0.40761 is wanted, you returned {logprob}"
    token, _ = on([np.array([1.0, 2.0]), np.array([0.0, 3.0, 1.0, 0.5, 0.0])])
    assert token == 3, f"rank 1 begins at id 2, so its second logit is token 3; you returned {token}"
    token, logprob = on([np.array([5.0]), np.array([5.0]), np.array([5.0, 5.0])])
    assert token == 0, f"all are equal: the smallest id, 0, wins; you returned {token}"
    assert abs(logprob - np.log(0.25)) < 1e-9, f"four equal logits: ln 0.25, you returned {logprob}"
    token, logprob = on([np.array([999.0, 1000.0]), np.array([-1000.0])])
    assert token == 1 and abs(logprob + np.log1p(np.exp(-1))) < 1e-9, (
        f"logits of 1,000: token 1 with {-np.log1p(np.exp(-1))}, you returned {token}, {logprob}: subtract the largest"
    )
    try:
        got = split_vocabulary(0, 1, np.zeros(2), -4, None, None)
    except ValueError as error:
        assert "-4" in str(error), f"the ValueError should name -4, it says: {error}"
    else:
        raise AssertionError(f"first_id = -4 returned {got}: raise ValueError")


test_split_vocabulary()


# %% hidden="split_vocabulary" points=4
def hidden_split_vocabulary():
    from math import exp, fsum, log

    import numpy as np

    rng = np.random.default_rng(165)
    for size in (1, 2, 3, 5):
        for trial in range(8):
            lengths = rng.integers(1, 7, size)
            scale = (1.0, 30.0, 900.0, 0.0)[trial % 4]
            parts = [np.round(rng.standard_normal(n) * scale, 1 if trial > 3 else 9) for n in lengths]
            parts = [np.clip(part, -1000, 1000) for part in parts]
            order = rng.permutation(size) if trial % 2 else np.arange(size)
            firsts, begin = {}, int(rng.integers(0, 100))
            for r in order:  # the ids need not lie in the order of the ranks
                firsts[int(r)], begin = begin, begin + len(parts[r])
            all_logits = {firsts[r] + i: float(z) for r in range(size) for i, z in enumerate(parts[r])}
            largest = max(all_logits.values())
            want = min(i for i, z in all_logits.items() if z == largest)
            logprob = -log(fsum(exp(z - largest) for z in all_logits.values()))
            ranks = Ranks(size)
            found = ranks.run(lambda r, send, recv: split_vocabulary(r, size, parts[r].copy(), firsts[r], send, recv))
            for token, got in found:
                assert token == want, f"the largest of {all_logits} is token {want}, you returned {token}"
                assert abs(got - logprob) < 1e-9, f"the log-probability over all ids is {logprob}, you returned {got}"
            assert all(each == found[0] for each in found), "the ranks return different values"
            assert all(np.size(x) <= 3 for _, _, x in ranks.sent), "a message has at most three numbers"
            count = [sum(a == rank for a, _, _ in ranks.sent) for rank in range(size)]
            assert max(count) <= 2 * (size - 1), "a rank sent more messages than allowed"
            assert ranks.num_unread == 0, "a message was never received"
    token, logprob = split_vocabulary(0, 1, np.array([3.0]), 128255, None, None)
    assert (token, logprob) == (128255, 0.0), "one token alone has probability 1, and a single rank asks nobody"
    low = Ranks(2)
    apart = [np.full(3, -1000.0), np.array([1000.0])]
    found = low.run(lambda r, send, recv: split_vocabulary(r, 2, apart[r], 3 * r, send, recv))
    assert found == [(3, 0.0)] * 2, "2,000 apart: the one has probability 1, and nothing overflows"
    same = Ranks(2)
    twins = [np.array([7.0]), np.array([7.0])]
    found = same.run(lambda r, send, recv: split_vocabulary(r, 2, twins[r], 9 - 9 * r, send, recv))
    assert found[0][0] == 0, "equal logits: the smaller id wins, whichever rank has it"
    for bad in (-1, -11):
        try:
            split_vocabulary(0, 1, np.zeros(1), bad, None, None)
        except ValueError as error:
            assert str(bad) in str(error), "the message should hold first_id"
            continue
        raise AssertionError("a negative first_id was accepted: raise ValueError")


hidden_split_vocabulary()


# %% [markdown] task="schedule" stars=2 minutes=30
# ## 6. Fill the pipeline
#
# A pipeline gives each rank, now called a **stage**, some of the layers. A stage needs one tick for one pass of one **micro-batch** (a group of requests) and then hands it to the next stage. While it is there, the first stage can take another micro-batch. But the next step of the *same* micro-batch needs the token that the last stage finds.
#
# Write `schedule(num_stages, num_batches, num_steps)`: a table, a list with one row for each tick, each row a list of `num_stages` entries. An entry is `(batch, step)`, what the stage works on in this tick, or `None` where it is idle. The rules:
#
# - The first stage takes the passes in this order: step 0 of micro-batch 0, 1, 2, …, then step 1 of 0, 1, 2, …, to the last step of the last one. It starts each as early as it may: at most one in a tick, and step $t + 1$ of a micro-batch only in a tick **after** the one in which the last stage worked on its step $t$.
# - Every other stage works on a pass one tick after the stage before it.
#
# The table ends with the last tick in which anybody works. Write also `idle_share(table)`: the part of the entries that are `None`, a float. `ValueError` names any of the three numbers that is below 1, and in `idle_share` the empty table `[]`.
#
# Example: 2 stages, 1 micro-batch, 2 steps: `[[(0, 0), None], [None, (0, 0)], [(0, 1), None], [None, (0, 1)]]`, half idle: the two stages are no faster than one device. With 2 micro-batches: `[[(0, 0), None], [(1, 0), (0, 0)], [(0, 1), (1, 0)], [(1, 1), (0, 1)], [None, (1, 1)]]`, a fifth idle. (Micro-batches: GPipe, Huang et al. 2018, 1811.06965. There a pass has a way back; in generation the token is it.)
#
# <details><summary>Hint 1</summary>
#
# Find the tick in which each pass starts; everything else follows from it. A pass that starts in tick $k$ is in stage $s$ in tick $k + s$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A pass starts one tick after the pass before it in the order, or `num_stages` ticks after the same micro-batch's step before, whichever is later. Make the table of `None` when you know the last start.
#
# </details>


# %% solution="schedule"
def schedule(num_stages, num_batches, num_steps):
    """The table of a pipeline: [ticks][stages], each entry (batch, step) or None. See the task for the rules.

    Raises ValueError for a number below 1.
    """
    ### BEGIN SOLUTION
    for number in (num_stages, num_batches, num_steps):
        if number < 1:
            raise ValueError(f"at least 1 stage, micro-batch and step: got {number}")
    starts, tick = {}, -1
    for step in range(num_steps):
        for batch in range(num_batches):
            tick = max(tick + 1, starts.get((batch, step - 1), -num_stages) + num_stages)
            starts[batch, step] = tick
    table = [[None] * num_stages for _ in range(tick + num_stages)]
    for work, start in starts.items():
        for stage in range(num_stages):
            table[start + stage][stage] = work
    return table
    ### END SOLUTION


def idle_share(table):
    """The part of a table's entries that are None. Raises ValueError for an empty table."""
    ### BEGIN SOLUTION
    if not table:
        raise ValueError(f"an empty table: {table}")
    entries = [entry for row in table for entry in row]
    return sum(entry is None for entry in entries) / len(entries)
    ### END SOLUTION


# %% tryit="schedule"
for num_batches in (1, 2, 4):
    table = schedule(3, num_batches, 3)
    print(f"3 stages, {num_batches} micro-batches, 3 steps: {idle_share(table):.0%} idle")
    for stage in range(3):
        print(
            "   stage", stage, " ".join("..." if row[stage] is None else "{}.{}".format(*row[stage]) for row in table)
        )


# %% test="schedule" points=2
def test_schedule():
    got = schedule(2, 1, 2)
    assert got is not None, "schedule returned None: is there a return statement?"
    want = [[(0, 0), None], [None, (0, 0)], [(0, 1), None], [None, (0, 1)]]
    assert got != [[(0, 0), None], [(0, 1), (0, 0)], [None, (0, 1)]], (
        "step 1 of micro-batch 0 started before the last stage had found the token of its step 0"
    )
    assert got == want, f"2 stages, 1 micro-batch, 2 steps: {want}, you returned {got}"
    got = schedule(2, 2, 2)
    want = [[(0, 0), None], [(1, 0), (0, 0)], [(0, 1), (1, 0)], [(1, 1), (0, 1)], [None, (1, 1)]]
    assert got == want, f"2 stages, 2 micro-batches, 2 steps: {want}, you returned {got}"
    got = schedule(1, 2, 2)
    assert got == [[(0, 0)], [(1, 0)], [(0, 1)], [(1, 1)]], f"a single stage is never idle, you returned {got}"
    got = schedule(1, 1, 1)
    assert got == [[(0, 0)]], f"one pass of one stage is one tick, you returned {got}"
    table = [[(0, 0), None], [None, (0, 0)]]
    got = idle_share(table)
    assert got == 0.5, f"two of four entries are None: 0.5, you returned {got}"
    got = idle_share([[(0, 0)], [(0, 1)]])
    assert got == 0, f"nothing is idle: 0.0, you returned {got}"
    for call, value in (
        (lambda: schedule(0, 1, 1), "0"),
        (lambda: schedule(2, -3, 1), "-3"),
        (lambda: schedule(2, 1, -7), "-7"),
        (lambda: idle_share([]), "[]"),
    ):
        try:
            got = call()
        except ValueError as error:
            assert value in str(error), f"the ValueError should name {value}, it says: {error}"
        else:
            raise AssertionError(f"{value} was accepted and gave {got}: raise ValueError")


test_schedule()


# %% hidden="schedule" points=3
def hidden_schedule():
    def simulate(stages, batches, steps):
        """Tick by tick: what each stage holds moves on, and the first takes the next pass when its token is there."""
        order = [(batch, step) for step in range(steps) for batch in range(batches)]
        done, holds, table = set(), [None] * stages, []
        while order or any(holds):
            take = None
            if order and (order[0][1] == 0 or (order[0][0], order[0][1] - 1) in done):
                take = order.pop(0)
            holds = [take, *holds[:-1]]
            table.append(list(holds))
            done.add(holds[-1])
            if holds[-1] is not None and not order and not any(holds[:-1]):
                break
        return table

    for stages in range(1, 6):
        for batches in range(1, 7):
            for steps in range(1, 5):
                want = simulate(stages, batches, steps)
                got = schedule(stages, batches, steps)
                case = f"{stages} stages, {batches} micro-batches, {steps} steps"
                assert len(got) == len(want), f"{case}: {len(want)} ticks, yours has {len(got)}"
                assert [list(row) for row in got] == want, f"{case}: {want}, you returned {got}"
                count = sum(row.count(None) for row in want)
                share = idle_share(want)
                assert abs(share - count / (len(want) * stages)) < 1e-12, f"{case}: the idle part of the entries"
    one_step = idle_share(schedule(4, 12, 1))
    assert abs(one_step - 3 / 15) < 1e-12, "one pass: stages less one, over micro-batches and stages less one"
    assert idle_share([[None, None]]) == 1, "nobody works: all of it is idle"
    rows = schedule(3, 2, 2)
    rows[0][0] = "mine"
    assert [row[0] for row in rows[1:]] == [row[0] for row in schedule(3, 2, 2)[1:]], "the rows are one list, not many"
    for bad in ((-5, 1, 1), (1, 0, 1), (1, 1, 0)):
        try:
            schedule(*bad)
        except ValueError as error:
            assert str(min(bad)) in str(error), "the message should hold the number"
            continue
        raise AssertionError("a number below 1 was accepted: raise ValueError")
    got = idle_share([[(0, 0), None], [None, None]])
    assert got == 0.75, f"three of four entries are None, whichever stage they are of: 0.75, you returned {got}"
    try:
        schedule(-1, -1, 1)
    except ValueError:
        pass
    else:
        raise AssertionError("-1 stages and -1 batches were accepted: raise ValueError")


hidden_schedule()


# %% [markdown] task="to_the_experts" stars=4 minutes=45
# ## 7. Tokens go to their experts
#
# In a mixture of experts a layer has many MLPs, and a router chooses one for each token (here one; often several). With *expert parallelism* every rank holds a few whole experts and its own share of the tokens. So the tokens travel: every rank sends to every other rank the rows that are meant for its experts, and gets them back changed. Both exchanges are called **all-to-all**.
#
# Write `to_the_experts(rank, size, x, choice, experts, send, recv)`.
#
# - `x`: this rank's tokens, `[n, d]` float64. `n` may differ between ranks and may be 0; `d` is the same everywhere.
# - `choice`: a list of `n` integers, the number of the expert of each row.
# - `experts`: a list of this rank's experts, functions from `[m, d]` to `[m, d]` that treat each row by itself. Every rank has the same number of them, `E`; expert `e` is `experts[e % E]` of rank `e // E`.
#
# Return `[n, d]`: row `i` is what expert `choice[i]` makes of `x[i]`. The rules:
#
# - An expert is called **once** in a step with all of its rows, from whichever rank, as one array, and not at all when it has none. In which order the rows stand in it is yours.
# - Rows for a rank's own experts are not sent. A rank sends at most three messages to each other rank, and each row of `x` travels at most once there and once back (the numbers of experts may travel beside it). Every message is received. An array may have 0 rows.
# - `x` and `choice` stay as they are. `ValueError` names a number in `choice` that is no expert.
#
# Example: 2 ranks with one expert each. Rank 0 has rows a, b, c with `choice` `[1, 0, 1]`: it sends a and c to rank 1 and keeps b. Rank 1 runs its expert once, on a, c and its own rows, and sends two rows back; rank 0 puts them at places 0 and 2. (Shazeer et al. 2017, 1701.06538, spread experts over devices in this way.)
#
# <details><summary>Hint 1</summary>
#
# For each rank make the list of your rows' places that go there. You need it again when the answers come back: they come in the order in which you sent the rows.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Send to every other rank two arrays: the numbers of the experts and the rows. Receive both from all. Put all that came, your own included, into one array with its expert numbers; for each own expert pick its rows by a boolean mask, call it, and write the result to the same places. Cut the array at the borders between ranks and send the pieces back.
#
# </details>


# %% solution="to_the_experts"
def to_the_experts(rank, size, x, choice, experts, send, recv):
    """Row i is what expert choice[i] makes of x[i]: [n, d], float64.

    x: [n, d], this rank's rows. choice: n integers. experts: this rank's functions [m, d] -> [m, d]; expert e is
    experts[e % E] of rank e // E, where E = len(experts). Raises ValueError for a number that is no expert.
    """
    ### BEGIN SOLUTION
    per_rank, choice = len(experts), np.array(choice, dtype=int).reshape(-1)
    for number in choice:
        if not 0 <= number < size * per_rank:
            raise ValueError(f"there are {size * per_rank} experts, none has the number {number}")
    places = [np.flatnonzero(choice // per_rank == other) for other in range(size)]
    for other in range(size):
        if other != rank:
            send(choice[places[other]], other)
            send(x[places[other]], other)
    ids, rows = [choice[places[rank]]] * size, [x[places[rank]]] * size
    for other in range(size):
        if other != rank:
            ids[other], rows[other] = recv(other), recv(other)
    borders = np.cumsum([len(part) for part in rows])[:-1]
    ids, rows = np.concatenate(ids), np.concatenate(rows)
    for place, expert in enumerate(experts):
        mine = ids == rank * per_rank + place
        if mine.any():
            rows[mine] = expert(rows[mine])
    done, out = np.split(rows, borders), np.empty(x.shape)
    for other in range(size):
        if other != rank:
            send(done[other], other)
    for other in range(size):
        out[places[other]] = done[rank] if other == rank else recv(other)
    return out
    ### END SOLUTION


# %% tryit="to_the_experts"
tokens = [np.arange(6.0).reshape(3, 2), np.full((1, 2), 10.0)]
chosen = [[1, 0, 1], [0]]
ranks = Ranks(2)
for rank, out in enumerate(
    ranks.run(lambda r, send, recv: to_the_experts(r, 2, tokens[r], chosen[r], [lambda a: a * 10**r], send, recv))
):
    print(f"rank {rank}:", out.tolist())
print("messages:", [(a, b, x.tolist()) for a, b, x in ranks.sent])


# %% test="to_the_experts" points=3
def test_to_the_experts():
    import numpy as np

    def on(tokens, chosen, per_rank):
        size, ranks, calls = len(tokens), Ranks(len(tokens)), {}
        given = [(x.copy(), list(choice)) for x, choice in zip(tokens, chosen)]

        def expert(number):
            def run(rows):
                calls.setdefault(number, []).append(np.array(rows))
                return rows * (number + 2) + number

            return run

        def work(rank, send, recv):
            for number in range(rank * per_rank, (rank + 1) * per_rank):
                calls.pop(number, None)  # the call begins again after a wait
            experts = [expert(rank * per_rank + place) for place in range(per_rank)]
            return to_the_experts(rank, size, *given[rank], experts, send, recv)

        found = ranks.run(work)
        for rank, (x, choice) in enumerate(zip(tokens, chosen)):
            out, case = found[rank], f"rank {rank} of {size}, choice {choice}"
            assert out is not None, "to_the_experts returned None: is there a return statement?"
            assert np.shape(out) == x.shape, f"{case}: shape {x.shape} is wanted, you returned {np.shape(out)}"
            want = np.array([row * (e + 2) + e for row, e in zip(x, choice)]).reshape(x.shape)
            assert np.allclose(out, want), f"{case}: {want.tolist()} is wanted, you returned {np.asarray(out).tolist()}"
            assert np.array_equal(given[rank][0], x) and given[rank][1] == choice, f"{case}: an argument was changed"
        for number, made in calls.items():
            assert len(made) == 1, f"expert {number} was called {len(made)} times in a step: gather its rows first"
            assert len(made[0]), f"expert {number} was called without rows"
        for a in range(size):
            for b in range(size):
                some = [x for c, d, x in ranks.sent if (c, d) == (a, b)]
                assert len(some) <= 3, f"rank {a} sent {len(some)} messages to rank {b}: at most three"
                travels = sum(e // per_rank == b for e in chosen[a]) + sum(e // per_rank == a for e in chosen[b])
                width = tokens[0].shape[1]
                most = (width + 1) * travels + per_rank  # a number beside each row, or a count for each expert
                count = sum(np.size(x) for x in some)
                assert count <= most, f"rank {a} sent {count} numbers to rank {b}, {travels} rows are at most {most}"
        assert ranks.num_unread == 0, f"{ranks.num_unread} messages were sent and never received"

    on([np.arange(6.0).reshape(3, 2), np.full((1, 2), 10.0)], [[1, 0, 1], [0]], 1)
    on([np.arange(8.0).reshape(4, 2)], [[2, 0, 2, 1]], 3)
    on([np.ones((2, 3)), np.zeros((0, 3)), np.arange(9.0).reshape(3, 3)], [[5, 0], [], [1, 1, 4]], 2)
    for bad in (2, -1):
        try:
            got = to_the_experts(0, 1, np.zeros((1, 2)), [bad], [lambda a: a, lambda a: a], None, None)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name {bad}, it says: {error}"
        else:
            raise AssertionError(f"expert {bad} of 2 returned {got}: raise ValueError")


test_to_the_experts()


# %% hidden="to_the_experts" points=4
def hidden_to_the_experts():
    import numpy as np

    rng = np.random.default_rng(167)
    for size, per_rank, width in ((1, 1, 1), (1, 4, 3), (2, 1, 2), (2, 3, 4), (3, 2, 2), (4, 2, 3), (4, 1, 5)):
        for trial in range(3):
            counts = rng.integers(0, 7, size) * (trial != 1 or np.arange(size) == 0)
            tokens = [rng.standard_normal((n, width)) for n in counts]
            top = size * per_rank if trial < 2 else 1
            chosen = [[int(e) for e in rng.integers(0, top, n)] for n in counts]
            ranks, calls = Ranks(size), {}

            def expert(number):
                def run(rows):
                    calls.setdefault(number, []).append(np.array(rows))
                    return np.cos(np.asarray(rows) + number) * (number + 1)

                return run

            def work(rank, send, recv):
                for number in range(rank * per_rank, (rank + 1) * per_rank):
                    calls.pop(number, None)
                experts = [expert(rank * per_rank + place) for place in range(per_rank)]
                return to_the_experts(rank, size, tokens[rank].copy(), list(chosen[rank]), experts, send, recv)

            found = ranks.run(work)
            for rank in range(size):
                assert np.shape(found[rank]) == tokens[rank].shape, "the output has the shape of the rank's tokens"
                for row, e, got in zip(tokens[rank], chosen[rank], found[rank]):
                    want = [np.cos(value + e) * (e + 1) for value in row]
                    np.testing.assert_allclose(
                        got, want, rtol=1e-10, atol=1e-10, err_msg="a row is not what its expert makes of it"
                    )
            for number in range(size * per_rank):
                wanted = sum(choice.count(number) for choice in chosen)
                rows = [len(made) for made in calls.get(number, [])]
                assert rows == ([wanted] if wanted else []), (
                    "an expert is called once, with all of its rows, or not at all"
                )
            for a in range(size):
                for b in range(size):
                    some = [x for c, d, x in ranks.sent if (c, d) == (a, b)]
                    assert len(some) <= 3, "more than three messages to one rank"
                    travels = sum(e // per_rank == b for e in chosen[a]) + sum(e // per_rank == a for e in chosen[b])
                    most = (width + 1) * travels + per_rank  # a number beside each row, or a count for each expert
                    assert sum(np.size(x) for x in some) <= most, "more numbers travel than the rows that have to"
            assert ranks.num_unread == 0, "a message was never received"
    x, choice, experts = np.ones((2, 2)), [1, 0], [lambda a: a * 3, lambda a: a * 5]
    before = list(experts)
    to_the_experts(0, 1, x, choice, experts, None, None)
    assert np.array_equal(x, np.ones((2, 2))) and choice == [1, 0], "an argument was changed"
    assert experts == before, "the list of experts was changed"
    for bad in ([0, 4], [-3], [77]):
        try:
            to_the_experts(0, 1, np.zeros((len(bad), 2)), bad, [lambda a: a] * 4, None, None)
        except ValueError as error:
            assert str(bad[-1]) in str(error), "the message should hold the number that is no expert"
            continue
        raise AssertionError("a number that is no expert was accepted: raise ValueError")


hidden_to_the_experts()
