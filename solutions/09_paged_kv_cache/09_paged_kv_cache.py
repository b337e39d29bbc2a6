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
# # 09 · The paged KV cache
#
# In this notebook you cut the KV cache into blocks: you count what reserving wastes, hand out blocks, read through block tables, share the blocks of equal prefixes, and fix two bugs that real engines had. At the end your allocator serves a model inside the course's engine. The chapter *The paged KV cache* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant.

# %% setup=True
import hashlib
from collections import OrderedDict, deque
from dataclasses import dataclass

import numpy as np

from mini_engine.block_manager import BlockManager, OutOfBlocks
from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, LLAMA_3_70B, ModelConfig
from mini_engine.plotting import figure, show


@dataclass
class Pages:
    """A filled paged cache of one layer for the checks of exercise 6: plain arrays and tables, no methods."""

    keys: np.ndarray  # [n_blocks, block_size, H_kv, D]
    values: np.ndarray
    block_tables: dict  # sequence -> list of block numbers
    lengths: dict  # sequence -> number of tokens
    block_size: int


# %% [markdown] task="block_waste" stars=1 minutes=10
# ## 1. Rounding up to blocks
#
# A paged cache gives memory out in blocks of `block_size` token slots. A sequence holds as many blocks as it needs and wastes the free end of its last one. Write `block_waste(lengths, block_size)`: two lists, the slots allocated for each sequence, and how many of them are wasted.
#
# Example: lengths `[9, 16, 17]` in blocks of 16 allocate `[16, 16, 32]` slots and waste `[7, 0, 15]`. A sequence of 0 tokens holds no block.
#
# Return plain `int`s, also where `lengths` is a NumPy array, which may be `uint8`.
#
# <details><summary>Hint 1</summary>
#
# The number of blocks is the length divided by the block size, rounded up. Careful with lengths that are a multiple already.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In integers, `-(-a // b)` rounds `a / b` up, exactly. The waste is what was allocated less the length.
#
# </details>


# %% solution="block_waste"
def block_waste(lengths, block_size):
    """Slots that a paged cache allocates and wastes for each sequence.

    lengths: tokens per sequence, 0 or more. block_size: token slots per block, 1 or more.
    Returns (allocated, waste), two lists of ints. Raises ValueError for other sizes.
    """
    ### BEGIN SOLUTION
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for length in lengths:
        if length < 0:
            raise ValueError(f"a sequence cannot have {length} tokens")
    lengths = [int(length) for length in lengths]  # a uint8 has no room for the negative numbers below
    allocated = [-(-length // block_size) * block_size for length in lengths]
    return allocated, [slots - length for slots, length in zip(allocated, lengths, strict=True)]
    ### END SOLUTION


# %% tryit="block_waste"
for size in (1, 4, 16, 64):
    print(f"blocks of {size:2}: (allocated, waste) = {block_waste([9, 16, 17], size)}")


# %% test="block_waste" points=1
def test_block_waste():
    got = block_waste([9, 16, 17], 16)
    assert got is not None, "block_waste returned None: is there a return statement?"
    assert len(got) == 2, f"return two lists, allocated and waste; you returned {len(got)} things"
    allocated, waste = (list(part) for part in got)
    assert allocated != [16, 32, 32], "16 tokens fill one block of 16 exactly: they need no second one"
    assert allocated != [1, 1, 2], "allocated counts slots, not blocks: multiply by the block size"
    assert allocated == [16, 16, 32], f"allocated should be [16, 16, 32], yours is {allocated}"
    assert waste == [7, 0, 15], f"waste should be [7, 0, 15], yours is {waste}"
    for bad in (([3, -1], 16), ([3], 0), ([3], -4)):
        try:
            block_waste(*bad)
        except ValueError as error:
            value = min(*bad[0], bad[1])
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"lengths, block_size = {bad} was accepted: raise ValueError")


test_block_waste()


# %% hidden="block_waste" points=1
def hidden_block_waste():
    import random

    import numpy as np

    rng = random.Random(901)
    for size in (1, 2, 7, 16, 128):
        lengths = [rng.randrange(0, 500) for _ in range(20)] + [0, 1, size, size + 1, 3 * size]
        allocated, waste = block_waste(lengths, size)
        for length, slots, wasted in zip(lengths, allocated, waste, strict=True):
            want = 0
            while want < length:  # take blocks until it fits
                want += size
            assert slots == want, f"{length} tokens in blocks of {size} take {want} slots, you say {slots}"
            assert wasted == want - length, f"{length} tokens in blocks of {size} waste {want - length}, not {wasted}"
            assert isinstance(slots, int) and isinstance(wasted, int), f"return ints, not {type(slots).__name__}"
    for lengths, want in (([3, 9], [[4, 12], [1, 3]]), ([5, 8], [[8, 8], [3, 0]])):
        assert [list(part) for part in block_waste(lengths, 4)] == want, f"lengths {lengths} in blocks of 4: {want}"
    numbers = block_waste(np.array([5, 8]), 4)
    assert all(type(n) is int for part in numbers for n in part), "lengths in a NumPy array: still return plain ints"
    huge = 10**17 + 1
    assert tuple(map(list, block_waste([huge], 2))) == ([huge + 1], [1]), (
        f"{huge} tokens: floats cannot hold this, divide integers"
    )
    assert tuple(map(list, block_waste([], 16))) == ([], []), "no sequences: two empty lists"
    narrow = [list(part) for part in block_waste(np.array([250, 0, 16], np.uint8), 16)]
    assert narrow == [[256, 0, 16], [6, 0, 0]], (
        f"uint8 lengths 250, 0, 16 in blocks of 16: yours are {narrow}; a uint8 wraps around, so make it an int first"
    )
    try:
        block_waste([], 0)
    except ValueError:
        return
    raise AssertionError("block_size 0 makes no sense even without sequences: raise ValueError")


hidden_block_waste()

# %% [markdown] task="waste_report" stars=1 minutes=15
# ## 2. Reserving against paging
#
# A server that cannot know how long an answer gets, and wants it in one piece, must reserve `max_len` slots per request. Write `waste_report(lengths, max_len, block_size)`, which compares that with paging. Return a dict:
#
# | key | holds |
# |---|---|
# | `"contiguous_slots"` | slots reserved in one piece of `max_len` per sequence |
# | `"paged_slots"` | slots allocated in blocks |
# | `"contiguous_waste"` | fraction of `contiguous_slots` that hold no token, 0 to 1 |
# | `"paged_waste"` | fraction of `paged_slots` that hold no token, 0 to 1 |
#
# Example: lengths `[9, 16, 17]`, `max_len` 64, blocks of 16: 192 and 64 slots for 42 tokens; the waste is $150/192 = 0.78125$ and $22/64 = 0.34375$.
#
# Where no slot is reserved, no fraction of it is wasted: 0.0. The numbers are plain `int`s and `float`s, also where `lengths` is a NumPy array. The paper that introduced paging measured its share of *useful* memory in the same way: 20.4% to 38.2% in the systems before it, 96.3% with paging (Kwon et al. 2023, section 1 and figure 2).
#
# <details><summary>Hint 1</summary>
#
# A fraction of the whole is not the mean of the sequences' fractions: add the slots up first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Both fractions are one minus tokens over slots, with the case of zero slots apart.
#
# </details>


# %% solution="waste_report"
def waste_report(lengths, max_len, block_size):
    """What a cache of one piece per sequence and a paged one reserve for the same sequences, and waste.

    lengths: tokens per sequence, 0 to max_len. max_len, block_size: slots, 1 or more. Returns the dict described
    above: slots as ints, waste as fractions from 0 to 1. Raises ValueError for other sizes.
    """
    ### BEGIN SOLUTION
    for size in (max_len, block_size):
        if size < 1:
            raise ValueError(f"max_len and block_size must be at least 1, got {size}")
    for length in lengths:
        if not 0 <= length <= max_len:
            raise ValueError(f"a length must be from 0 to max_len = {max_len}, got {length}")
    tokens = sum(lengths)
    slots = {
        "contiguous": len(lengths) * max_len,
        "paged": sum(-(-length // block_size) * block_size for length in lengths),
    }
    report = {f"{kind}_slots": int(count) for kind, count in slots.items()}
    return report | {
        f"{kind}_waste": float((count - tokens) / count) if count else 0.0 for kind, count in slots.items()
    }
    ### END SOLUTION


# %% tryit="waste_report"
lengths = np.random.default_rng(0).integers(1, 2049, 200).tolist()
sizes = (1, 4, 16, 64, 256, 1024)
reports = [waste_report(lengths, 2048, size) for size in sizes]
print(f"200 requests of 1 to 2048 tokens, reserved: {reports[0]['contiguous_waste']:.1%} wasted")
fig, ax = figure()
ax.semilogx(sizes, [100 * report["paged_waste"] for report in reports], "o-", label="paged")
ax.axhline(100 * reports[0]["contiguous_waste"], linestyle="--", label="one piece of 2048 each")
ax.set(xlabel="block size (tokens)", ylabel="wasted slots (%)", title="Waste by block size")
ax.set_xticks(sizes, [str(size) for size in sizes])
ax.legend()
show(fig, alt="Wasted slots against block size: near zero for small blocks, rising towards the reserving cache's half.")


# %% test="waste_report" points=1
def test_waste_report():
    got = waste_report([9, 16, 17], 64, 16)
    assert got is not None, "waste_report returned None: is there a return statement?"
    keys = ["contiguous_slots", "contiguous_waste", "paged_slots", "paged_waste"]
    assert sorted(got) == keys, f"the keys should be {keys}, yours are {sorted(got)}"
    assert got["contiguous_slots"] == 192, f"three pieces of 64 are 192 slots, yours: {got['contiguous_slots']}"
    assert got["paged_slots"] == 64, f"16 + 16 + 32 slots are 64, yours: {got['paged_slots']}"
    assert got["contiguous_waste"] != 150, "waste is a fraction of the slots, not a count: 150/192"
    assert abs(got["contiguous_waste"] - 0.78125) < 1e-12, (
        f"42 tokens in 192 slots waste 0.78125, yours: {got['contiguous_waste']} (used instead of wasted?)"
    )
    assert abs(got["paged_waste"] - 0.34375) < 1e-12, (
        f"42 tokens in 64 slots waste 0.34375, yours: {got['paged_waste']} (mean of fractions, not of the sum?)"
    )
    try:
        waste_report([9, 65], 64, 16)
    except ValueError as error:
        assert "65" in str(error), f"the message should hold the bad length 65: {error}"
    else:
        raise AssertionError("65 tokens do not fit into max_len 64: raise ValueError")


test_waste_report()


# %% hidden="waste_report" points=2
def hidden_waste_report():
    import random
    from fractions import Fraction

    import numpy as np

    got = waste_report([], 8, 4)
    kinds = [type(got[key]) for key in ("contiguous_waste", "paged_waste")]
    assert kinds == [float, float], f"nothing is wasted: the float 0.0, not {got}"
    assert waste_report([3], 4, 16)["paged_slots"] == 16, "a block may be larger than max_len"
    rng = random.Random(902)
    for size in (1, 3, 16, 100):
        max_len = rng.randrange(50, 300)
        lengths = [rng.randrange(0, max_len + 1) for _ in range(15)] + [max_len, 0]
        got = waste_report(lengths, max_len, size)
        paged = sum(size * len(range(0, length, size)) for length in lengths)
        case = f"lengths {lengths}, max_len {max_len}, blocks of {size}"
        assert got["contiguous_slots"] == 17 * max_len, f"{case}: contiguous_slots {got['contiguous_slots']}"
        assert got["paged_slots"] == paged, f"{case}: paged_slots should be {paged}, yours {got['paged_slots']}"
        for kind, slots in (("contiguous", 17 * max_len), ("paged", paged)):
            want = float(1 - Fraction(sum(lengths), slots))
            value = got[f"{kind}_waste"]
            assert abs(value - want) < 1e-12, f"{case}: {kind}_waste should be {want}, yours {value}"
    got = [waste_report(lengths, 64, 16)["paged_slots"] for lengths in ([1, 2, 3], [9, 16, 17])]
    assert got == [48, 64], f"lengths of 1, 2, 3 take 48 slots and of 9, 16, 17 take 64, yours {got}"
    got = waste_report(np.array([9, 16, 17]), 64, 16)
    kinds = [type(got[key]) for key in ("contiguous_slots", "paged_slots", "contiguous_waste", "paged_waste")]
    assert kinds == [int, int, float, float], f"lengths in a NumPy array: still plain ints and floats, not {kinds}"
    for lengths in ([], [0, 0]):
        got = waste_report(lengths, 10, 4)
        assert got["paged_waste"] == 0 and got["paged_slots"] == 0, f"{lengths}: nothing allocated, nothing wasted"
        want = 1.0 if lengths else 0.0
        assert got["contiguous_waste"] == want, f"{lengths}: contiguous_waste {want}, yours {got['contiguous_waste']}"
    for bad, value in ((([1], 0, 4), 0), (([1], 8, 0), 0), (([-1], 8, 4), -1), (([], -3, 4), -3), (([], 8, -5), -5)):
        try:
            waste_report(*bad)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"lengths, max_len, block_size = {bad} was accepted: raise ValueError")


hidden_waste_report()

# %% [markdown] task="fits" stars=1 minutes=15
# ## 3. Free, and yet no room
#
# Two kinds of waste have old names. Memory that is reserved and unused *inside* a piece is internal fragmentation: exercises 1 and 2. Memory that is free *between* pieces, and cut too small for the next request, is external fragmentation.
#
# Write `fits(free_runs, num_tokens, block_size)`, which shows the second kind. `free_runs` lists the lengths of the free stretches of memory, in slots. Return two bools, `(contiguous, paged)`: does a request of `num_tokens` slots fit in one piece, and does it fit in blocks of `block_size` that may lie anywhere inside the stretches? A block itself is one piece: it cannot straddle two stretches.
#
# Example: free stretches of 5, 8 and 3 slots are 16 free slots. A request of 12 has no stretch long enough, but in blocks of 4 there is one block in the first and two in the second: `(False, True)`. In blocks of 8 there is only one: `(False, False)`.
#
# Zero tokens always fit.
#
# <details><summary>Hint 1</summary>
#
# Count the whole blocks in each stretch on its own, then compare with the blocks that the request needs.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Two different roundings: a stretch holds its length divided by the block size rounded *down*; a request needs it rounded *up*.
#
# </details>


# %% solution="fits"
def fits(free_runs, num_tokens, block_size):
    """Whether a request fits into fragmented memory, in one piece and in blocks.

    free_runs: lengths of the free stretches, in slots. num_tokens: slots wanted. block_size: slots per block.
    Returns (contiguous, paged), two bools. Raises ValueError for negative sizes or a block_size below 1.
    """
    ### BEGIN SOLUTION
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    for size in (num_tokens, *free_runs):
        if size < 0:
            raise ValueError(f"sizes cannot be negative, got {size}")
    free_blocks = sum(run // block_size for run in free_runs)
    return max(free_runs, default=0) >= num_tokens, free_blocks >= -(-num_tokens // block_size)
    ### END SOLUTION


# %% tryit="fits"
for size in (1, 2, 4, 8):
    print(
        f"12 tokens into free stretches of 5, 8 and 3, blocks of {size}: (contiguous, paged) = {fits([5, 8, 3], 12, size)}"
    )


# %% test="fits" points=1
def test_fits():
    got = fits([5, 8, 3], 12, 4)
    assert got is not None, "fits returned None: is there a return statement?"
    contiguous, paged = got
    assert not contiguous, "16 slots are free, but no stretch has 12 in one piece: contiguous is False"
    assert paged, "blocks of 4: one in the stretch of 5 and two in the stretch of 8 hold 12 tokens"
    assert not fits([5, 8, 3], 12, 8)[1], "a block of 8 cannot straddle the stretches of 5 and 3"
    assert fits([5, 8, 3], 8, 4) == (True, True), "8 tokens fit the stretch of 8, and two blocks of 4"
    try:
        fits([5], 3, 0)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("block_size 0 was accepted: raise ValueError")


test_fits()


# %% hidden="fits" points=1
def hidden_fits():
    import random

    rng = random.Random(903)
    for _ in range(200):
        size = rng.randrange(1, 6)
        runs = [rng.randrange(0, 12) for _ in range(rng.randrange(0, 5))]
        wanted = rng.randrange(0, 20)
        one_piece, left, blocks = wanted == 0, wanted, 0
        for run in runs:
            one_piece = one_piece or run >= wanted
            while run >= size and left > 0:  # place block by block
                run, left, blocks = run - size, left - size, blocks + 1
        want = (one_piece, left <= 0)
        given = list(runs)
        got = fits(given, wanted, size)
        assert tuple(got) == want, f"{wanted} tokens, stretches {runs}, blocks of {size}: {want}, yours {got}"
        assert given == runs, f"the caller's stretches changed from {runs} to {given}"
        assert all(isinstance(part, bool) for part in got), f"return two bools, not {got}"
    wrong = ((([4, -1], 3, 2), -1), (([4], -3, 2), -3), (([4], 3, -2), -2), (([], 3, 0), 0), (([-6], 0, 2), -6))
    for bad, value in (*wrong, (([4], 0, -5), -5)):
        try:
            fits(*bad)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"free_runs, num_tokens, block_size = {bad} was accepted: raise ValueError")


hidden_fits()

# %% [markdown]
# **In your own words.** In at most 150 words: an operating system gives each process pages of memory and a page table. What are pages, the page table, a process, sharing after `fork`, and swapping in a paged KV cache? Which of the two kinds of fragmentation does paging end, which does it only bound, and by how much per sequence?

# %% [markdown] answer="fragmentation" points=4
# ### BEGIN SOLUTION
# **Model answer.** A page is a block of token slots of fixed size; the page table is the block table, from block number in the text to block number in memory; the process is the sequence, which sees one unbroken text. After a fork both tables list the same blocks, counted, and the first to write into a shared one gets its own copy. Swapping is moving blocks of a paused request to CPU memory; because K and V can be computed again, dropping them is the other way. External fragmentation ends: every free block serves every request. Internal fragmentation is bounded: only the last block of a sequence can be partly empty, so at most block_size − 1 slots each, about half a block on average. Nothing is reserved for tokens that may never come.
#
# **Rubric, 1 point each.** (a) block = page, block table = page table, sequence = process. (b) sharing with counts and copy on write, swapping or recomputing. (c) external fragmentation ends because all blocks are alike. (d) internal: at most block_size − 1 slots per sequence.
# ### END SOLUTION

# %% [markdown] task="BlockAllocator" stars=2 minutes=25
# ## 4. Who owns which block
#
# Write `class BlockAllocator(n_blocks)`. It knows numbers only, 0 to `n_blocks - 1`; what a block holds is not its business. Several sequences may own one block (they share a prefix), so each block has a count of owners.
#
# | part | does |
# |---|---|
# | `num_blocks` | how many there are (an attribute) |
# | `num_free_blocks` | how many have no owner (a property) |
# | `refcounts` | a list: owners of each block, 0 where free |
# | `allocate()` | takes a free block, now with one owner, and returns its number; raises `OutOfBlocks` when there is none |
# | `fork(b)` | one more owner for a block in use; returns `b` |
# | `free(b)` | one owner fewer; the last one makes the block free |
#
# `fork` or `free` of a block that is free, or of a number that is no block, raises `ValueError`. A call that raises changes nothing. Which free block `allocate` picks is up to you. `OutOfBlocks` is imported above.
#
# Example: of 2 blocks, `a = allocate()`, `fork(a)`, `free(a)` leaves `a` with one owner and one block free; `free(a)` again frees it; a third `free(a)` is a double free and raises.
#
# These are the names by which the course's engine talks to its block manager. In the last exercise, yours takes its place.
#
# <details><summary>Hint 1</summary>
#
# Keep a pool of the free numbers beside the list of counts, so that `allocate` need not search. They must never disagree.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Check first, change second. In Python `refcounts[-1]` is the last block, so test the range of `b` before you look it up.
#
# </details>


# %% solution="BlockAllocator"
class BlockAllocator:
    """Hands out block numbers and counts the owners of each.

    n_blocks: how many blocks there are, 1 or more, else ValueError.
    """

    def __init__(self, n_blocks):
        ### BEGIN SOLUTION
        if n_blocks < 1:
            raise ValueError(f"n_blocks must be at least 1, got {n_blocks}")
        self.num_blocks = n_blocks
        self.refcounts = [0] * n_blocks
        self._free = deque(range(n_blocks))
        ### END SOLUTION

    @property
    def num_free_blocks(self):
        """Blocks without an owner."""
        ### BEGIN SOLUTION
        return len(self._free)
        ### END SOLUTION

    def allocate(self):
        """A free block, now with one owner. Raises OutOfBlocks when there is none."""
        ### BEGIN SOLUTION
        if not self._free:
            raise OutOfBlocks(f"all {self.num_blocks} blocks are in use")
        block = self._free.popleft()
        self.refcounts[block] = 1
        return block
        ### END SOLUTION

    def fork(self, b):
        """One more owner for block b; returns b. Raises ValueError when b is free or no block."""
        ### BEGIN SOLUTION
        if not 0 <= b < self.num_blocks or self.refcounts[b] == 0:
            raise ValueError(f"block {b} is not in use and cannot be shared")
        self.refcounts[b] += 1
        return b
        ### END SOLUTION

    def free(self, b):
        """One owner fewer for block b; the last one frees it. Raises ValueError when b is free already or no block."""
        ### BEGIN SOLUTION
        if not 0 <= b < self.num_blocks or self.refcounts[b] == 0:
            raise ValueError(f"block {b} is not in use and cannot be freed")
        self.refcounts[b] -= 1
        if self.refcounts[b] == 0:
            self._free.append(b)
        ### END SOLUTION


# %% tryit="BlockAllocator"
allocator = BlockAllocator(3)
a, b = allocator.allocate(), allocator.allocate()
allocator.fork(a)
for name, block in (("a", a), ("a", a), ("b", b)):
    allocator.free(block)
    print(f"after free({name}): owners {allocator.refcounts}, {allocator.num_free_blocks} free")


# %% test="BlockAllocator" points=2
def test_BlockAllocator():
    from mini_engine.block_manager import OutOfBlocks

    allocator = BlockAllocator(3)
    assert allocator.num_blocks == 3, f"num_blocks should be 3, yours is {allocator.num_blocks}"
    assert allocator.num_free_blocks == 3, f"a new allocator has all 3 blocks free, not {allocator.num_free_blocks}"
    blocks = [allocator.allocate() for _ in range(3)]
    assert None not in blocks, "allocate returned None: return the number of the block"
    assert sorted(blocks) == [0, 1, 2], f"three allocations should give 0, 1 and 2 once each, yours gave {blocks}"
    assert list(allocator.refcounts) == [1, 1, 1], f"each has one owner: refcounts {list(allocator.refcounts)}"
    try:
        allocator.allocate()
    except OutOfBlocks:
        pass
    else:
        raise AssertionError("a fourth block of three was handed out: raise OutOfBlocks")
    a = blocks[1]
    assert allocator.fork(a) == a, "fork returns the block's number"
    allocator.free(a)
    assert allocator.num_free_blocks == 0, "two owners, one freed: the other still reads this block, it is not free yet"
    assert allocator.refcounts[a] == 1, f"two owners less one is 1, refcounts says {allocator.refcounts[a]}"
    allocator.free(a)
    assert allocator.num_free_blocks == 1, "the last owner is gone: the block is free again"
    for what in ("free", "fork"):
        try:
            getattr(allocator, what)(a)
        except ValueError as error:
            assert str(a) in str(error), f"the message should name block {a}: {error}"
        else:
            raise AssertionError(f"{what}({a}) of a free block was accepted: raise ValueError (a double free)")
    assert allocator.num_free_blocks == 1, "a rejected call changes nothing"
    assert allocator.allocate() == a, f"the only free block is {a}: a freed block must come back"


test_BlockAllocator()


# %% hidden="BlockAllocator" points=3
def hidden_BlockAllocator():
    import random

    from mini_engine.block_manager import OutOfBlocks

    rng = random.Random(904)
    for n_blocks in (1, 2, 5, 20):
        allocator, owners = BlockAllocator(n_blocks), [0] * n_blocks
        for step in range(300):
            what, block = rng.choice(("allocate", "fork", "free")), rng.randrange(n_blocks)
            case = f"{n_blocks} blocks, step {step}, {what}"
            try:
                got = allocator.allocate() if what == "allocate" else getattr(allocator, what)(block)
            except OutOfBlocks:
                assert what == "allocate" and all(owners), f"{case}: OutOfBlocks while {owners.count(0)} are free"
            except ValueError:
                assert what != "allocate" and not owners[block], f"{case}: block {block} has {owners[block]} owners"
            else:
                if what == "allocate":
                    assert got in range(n_blocks), f"{case}: {got!r} is no block"
                    assert not owners[got], f"{case}: block {got} was handed out while {owners[got]} own it"
                    owners[got] = 1
                else:
                    assert owners[block], f"{case}: block {block} is free, and the call was accepted"
                    owners[block] += 1 if what == "fork" else -1
                    assert what == "free" or got == block, f"{case}: fork({block}) returned {got!r}"
            assert list(allocator.refcounts) == owners, f"{case}: owners {owners}, refcounts {allocator.refcounts}"
            assert allocator.num_free_blocks == owners.count(0), f"{case}: {owners.count(0)} are free"
            assert allocator.num_blocks == n_blocks, f"{case}: num_blocks changed to {allocator.num_blocks}"
    allocator = BlockAllocator(3)
    for _ in range(3):
        allocator.allocate()
    for number in (-1, -3, 3, 7):
        for what in ("free", "fork"):
            try:
                getattr(allocator, what)(number)
            except ValueError as error:
                assert str(number) in str(error), f"the message should hold {number}: {error}"
                continue
            except IndexError:
                raise AssertionError(f"{what}({number}) of 3 blocks raised IndexError: raise ValueError") from None
            raise AssertionError(f"{what}({number}) of 3 blocks was accepted: raise ValueError")
    assert list(allocator.refcounts) == [1, 1, 1], f"rejected calls changed the counts: {allocator.refcounts}"
    first, second = BlockAllocator(2), BlockAllocator(2)
    first.allocate()
    same = second.num_free_blocks == 2 and list(second.refcounts) == [0, 0]
    assert same, "two allocators share their state: make the lists in __init__"
    for bad in (0, -2):
        try:
            BlockAllocator(bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should hold {bad}: {error}"
            continue
        raise AssertionError(f"BlockAllocator({bad}) was accepted: raise ValueError")


hidden_BlockAllocator()

# %% [markdown] task="PagedKVCache" stars=3 minutes=45
# ## 5. The cache behind block tables
#
# Write `class PagedKVCache(n_blocks, block_size, n_kv_heads, head_dim, dtype)`, the paged cache of one layer. The pools and the tables are made for you: `keys` and `values` are `[n_blocks, block_size, n_kv_heads, head_dim]`, `block_tables[seq]` lists the blocks of a sequence in the order of its text, `lengths[seq]` counts its tokens, and `allocator` is the engine's own `BlockManager`, which has the methods of exercise 4 (so a slip there does not cost you points here). Token $i$ of a sequence stands in slot $i \bmod \text{block\_size}$ of block `block_tables[seq][i // block_size]`.
#
# - `append(seq, k, v)` stores `n` new tokens, `k` and `v` `[n_kv_heads, n, head_dim]`. A name seen for the first time begins a new sequence. Blocks are taken when they are needed and not before. If there are not enough, raise `OutOfBlocks` with *nothing changed*: no block taken, no table longer, no new name. Wrong shapes raise `ValueError`, again with nothing changed.
# - `gather(seq)` returns `(k, v)`, each `[n_kv_heads, length, head_dim]`: all tokens in order, in one piece.
# - `fork(seq, child)` begins `child` as a copy of `seq` that shares all its blocks. No K or V moves. A `child` that exists already raises `ValueError`.
# - `free(seq)` ends a sequence and gives its blocks back.
#
# An unknown `seq` in `gather`, `fork` or `free` raises `KeyError`.
#
# After a fork, both tables end in the same, perhaps half-full block. Who appends first would overwrite what the other reads there. So before writing into a block with more than one owner: take a fresh block, copy the old contents, put the fresh one in your table and give back your share of the old. That is *copy on write*. It too needs a free block; count it.
#
# Example: blocks of 4, sequence `"a"` with 6 tokens holds two blocks, the second half full. After `fork("a", "b")` two blocks serve both. One token more for `"b"` copies the second block: three blocks in use. Then one more for `"a"`: its block is its own again, no copy.
#
# <details><summary>Hint 1</summary>
#
# First count, then take, then write. How many blocks does the new length need in all, how many are in the table, and does the first write land in a shared block?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The first write lands in a block of the table only if the old length is no multiple of the block size. For the writes, a plain loop over the new tokens is good enough: `divmod(position, block_size)` gives table index and slot.
#
# </details>


# %% solution="PagedKVCache"
class PagedKVCache:
    """Keys and values of many sequences in one pool of blocks; one layer.

    n_blocks, block_size, n_kv_heads, head_dim: sizes, 1 or more (else ValueError). dtype: of the stored numbers.
    """

    def __init__(self, n_blocks, block_size, n_kv_heads, head_dim, dtype=np.float32):
        for size in (n_blocks, block_size, n_kv_heads, head_dim):
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size}")
        self.block_size = block_size
        self.keys = np.zeros((n_blocks, block_size, n_kv_heads, head_dim), dtype)
        self.values = np.zeros_like(self.keys)
        self.allocator = BlockManager(n_blocks)
        self.block_tables = {}
        self.lengths = {}

    def append(self, seq, k, v):
        """Store new tokens of a sequence, k and v [n_kv_heads, n, head_dim]; a new name begins a sequence.

        Raises OutOfBlocks when the free blocks do not suffice and ValueError for wrong shapes; nothing is changed then.
        """
        ### BEGIN SOLUTION
        heads, head_dim = self.keys.shape[2:]
        if k.ndim != 3 or k.shape != v.shape or k.shape[0] != heads or k.shape[2] != head_dim:
            raise ValueError(f"k and v must be [{heads}, n, {head_dim}], got {k.shape} and {v.shape}")
        table, start = list(self.block_tables.get(seq, [])), self.lengths.get(seq, 0)
        end = start + k.shape[1]
        last = start // self.block_size
        must_copy = start < end and last < len(table) and self.allocator.refcounts[table[last]] > 1
        num_new = -(-end // self.block_size) - len(table)
        if num_new + must_copy > self.allocator.num_free_blocks:
            raise OutOfBlocks(f"{num_new + must_copy} blocks needed, {self.allocator.num_free_blocks} are free")
        if must_copy:
            old, table[last] = table[last], self.allocator.allocate()
            self.keys[table[last]], self.values[table[last]] = self.keys[old], self.values[old]
            self.allocator.free(old)
        table += [self.allocator.allocate() for _ in range(num_new)]
        for i in range(start, end):
            block, slot = table[i // self.block_size], i % self.block_size
            self.keys[block, slot], self.values[block, slot] = k[:, i - start], v[:, i - start]
        self.block_tables[seq], self.lengths[seq] = table, end
        ### END SOLUTION

    def gather(self, seq):
        """All keys and values of a sequence in order, each [n_kv_heads, length, head_dim]. KeyError if unknown."""
        ### BEGIN SOLUTION
        table, length = self.block_tables[seq], self.lengths[seq]
        heads, head_dim = self.keys.shape[2:]
        k, v = (pool[table].reshape(-1, heads, head_dim)[:length] for pool in (self.keys, self.values))
        return k.transpose(1, 0, 2), v.transpose(1, 0, 2)
        ### END SOLUTION

    def fork(self, seq, child):
        """Begin child with the tokens of seq, sharing its blocks. KeyError if seq is unknown, ValueError if child is not."""
        ### BEGIN SOLUTION
        if child in self.block_tables:
            raise ValueError(f"sequence {child!r} exists already")
        self.block_tables[child] = [self.allocator.fork(block) for block in self.block_tables[seq]]
        self.lengths[child] = self.lengths[seq]
        ### END SOLUTION

    def free(self, seq):
        """End a sequence and give its blocks back. KeyError if unknown."""
        ### BEGIN SOLUTION
        for block in self.block_tables.pop(seq):
            self.allocator.free(block)
        del self.lengths[seq]
        ### END SOLUTION


# %% tryit="PagedKVCache"
cache = PagedKVCache(n_blocks=8, block_size=4, n_kv_heads=1, head_dim=2)
for seq, num_new in (("a", 3), ("b", 5), ("a", 4), ("b", 1)):
    cache.append(seq, np.ones((1, num_new, 2)), np.ones((1, num_new, 2)))
    print(f"{num_new} tokens for {seq}: tables {cache.block_tables}")
cache.fork("a", "c")
print(f"fork a to c:    owners {cache.allocator.refcounts}")
cache.append("c", np.ones((1, 1, 2)), np.ones((1, 1, 2)))
print(f"1 token for c:  owners {cache.allocator.refcounts}, tables {cache.block_tables}")


# %% test="PagedKVCache" points=2
def test_PagedKVCache():
    import numpy as np

    from mini_engine.block_manager import OutOfBlocks

    rng = np.random.default_rng(95)
    cache = PagedKVCache(n_blocks=5, block_size=4, n_kv_heads=2, head_dim=3, dtype=np.float64)
    text = {seq: rng.standard_normal((2, 2, 16, 3)) for seq in "abc"}  # k and v, 2 heads, 16 tokens of 3 numbers
    held = {"a": 0, "b": 0}

    def append(seq, num_new):
        cache.append(seq, *text[seq][:, :, held[seq] : held[seq] + num_new])
        held[seq] += num_new

    for seq, num_new, blocks in (("a", 3, 1), ("b", 2, 2), ("a", 1, 2), ("a", 1, 3), ("b", 4, 4)):
        append(seq, num_new)
        used = 5 - cache.allocator.num_free_blocks
        assert used == blocks, (
            f"{held} tokens in blocks of 4 take {blocks} blocks, you use {used}"
            " (a block too early when the last one is just full, or one per append?)"
        )
        for name in held:
            if held[name]:
                got = cache.gather(name)
                assert got is not None and len(got) == 2, "gather returns two arrays, k and v"
                for letter, have, want in zip("kv", got, text[name][:, :, : held[name]], strict=True):
                    assert have.shape == want.shape, f"{letter} of {held[name]} tokens: {want.shape}, not {have.shape}"
                    message = f"{letter} of sequence {name} after {held}: not what was appended"
                    np.testing.assert_array_equal(have, want, err_msg=message)
    try:
        append("a", 8)
    except OutOfBlocks:
        pass
    else:
        raise AssertionError("8 more tokens need 2 blocks and 1 is free: raise OutOfBlocks")
    assert cache.allocator.num_free_blocks == 1, "a rejected append kept a block: count what you need before you take"
    cache.fork("b", "c")
    assert cache.allocator.num_free_blocks == 1, "a fork shares the blocks, it takes none"
    cache.append("c", *text["c"][:, :, :1])
    message = "after fork(b, c), appending to c changed what b reads: copy a shared block before writing"
    np.testing.assert_array_equal(cache.gather("b")[0], text["b"][0][:, :6], err_msg=message)
    want = np.concatenate([text["b"][0][:, :6], text["c"][0][:, :1]], axis=1)
    message = "c is b's 6 tokens and its own one: did the copy keep the old slots?"
    np.testing.assert_array_equal(cache.gather("c")[0], want, err_msg=message)
    for seq in "abc":
        cache.free(seq)
    assert cache.allocator.num_free_blocks == 5, f"all ended, but only {cache.allocator.num_free_blocks} of 5 are free"


test_PagedKVCache()


# %% hidden="PagedKVCache" points=4
def hidden_PagedKVCache():
    import numpy as np

    from mini_engine.block_manager import OutOfBlocks

    rng = np.random.default_rng(905)

    def blocks_of(length, size):
        return len(range(0, length, size))

    for trial in range(40):
        n_blocks, size, heads, dim = (int(n) for n in rng.integers((4, 1, 1, 1), (14, 6, 4, 5)))
        dtype = (np.float64, np.float32)[trial % 2]
        cache = (
            PagedKVCache(n_blocks, size, heads, dim, dtype)
            if trial % 2 == 0
            else PagedKVCache(n_blocks, size, heads, dim)
        )
        plain, log = {}, []  # plain: what contiguous storage holds, k and v [2, heads, length, dim]
        for _ in range(25):
            what = str(rng.choice(["append", "append", "append", "fork", "free"]))
            seq, child = int(rng.integers(4)), int(rng.integers(4))
            log.append(f"{what}({seq})")
            case = f"{n_blocks} blocks of {size}: {', '.join(log)}"
            before = cache.allocator.num_free_blocks, {s: list(t) for s, t in cache.block_tables.items()}
            if what == "append":
                num_new = int(rng.integers(0, 2 * size + 2))
                log[-1] = f"append({seq}, {num_new} tokens)"
                new = rng.standard_normal((2, heads, num_new, dim)).astype(dtype)
                length = plain[seq].shape[2] if seq in plain else 0
                needed = blocks_of(length + num_new, size) - blocks_of(length, size)
                if num_new and length % size and cache.allocator.refcounts[cache.block_tables[seq][-1]] > 1:
                    needed += 1  # the copy
                try:
                    cache.append(seq, *new.copy())
                except OutOfBlocks:
                    assert needed > before[0], f"{case}: OutOfBlocks, but {needed} of {before[0]} free blocks suffice"
                    after = cache.allocator.num_free_blocks, {s: list(t) for s, t in cache.block_tables.items()}
                    assert after == before, f"{case}: the rejected append changed tables or kept blocks"
                else:
                    assert needed <= before[0], f"{case}: {needed} blocks needed, {before[0]} free, and no OutOfBlocks"
                    used = before[0] - cache.allocator.num_free_blocks
                    assert used == needed, f"{case}: took {used} blocks, {needed} are needed"
                    plain[seq] = np.concatenate([plain[seq], new], 2) if seq in plain else new
            elif seq not in plain:
                try:
                    cache.fork(seq, "new") if what == "fork" else cache.free(seq)
                except KeyError:
                    assert "new" not in cache.block_tables, f"{case}: a rejected fork left its child behind"
                    continue
                raise AssertionError(f"{case}: unknown sequence {seq} was accepted: raise KeyError")
            elif what == "free":
                cache.free(seq)
                del plain[seq]
            elif child in plain:
                try:
                    cache.fork(seq, child)
                except ValueError:
                    after = cache.allocator.num_free_blocks, {s: list(t) for s, t in cache.block_tables.items()}
                    assert after == before, f"{case}: the rejected fork changed the tables"
                else:
                    raise AssertionError(f"{case}: fork over the living sequence {child} was accepted: ValueError")
            else:
                cache.fork(seq, child)
                plain[child] = plain[seq].copy()
                assert cache.allocator.num_free_blocks == before[0], f"{case}: fork took or freed blocks"
            owned = [block for table in cache.block_tables.values() for block in table]
            counts = [owned.count(block) for block in range(n_blocks)]
            assert list(cache.allocator.refcounts) == counts, (
                f"{case}: owners by the tables {counts}, by the allocator {cache.allocator.refcounts}"
            )
            assert set(cache.block_tables) == set(plain), f"{case}: tables of {set(cache.block_tables)}"
            for name, want in plain.items():
                assert cache.lengths[name] == want.shape[2], f"{case}: length of {name} is {cache.lengths[name]}"
                for letter, have, right in zip("kv", cache.gather(name), want, strict=True):
                    assert have.dtype == dtype, (
                        f"{case}: {letter} came back as {have.dtype}, stored as {dtype.__name__}"
                    )
                    message = f"{case}: {letter} of sequence {name} differs from contiguous storage"
                    np.testing.assert_array_equal(have, right, err_msg=message)
    first, second = PagedKVCache(3, 2, 1, 1), PagedKVCache(3, 2, 1, 1)
    for cache, number in ((first, 1.0), (second, 2.0)):
        cache.append("a", *np.full((2, 1, 2, 1), number))
    for cache, number in ((first, 1.0), (second, 2.0)):
        assert all((part == number).all() for part in cache.gather("a")), "two caches share their keys or values"
    for i in range(4):
        sizes = [3, 2, 2, 3]
        sizes[i] = 0
        try:
            PagedKVCache(*sizes)
        except ValueError as error:
            assert "0" in str(error), f"the message should hold the bad value 0: {error}"
            continue
        raise AssertionError(f"PagedKVCache{tuple(sizes)} was accepted: raise ValueError")
    cache = PagedKVCache(3, 2, 2, 3)
    one = np.ones((2, 1, 3))
    for k, v in (
        (one[:, 0], one[:, 0]),
        (np.ones((2, 1, 3, 1)), np.ones((2, 1, 3, 1))),
        (one[:1], one[:1]),
        (one, one[:, :0]),
        (one[..., :2], one[..., :2]),
        (one[0], one[0]),
        (one[..., :1], one),
        (one, one[..., :1]),
        (one, one[:1]),
    ):
        try:
            cache.append("a", k, v)
        except ValueError:
            assert not cache.block_tables and cache.allocator.num_free_blocks == 3, "a rejected append changes nothing"
            continue
        raise AssertionError(f"k {k.shape} and v {v.shape} in a cache of 2 heads of 3 numbers: raise ValueError")
    try:
        cache.append("a", np.ones((2, 7, 3)), np.ones((2, 7, 3)))
    except OutOfBlocks:
        assert not cache.block_tables and not cache.lengths, (
            "an append without room leaves no name in tables or lengths"
        )
    else:
        raise AssertionError("7 tokens in 3 blocks of 2 were accepted: raise OutOfBlocks")
    try:
        cache.gather("a")
    except KeyError:
        return
    raise AssertionError("gather of an unknown sequence: raise KeyError")


hidden_PagedKVCache()

# %% [markdown] task="paged_attention" stars=3 minutes=30
# ## 6. Attention through the table
#
# Write `paged_attention(q, cache, seq)`: attention of the newest tokens of a sequence over all its tokens, read through its block table. `cache` has the attributes `keys`, `values`, `block_tables`, `lengths` and `block_size` of exercise 5, and *no* `gather`. `q` is `[H_q, n, D]`, the queries of the last `n` of the sequence's tokens, whose K and V are in the cache already. Return `[H_q, n, D]`. A `q` of shape `[H_q, D]` is one token without the middle axis; return `[H_q, D]` then.
#
# With $S$ tokens in the cache, query $i$ (of $n$) stands at position $S - n + i$ and sees the positions up to and including its own. The scores are $q \cdot k / \sqrt{D}$. Query heads share KV heads as in chapter 5: query head $h$ reads KV head $\lfloor h \cdot H_{kv} / H_q \rfloor$.
#
# Blocks are used again, so the slots behind the last token hold leftovers: of an earlier sequence, or `nan`. They must not reach the output.
#
# Example: table `[5, 2]`, blocks of 4, length 6: the keys are `keys[5, 0:4]` and `keys[2, 0:2]`, in this order.
#
# The message of a `ValueError` holds the `n` or the $H_q$ that does not fit. The formula is that of Kwon et al. 2023, section 4.1, where a GPU kernel walks the table block by block; do that with a running sum, or collect the keys first, as you like.
#
# <details><summary>Hint 1</summary>
#
# Indexing the pool with the whole table, `keys[table]`, gives `[blocks, block_size, H_kv, D]`. Two axes of that are one: the tokens.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Cut the leftovers off *before* the product: a score of $-\infty$ gives weight 0, but $0 \cdot \text{nan}$ is `nan`.
#
# </details>


# %% solution="paged_attention"
def paged_attention(q, cache, seq):
    """Attention of a sequence's newest tokens over all its tokens, read through the block table.

    q: [H_q, n, D], queries of the last n tokens, or [H_q, D] for one. cache: see above. Returns the shape of q. Raises
    ValueError when n exceeds the sequence's length or H_kv does not divide H_q.
    """
    ### BEGIN SOLUTION
    if q.ndim == 2:
        return paged_attention(q[:, None], cache, seq)[:, 0]
    table, length = cache.block_tables[seq], cache.lengths[seq]
    (num_heads, num_new, head_dim), num_kv_heads = q.shape, cache.keys.shape[2]
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    if num_new > length:
        raise ValueError(f"{num_new} queries for a sequence of {length} tokens")
    k, v = (pool[table].reshape(-1, num_kv_heads, head_dim)[:length] for pool in (cache.keys, cache.values))
    k, v = (np.repeat(x.transpose(1, 0, 2), num_heads // num_kv_heads, axis=0) for x in (k, v))
    scores = q @ k.transpose(0, 2, 1) / np.sqrt(head_dim)
    positions = np.arange(length - num_new, length)
    scores = np.where(np.arange(length) <= positions[:, None], scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v
    ### END SOLUTION


# %% tryit="paged_attention"
rng = np.random.default_rng(0)
pages = Pages(*rng.standard_normal((2, 8, 4, 1, 2)), {"a": [5, 2]}, {"a": 6}, 4)
q = rng.standard_normal((2, 1, 2))
before = paged_attention(q, pages, "a")
pages.keys[2, 2:] = 99  # two slots behind the sequence's last token
print("unchanged by leftovers:", np.array_equal(before, paged_attention(q, pages, "a")))


# %% test="paged_attention" points=2
def test_paged_attention():
    import numpy as np

    # Weights by hand: keys log 1, log 2, log 4 and a query of sqrt(1): weights 1, 2, 4 over values 7, 14, 21.
    keys = np.full((4, 2, 1, 1), np.nan)
    values = np.full((4, 2, 1, 1), np.nan)
    keys[3, 0], keys[3, 1], keys[1, 0] = np.log(1), np.log(2), np.log(4)
    values[3, 0], values[3, 1], values[1, 0] = 7, 14, 21
    pages = Pages(keys, values, {"a": [3, 1]}, {"a": 3}, 2)
    got = paged_attention(np.ones((1, 1, 1)), pages, "a")
    assert got is not None, "paged_attention returned None: is there a return statement?"
    assert got.shape == (1, 1, 1), f"one head, one query, one number: (1, 1, 1), yours is {got.shape}"
    assert not np.isnan(got).any(), "nan: a slot behind the last token was read; cut before you multiply"
    assert abs(got[0, 0, 0] - 17) < 1e-9, f"(1·7 + 2·14 + 4·21) / 7 = 17, yours is {got[0, 0, 0]}"
    got = paged_attention(np.ones((1, 3, 1)), pages, "a")[0, :, 0]
    want = [7, 35 / 3, 17]
    message = "three queries at positions 0, 1, 2 see one, two and three tokens"
    np.testing.assert_allclose(got, want, atol=1e-9, err_msg=message)
    got = paged_attention(np.ones((1, 2, 1)), pages, "a")[0, :, 0]
    message = "two queries are the LAST two tokens, positions 1 and 2 of 3"
    np.testing.assert_allclose(got, want[1:], atol=1e-9, err_msg=message)
    try:
        paged_attention(np.ones((1, 4, 1)), pages, "a")
    except ValueError as error:
        assert "4" in str(error), f"the message should say that there are 4 queries: {error}"
    else:
        raise AssertionError("4 queries for a sequence of 3 tokens were accepted: raise ValueError")


test_paged_attention()


# %% hidden="paged_attention" points=3
def hidden_paged_attention():
    import math

    import numpy as np

    rng = np.random.default_rng(906)

    def oracle(q, keys, values, table, length, size):
        """Scalar loops over heads, queries and tokens."""
        out = np.zeros(q.shape)
        heads, num_new, dim = q.shape
        for h in range(heads):
            g = h * keys.shape[2] // heads
            for i in range(num_new):
                weights = []
                for t in range(length - num_new + i + 1):
                    key = keys[table[t // size], t % size, g]
                    weights.append(math.exp(float(sum(a * b for a, b in zip(q[h, i], key, strict=True))) / dim**0.5))
                for t, weight in enumerate(weights):
                    out[h, i] += weight / sum(weights) * values[table[t // size], t % size, g]
        return out

    for trial in range(25):
        size, kv_heads, group, dim = (int(n) for n in rng.integers((1, 1, 1, 1), (6, 4, 4, 6)))
        length = int(rng.integers(1, 4 * size + 1))
        num_new = (1, length, int(rng.integers(1, length + 1)))[trial % 3]
        n_blocks = -(-length // size) + 3
        order = [int(b) for b in rng.permutation(n_blocks)]
        # A sequence may hold a block more than it fills; behind its last token stand leftovers.
        table = order[: -(-length // size) + trial % 2]
        keys = np.full((n_blocks, size, kv_heads, dim), np.nan)
        values = np.full((n_blocks, size, kv_heads, dim), np.nan)
        for t in range(length):
            keys[table[t // size], t % size] = rng.standard_normal((kv_heads, dim))
            values[table[t // size], t % size] = rng.standard_normal((kv_heads, dim))
        pages = Pages(keys, values, {"x": order[::-1], 7: table}, {"x": n_blocks, 7: length}, size)
        q = rng.standard_normal((kv_heads * group, num_new, dim))
        want = oracle(q, keys, values, table, length, size)
        keep = q.copy(), keys.copy()
        got = paged_attention(q, pages, 7)
        case = (
            f"{kv_heads * group} query heads, {kv_heads} KV heads, {length} tokens, blocks of {size}, {num_new} queries"
        )
        assert got.shape == want.shape, f"{case}: shape {want.shape} expected, got {got.shape}"
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-10, err_msg=case)
        assert np.array_equal(q, keep[0]) and np.array_equal(keys, keep[1], equal_nan=True), f"{case}: inputs changed"
        one = paged_attention(q[:, -1], pages, 7)
        assert one.shape == q[:, -1].shape, f"{case}: q without the middle axis gives {q[:, -1].shape}, not {one.shape}"
        np.testing.assert_allclose(one, want[:, -1], atol=1e-10, err_msg=f"{case}, q [H_q, D]")
    pages = Pages(np.full((2, 2, 2, 1), 900.0), np.ones((2, 2, 2, 1)), {"a": [1, 0]}, {"a": 4}, 2)
    got = paged_attention(np.full((2, 1, 1), 900.0), pages, "a")
    np.testing.assert_allclose(got, 1, err_msg="scores of 810000 overflow: subtract the largest before exp")
    got = paged_attention(np.array([0.0, 900.0])[:, None, None], pages, "a")
    message = "scores 0 in one head, 810000 in the other: subtract each row's own largest"
    np.testing.assert_allclose(got, 1, err_msg=message)
    pages.keys[0, 1] = -900.0
    got = paged_attention(np.full((2, 2, 1), -900.0), pages, "a")
    message = "the last token's score is far above the others: mask before you look for the largest"
    np.testing.assert_allclose(got, 1, err_msg=message)
    pages.keys[0, 1] = 900.0
    for heads in (1, 3):
        try:
            paged_attention(np.ones((heads, 1, 1)), pages, "a")
        except ValueError as error:
            assert str(heads) in str(error), f"the message should hold the {heads} query heads: {error}"
            continue
        raise AssertionError(f"{heads} query heads cannot share 2 KV heads: raise ValueError")


hidden_paged_attention()

# %% [markdown] task="prefix_hashes" stars=2 minutes=20
# ## 7. A name for a prefix
#
# Two requests with the same system prompt compute the same K and V for it. To find them again, each *full* block gets a name which depends on its tokens **and on all tokens before it**. Write `prefix_hashes(token_ids, block_size)`: a list with one hash per full block, each a `str`.
#
# The K and V of a block depend on its whole past. The same 16 tokens after a different beginning have other keys and values (and other positions), so their name must differ. Chain the names: hash the parent's name together with the block's own tokens.
#
# Example: with blocks of 2, `[1, 2, 3, 4, 5]` has two full blocks and two names. `[9, 9, 3, 4]` shares no name with it, although `3, 4` stands in both. `[1, 2, 7, 8]` shares the first name only.
#
# Use `hashlib` (imported): Python's `hash` gives $-1$ and $-2$ the same value, and is too short to rely on when a clash means reading another user's cache. Keep token borders apart: `[1, 23]` and `[12, 3]` are different texts.
#
# <details><summary>Hint 1</summary>
#
# Start with an empty parent. After each block, the name just made is the parent of the next.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `hashlib.sha256(text.encode()).hexdigest()` is a string. For the text, `repr` of a pair (parent, list of plain ints) keeps all borders.
#
# </details>


# %% solution="prefix_hashes"
def prefix_hashes(token_ids, block_size):
    """One name per full block, which covers the block and everything before it.

    token_ids: ints. block_size: 1 or more, else ValueError. Returns a list of len(token_ids) // block_size strs.
    """
    ### BEGIN SOLUTION
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    names, parent = [], ""
    for end in range(block_size, len(token_ids) + 1, block_size):
        tokens = [int(token) for token in token_ids[end - block_size : end]]
        parent = hashlib.sha256(repr((parent, tokens)).encode()).hexdigest()
        names.append(parent)
    return names
    ### END SOLUTION


# %% tryit="prefix_hashes"
for ids in ([1, 2, 3, 4, 5], [1, 2, 7, 8], [9, 9, 3, 4]):
    print(ids, [name[:8] for name in prefix_hashes(ids, 2)])


# %% test="prefix_hashes" points=1
def test_prefix_hashes():
    got = prefix_hashes([1, 2, 3, 4, 5], 2)
    assert got is not None, "prefix_hashes returned None: is there a return statement?"
    assert len(got) == 2, f"5 tokens in blocks of 2: two full blocks, the half one has no name; yours has {len(got)}"
    assert all(isinstance(name, str) for name in got), "each name should be a str"
    assert prefix_hashes([1, 2, 3, 4], 2) == got, "the same tokens must get the same names, every time"
    other = prefix_hashes([1, 2, 7, 8], 2)
    assert other[0] == got[0], "the first block is the same and nothing stands before it: the same name"
    assert other[1] != got[1], "3, 4 and 7, 8 are different blocks with the same name"
    after = prefix_hashes([9, 9, 3, 4], 2)
    assert after[1] != got[1], "3, 4 after another beginning has other K and V: hash the parent's name too"
    assert prefix_hashes([1, 23], 2) != prefix_hashes([12, 3], 2), "[1, 23] and [12, 3] have the same name"
    try:
        prefix_hashes([1, 2], 0)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("block_size 0 was accepted: raise ValueError")


test_prefix_hashes()


# %% hidden="prefix_hashes" points=2
def hidden_prefix_hashes():
    import numpy as np

    rng = np.random.default_rng(907)
    texts = [[int(t) for t in rng.integers(-2, 3, int(rng.integers(0, 13)))] for _ in range(250)]
    texts += [[0], [0, 0], [0, 0, 0], [0, 0, 0, 0], [-1, 0], [-2, 0], [2**40, 1], [2**40 + 1, 1], [1, 2**40]]
    texts += [[256, 0], [0, 256], [0, 1], [1, 0], [65536, 1], [0, 1, 1], [257, 1], [1, 1, 2], [11, 2, 1], [1, 12, 1]]
    for size in (1, 2, 3, 4):
        owner = {}
        for text in texts:
            given = list(text)
            names = prefix_hashes(given, size)
            assert given == text, f"the caller's ids changed from {text} to {given}"
            assert len(names) == len(text) // size, f"{len(text)} tokens in blocks of {size}: {len(names)} names"
            for i, name in enumerate(names):
                prefix = tuple(text[: (i + 1) * size])
                known = owner.setdefault(name, prefix)
                assert known == prefix, f"blocks of {size}: {list(known)} and {list(prefix)} got the same name"
        assert len(set(owner.values())) == len(owner), f"blocks of {size}: one prefix got two names"
    for kind in (list, np.array):
        long = kind([5] * 3000)
        before = prefix_hashes(long, 3000)
        long[1500] = 6
        assert prefix_hashes(long, 3000) != before, "blocks of 3000: a token in the middle changed and the name did not"
    text = [int(t) for t in rng.integers(0, 50000, 64)]
    assert prefix_hashes(np.array(text), 16) == prefix_hashes(text, 16), "an array and a list of the same ids"
    changed = prefix_hashes([text[0] + 1] + text[1:], 16)
    assert not set(changed) & set(prefix_hashes(text, 16)), "the first token changed: every name after it must change"
    assert prefix_hashes(text[:33], 16) == prefix_hashes(text, 16)[:2], "names may not depend on what comes later"
    shortest = min(map(len, prefix_hashes([1, 2, 3, 4], 1)))
    assert shortest >= 16, f"names of {shortest} letters clash too easily: keep the whole digest"
    try:
        prefix_hashes([], -3)
    except ValueError as error:
        assert "-3" in str(error), f"the message should hold the bad value -3: {error}"
        return
    raise AssertionError("block_size -3 was accepted: raise ValueError")


hidden_prefix_hashes()

# %% [markdown]
# The next exercise builds on the engine's parts, so that a slip above does not cost you points below: `block_hashes` is the engine's `prefix_hashes`, and the allocator is its `BlockManager`.

# %% setup=True
from mini_engine.prefix_cache import block_hashes

# %% [markdown] task="PrefixCache" stars=4 minutes=50
# ## 8. Blocks that outlive their request
#
# Write `class PrefixCache(allocator, block_size)`: a table from names of full blocks to block numbers. The cache is itself one *owner* of each block it lists, so a block stays when the request that computed it has ended.
#
# - `insert(token_ids, blocks)`: a sequence with these tokens, all computed, holds them in `blocks` (its block table). List its full blocks, `fork`ing each that is new here. A name that is known keeps the block it has. The partial block at the end is never listed: its owner will write into it.
# - `match(token_ids)` returns `(blocks, num_cached)`: the longest run of listed blocks from the start of the text. The caller becomes one more owner of each. At least one token must be left to compute, since the first answer comes from the logits of the *last* prompt token: if the blocks cover the whole text, `num_cached` is `len(token_ids) - 1` (the last block is still returned).
# - `make_writable(block)`: for an owner who is about to write into `block`. With a single owner it returns `block`. With more it allocates a fresh block, gives back one share of the old, and returns the fresh one; the caller copies the contents. No free block: `OutOfBlocks`, nothing changed.
# - `evict(n)`: give up to `n` blocks back which only the cache owns, least recently used first; return how many. Used means: matched or inserted. Within one text the *end* goes first, since a chain without its beginning is never found again.
#
# Example: blocks of 2. After `insert([1, 2, 3, 4, 5], [7, 4, 6])` the blocks 7 and 4 are listed, 6 is not. `match([1, 2, 3, 9])` gives `([7], 2)`, `match([1, 2, 3, 4])` gives `([7, 4], 3)`, `match([1, 2])` gives `([7], 1)`, `match([3, 4])` gives `([], 0)`.
#
# Use `block_hashes(token_ids, block_size)` for the names. This is vLLM's automatic prefix caching; SGLang keeps a tree of tokens for the same purpose (Zheng et al. 2023, 2312.07104).
#
# <details><summary>Hint 1</summary>
#
# An `OrderedDict` from name to block is both table and LRU order: `move_to_end(name)` marks a use, and iterating goes from the oldest.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Mark the uses of one text from its last block to its first. Then the first is the most recent, and eviction takes the end of the chain before its beginning. `allocator.refcounts[block] == 1` means that only the cache is left.
#
# </details>


# %% solution="PrefixCache"
class PrefixCache:
    """Finds full blocks again by everything up to their end, and keeps them until the room is needed.

    allocator: allocate, fork, free, refcounts as in exercise 4. block_size: token slots per block.
    """

    def __init__(self, allocator, block_size):
        ### BEGIN SOLUTION
        self.allocator, self.block_size = allocator, block_size
        self.table = OrderedDict()
        ### END SOLUTION

    def insert(self, token_ids, blocks):
        """List the full blocks of a computed sequence; the cache becomes an owner of those that are new here."""
        ### BEGIN SOLUTION
        names = block_hashes(token_ids, self.block_size)
        for name, block in reversed(list(zip(names, blocks, strict=False))):
            if name not in self.table:
                self.table[name] = self.allocator.fork(block)
            self.table.move_to_end(name)
        ### END SOLUTION

    def match(self, token_ids):
        """The longest listed prefix: (blocks, num_cached). The caller owns the blocks too; one token is always left."""
        ### BEGIN SOLUTION
        hits = []
        for name in block_hashes(token_ids, self.block_size):
            if name not in self.table:
                break
            hits.append(name)
        for name in reversed(hits):
            self.table.move_to_end(name)
        blocks = [self.allocator.fork(self.table[name]) for name in hits]
        return blocks, max(0, min(len(blocks) * self.block_size, len(token_ids) - 1))
        ### END SOLUTION

    def make_writable(self, block):
        """The block itself if it has one owner, else a fresh one in exchange for one share of it (copy on write)."""
        ### BEGIN SOLUTION
        if self.allocator.refcounts[block] == 1:
            return block
        fresh = self.allocator.allocate()
        self.allocator.free(block)
        return fresh
        ### END SOLUTION

    def evict(self, n):
        """Free up to n blocks that only the cache owns, least recently used first; returns how many."""
        ### BEGIN SOLUTION
        idle = [name for name, block in self.table.items() if self.allocator.refcounts[block] == 1]
        for name in idle[:n]:
            self.allocator.free(self.table.pop(name))
        return len(idle[:n])
        ### END SOLUTION


# %% tryit="PrefixCache"
manager = BlockManager(8)
prefix_cache = PrefixCache(manager, block_size=2)
table = [manager.allocate() for _ in range(3)]
prefix_cache.insert([1, 2, 3, 4, 5], table)
for block in table:
    manager.free(block)  # the request has ended
print(f"one request of 5 tokens has ended: {8 - manager.num_free_blocks} blocks are kept, owners {manager.refcounts}")
for ids in ([1, 2, 3, 9], [1, 2, 3, 4], [3, 4]):
    blocks, num_cached = prefix_cache.match(ids)
    print(f"match {ids}: blocks {blocks}, {num_cached} tokens need no computing")
    for block in blocks:
        manager.free(block)
print("evicted:", prefix_cache.evict(8), "free:", manager.num_free_blocks)


# %% test="PrefixCache" points=2
def test_PrefixCache():
    from mini_engine.block_manager import BlockManager

    manager = BlockManager(8)
    cache = PrefixCache(manager, 2)
    table = [manager.allocate() for _ in range(3)]
    cache.insert([1, 2, 3, 4, 5], table)
    assert manager.refcounts[table[2]] == 1, (
        "the third block is half full and its owner goes on writing: do not list it"
    )
    for block in table:
        manager.free(block)
    assert manager.num_free_blocks == 6, (
        f"the request ended: its 2 full blocks stay, owned by the cache; {8 - manager.num_free_blocks} are in use"
    )
    cases = (
        ([1, 2, 3, 9], 1, 2, "only the first block is the same"),
        ([9, 9, 3, 4, 5], 0, 0, "3, 4 after another beginning is another block: chain the names"),
        ([1, 2, 3, 4, 5, 6], 2, 4, "both full blocks, the rest is to be computed"),
        ([1, 2, 3, 4], 2, 3, "everything is there, but the last token must be computed again: its logits are needed"),
        ([1], 0, 0, "less than one block"),
    )
    for ids, num_blocks, want, why in cases:
        got = cache.match(ids)
        assert got is not None and len(got) == 2, "match returns (blocks, num_cached)"
        blocks, num_cached = got
        assert list(blocks) == table[:num_blocks], f"match({ids}): blocks {table[:num_blocks]}, yours {blocks}: {why}"
        assert num_cached == want, f"match({ids}): {want} tokens cached, you say {num_cached}: {why}"
        for block in blocks:
            assert manager.refcounts[block] == 2, f"match({ids}): the caller is one more owner of block {block}"
            manager.free(block)
    blocks, _ = cache.match([1, 2, 3, 4])
    fresh = cache.make_writable(blocks[1])
    assert fresh not in table[:2], (
        "block in the cache was given out for writing: the next hit would read the new tokens"
    )
    assert manager.refcounts[blocks[1]] == 1, "the share of the old block goes back: only the cache owns it now"
    assert cache.make_writable(fresh) == fresh, "a block with one owner may be written as it is"
    manager.free(fresh)
    got = cache.evict(5)
    assert manager.refcounts[blocks[0]] > 0, "evict freed a block that a request still uses"
    assert got == 1, f"one block is owned by the cache alone, evict returned {got}"
    assert cache.match([1, 2, 3, 4])[0] == blocks[:1], "the evicted block must not be found again"


test_PrefixCache()


# %% hidden="PrefixCache" points=4
def hidden_PrefixCache():
    import random

    from mini_engine.block_manager import BlockManager, OutOfBlocks

    rng = random.Random(908)
    for trial in range(30):
        size, n_blocks = rng.randrange(1, 4), rng.randrange(6, 20)
        manager = BlockManager(n_blocks)
        cache = PrefixCache(manager, size)
        listed, uses, clock, held = {}, {}, 0, []  # listed: prefix -> block; held: tables of living requests
        for step in range(40):
            case = f"trial {trial}, blocks of {size}, step {step}"
            ids = [rng.randrange(2) for _ in range(rng.randrange(0, 4 * size + 2))]
            prefixes = [tuple(ids[:end]) for end in range(size, len(ids) + 1, size)]
            known = 0
            while known < len(prefixes) and prefixes[known] in listed:
                known += 1
            action = rng.random()
            if action < 0.6:
                blocks, num_cached = cache.match(ids)
                want = [listed[p] for p in prefixes[:known]]
                assert list(blocks) == want, f"{case}: match({ids}) should give {want}, gave {blocks}"
                left = max(min(known * size, len(ids) - 1), 0)
                assert num_cached == left, f"{case}: match({ids}): {left} cached tokens, you say {num_cached}"
                table = list(blocks)
                for i, prefix in enumerate(reversed(prefixes[:known])):
                    uses[prefix] = (clock, i)
                if known and known * size == len(ids):
                    shared = manager.refcounts[table[-1]] > 1
                    try:
                        fresh = cache.make_writable(table[-1])
                    except OutOfBlocks:
                        assert not manager.num_free_blocks, f"{case}: make_writable: OutOfBlocks, but blocks are free"
                    else:
                        assert (fresh != table[-1]) == shared, f"{case}: make_writable of a block, shared: {shared}"
                        table[-1] = fresh
                missing = -(-len(ids) // size) - len(table)
                if missing <= manager.num_free_blocks and rng.random() < 0.6:
                    table += [manager.allocate() for _ in range(missing)]
                    cache.insert(ids, table)
                    clock += 1
                    for i, (prefix, block) in enumerate(reversed(list(zip(prefixes, table, strict=False)))):
                        listed.setdefault(prefix, block)
                        uses[prefix] = (clock, i)
                held.append(table)
            elif action < 0.85 and held:
                for block in held.pop(rng.randrange(len(held))):
                    manager.free(block)
            else:
                n = rng.randrange(0, 4)
                owned = {block for table in held for block in table}
                idle = sorted((p for p in listed if listed[p] not in owned), key=uses.get)[:n]
                got = cache.evict(n)
                assert got == len(idle), f"{case}: evict({n}) can free {len(idle)} blocks, returned {got}"
                for prefix in idle:
                    assert manager.refcounts[listed[prefix]] == 0, (
                        f"{case}: evict({n}) should free the least recently used, here the block of {prefix}"
                    )
                    del listed[prefix], uses[prefix]
            clock += 1
            counts = [0] * n_blocks
            for block in [*listed.values(), *(b for table in held for b in table)]:
                counts[block] += 1
            assert manager.refcounts == counts, f"{case}: owners should be {counts}, they are {manager.refcounts}"
        for table in held:
            for block in table:
                manager.free(block)
        assert cache.evict(n_blocks) == len(listed), f"trial {trial}: at the end {len(listed)} blocks can be evicted"
        assert manager.num_free_blocks == n_blocks, f"trial {trial}: blocks leaked, {manager.num_free_blocks} are free"
    manager = BlockManager(4)
    cache = PrefixCache(manager, 2)
    table = [manager.allocate() for _ in range(3)]
    cache.insert([1, 2, 3, 4, 5, 6], table)
    for block in table[:2]:  # a request that reads through a window lets its first blocks go
        manager.free(block)
    for block in cache.match([1, 2, 3, 4])[0]:
        manager.free(block)
    cache.evict(1)
    assert manager.refcounts[table[1]] == 0, (
        f"after a match of blocks {table[:2]} the second goes first: the end of a text before its beginning"
    )
    got = cache.match([1, 2, 3, 4, 5, 6])[0]
    assert got == table[:1], f"the block in the middle is gone: a prefix ends there, {table[:1]}, you returned {got}"
    manager = BlockManager(2)
    cache = PrefixCache(manager, 1)
    given = [40_000, 40_001]
    table = [manager.allocate(), manager.allocate()]
    cache.insert(given, table)
    assert given == [40_000, 40_001], f"insert changed the caller's ids to {given}"
    for other in ([40_000 - 65_536], [40_000 - 65_536, 40_001 - 65_536]):
        assert cache.match(other)[0] == [], f"ids {other} are not {given}"
    assert cache.match(given)[0] == table, f"ids {given} were inserted and are not found"
    manager = BlockManager(2)
    cache = PrefixCache(manager, 1)
    cache.insert([4, 5], [manager.allocate(), manager.allocate()])
    try:
        cache.make_writable(1)
    except OutOfBlocks:
        assert manager.refcounts == [2, 2], f"a rejected make_writable changes nothing: owners {manager.refcounts}"
        return
    raise AssertionError("make_writable of a shared block with no block free: raise OutOfBlocks")


hidden_PrefixCache()

# %% [markdown] task="ttft_with_prefix" stars=1 minutes=10
# ## 9. What a cached prefix buys
#
# The time to the first token (TTFT) of an idle server is about the number of prompt tokens to compute, divided by the prefill speed. Write `ttft_with_prefix(prompt_len, shared_len, block_size, prefill_tokens_per_s)`: the TTFT in seconds of a prompt whose first `shared_len` tokens were served before, with a warm prefix cache. Two rules of exercise 8 count: only full blocks are found, and at least one token is computed.
#
# Example: a 1000-token system prompt and a 50-token question in blocks of 16 at 2000 tokens/s. $62$ full blocks are found, 992 tokens; 58 are computed: 0.029 s, instead of $1050/2000 = 0.525$ s.
#
# <details><summary>Hint 1</summary>
#
# First the tokens found: round down to full blocks, and never the whole prompt.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The smaller of two numbers: the shared tokens in full blocks, and the prompt less one.
#
# </details>


# %% solution="ttft_with_prefix"
def ttft_with_prefix(prompt_len, shared_len, block_size, prefill_tokens_per_s):
    """Seconds to the first token when the first shared_len tokens of the prompt are in the prefix cache.

    prompt_len, shared_len: tokens. block_size: token slots per block. prefill_tokens_per_s: speed of the prompt pass.
    Returns a float. Raises ValueError for sizes that make no sense.
    """
    ### BEGIN SOLUTION
    if prompt_len < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt_len}")
    if not 0 <= shared_len <= prompt_len:
        raise ValueError(f"shared_len must be from 0 to {prompt_len}, got {shared_len}")
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    if prefill_tokens_per_s <= 0:
        raise ValueError(f"prefill_tokens_per_s must be positive, got {prefill_tokens_per_s}")
    found = min(shared_len // block_size * block_size, prompt_len - 1)
    return (prompt_len - found) / prefill_tokens_per_s
    ### END SOLUTION


# %% tryit="ttft_with_prefix"
for shared in (0, 500, 1000, 1050):
    print(
        f"{shared:4} of 1050 tokens shared: {1000 * ttft_with_prefix(1050, shared, 16, 2000):6.1f} ms to the first token"
    )


# %% test="ttft_with_prefix" points=1
def test_ttft_with_prefix():
    got = ttft_with_prefix(1050, 1000, 16, 2000)
    assert got is not None, "ttft_with_prefix returned None: is there a return statement?"
    assert abs(got - 0.025) > 1e-9, "0.025 s counts all 1000 shared tokens: the last 8 fill no block and are not found"
    assert abs(got - 0.029) < 1e-12, f"58 tokens at 2000 per second take 0.029 s, yours is {got}"
    assert abs(ttft_with_prefix(64, 0, 16, 1000) - 0.064) < 1e-12, "nothing shared: all 64 tokens are computed"
    assert ttft_with_prefix(64, 64, 16, 1000) > 0, "the whole prompt is cached, yet one token must be computed"
    assert abs(ttft_with_prefix(64, 64, 16, 1000) - 0.001) < 1e-12, "the whole prompt is cached: exactly one token"
    try:
        ttft_with_prefix(64, 65, 16, 1000)
    except ValueError as error:
        assert "65" in str(error), f"the message should hold the bad value 65: {error}"
    else:
        raise AssertionError("65 shared tokens of a 64-token prompt were accepted: raise ValueError")


test_ttft_with_prefix()


# %% hidden="ttft_with_prefix" points=1
def hidden_ttft_with_prefix():
    import random

    rng = random.Random(909)
    for _ in range(200):
        size, prompt = rng.randrange(1, 9), rng.randrange(1, 60)
        shared, speed = rng.randrange(0, prompt + 1), rng.choice((1, 3, 250, 0.5, 1e4))
        computed = prompt
        for end in range(size, shared + 1, size):  # block by block
            computed = prompt - end
        want = max(computed, 1) / speed
        got = ttft_with_prefix(prompt, shared, size, speed)
        assert abs(got - want) < 1e-12, (
            f"prompt {prompt}, shared {shared}, blocks of {size}, {speed}/s: {want}, not {got}"
        )
    for bad, value in (
        ((0, 0, 16, 10), 0),
        ((-2, -2, 16, 10), -2),
        ((5, -1, 16, 10), -1),
        ((5, 2, 0, 10), 0),
        ((5, 2, 16, 0), 0),
        ((5, 2, 16, -3.5), -3.5),
    ):
        try:
            got = ttft_with_prefix(*bad)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"{bad} was accepted and gave {got}: raise ValueError")


hidden_ttft_with_prefix()

# %% [markdown] task="prefill_inputs" stars=2 minutes=25
# ## 10. Bug museum: the prompt that was all there
#
# A small engine, read by thousands, prepared its prompt pass about like this. Without a prefix cache it is right, and its tests were green.
#
# ```python
# def prefill_inputs(token_ids, block_table, num_cached, block_size):
#     input_ids = token_ids[num_cached:]
#     positions = list(range(len(input_ids)))
#     slots = [block_table[i // block_size] * block_size + i % block_size for i in positions]
#     return {"input_ids": input_ids, "positions": positions, "slots": slots}
# ```
#
# Then the prefix cache came. `num_cached` says how many tokens were found, up to *all* of them. Three calls with the tokens 11 to 18, block table `[7, 3]` and blocks of 4:
#
# ```text
# num_cached  input_ids            positions            slots
#          0  11 12 … 18           0 1 2 … 7            28 29 30 31 12 13 14 15
#          4  15 16 17 18          0 1 2 3              28 29 30 31    <- shared block 7 is overwritten
#          8  (none)               (none)               (none)         <- crash: no query, no logits
# ```
#
# Name the two broken rules, then write `prefill_inputs` so that they hold: *positions go on where the cache ends*, and *at least one token is computed*. When everything is cached, that is the last token; its slot is written again (the caller has made that block writable). Return the same dict of three lists; a slot is the number of a token's place in the pool, block times `block_size` plus offset.
#
# The message of a `ValueError` holds `num_cached` where that is wrong, else the number of tokens. The incidents: [nano-vllm #144](https://github.com/GeeeekExplorer/nano-vllm/issues/144) (zero query tokens), and for positions that part from the cache [torchgfn #525](https://github.com/GFNOrg/torchgfn/pull/525); the code above is ours.
#
# <details><summary>Hint 1</summary>
#
# One variable decides everything: the position of the first token that is computed.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Neither rule needs an `if`: the first computed position is the smaller of two numbers, and the positions run from it to the end of the text.
#
# </details>


# %% solution="prefill_inputs"
def prefill_inputs(token_ids, block_table, num_cached, block_size):
    """What a prompt pass feeds after a prefix hit: {"input_ids", "positions", "slots"}, three lists of equal length.

    token_ids: the prompt. block_table: its blocks. num_cached: tokens found in the cache, 0 to all. block_size: slots
    per block. Raises ValueError for an empty prompt, a num_cached out of range, or a table that is too short.
    """
    ### BEGIN SOLUTION
    num_tokens = len(token_ids)
    if num_tokens < 1:
        raise ValueError(f"a prompt has at least 1 token, got {num_tokens}")
    if not 0 <= num_cached <= num_tokens:
        raise ValueError(f"num_cached must be from 0 to {num_tokens}, got {num_cached}")
    if len(block_table) * block_size < num_tokens:
        raise ValueError(f"{len(block_table)} blocks of {block_size} do not hold {num_tokens} tokens")
    start = min(num_cached, num_tokens - 1)
    positions = list(range(start, num_tokens))
    slots = [block_table[i // block_size] * block_size + i % block_size for i in positions]
    return {"input_ids": list(token_ids[start:]), "positions": positions, "slots": slots}
    ### END SOLUTION


# %% tryit="prefill_inputs"
for num_cached in (0, 4, 8):
    print(num_cached, prefill_inputs(list(range(11, 19)), [7, 3], num_cached, 4))


# %% test="prefill_inputs" points=1
def test_prefill_inputs():
    ids = list(range(11, 19))
    cases = (
        (0, ids, list(range(8)), [28, 29, 30, 31, 12, 13, 14, 15]),
        (4, ids[4:], [4, 5, 6, 7], [12, 13, 14, 15]),
        (8, [18], [7], [15]),
    )
    for num_cached, input_ids, positions, slots in cases:
        got = prefill_inputs(list(ids), [7, 3], num_cached, 4)
        assert got is not None, "prefill_inputs returned None: is there a return statement?"
        keys = {"input_ids", "positions", "slots"}
        assert set(got) == keys, f"the keys should be {sorted(keys)}, yours are {sorted(got)}"
        case = f"8 tokens, {num_cached} cached"
        assert got["input_ids"], f"{case}: no token to compute, so no logits and no first answer"
        assert list(got["input_ids"]) == input_ids, f"{case}: feed {input_ids}, yours feeds {got['input_ids']}"
        assert list(got["positions"]) == positions, (
            f"{case}: positions {positions}, yours {got['positions']} (starting again at 0?)"
        )
        assert all(isinstance(part, list) for part in got.values()), f"{case}: return three lists"
        assert list(got["slots"]) == slots, f"{case}: slots {slots}, yours {got['slots']} (a shared block overwritten?)"


test_prefill_inputs()


# %% hidden="prefill_inputs" points=2
def hidden_prefill_inputs():
    import random

    rng = random.Random(910)
    for _ in range(150):
        size, length = rng.randrange(1, 6), rng.randrange(1, 20)
        ids = [rng.randrange(49_152) for _ in range(length)]
        table = rng.sample(range(50), -(-length // size) + rng.randrange(2))
        num_cached = rng.choice((0, length, length - 1, rng.randrange(length + 1)))
        wanted = []  # token, position, slot, by walking the text
        for position, token in enumerate(ids):
            if position >= num_cached or position == length - 1:
                offset = position
                column = 0
                while offset >= size:
                    offset, column = offset - size, column + 1
                wanted.append((token, position, table[column] * size + offset))
        kept = list(ids), list(table)
        prefill_inputs(ids, table, num_cached, size)
        assert (ids, table) == kept, f"the caller's ids and table {kept} were changed to {(ids, table)}"
        got = prefill_inputs(tuple(ids), tuple(table), num_cached, size)  # tuples are sequences too
        kinds = {key: type(part).__name__ for key, part in got.items()}
        assert set(kinds.values()) == {"list"}, f"return three lists, yours are {kinds}"
        rows = list(zip(got["input_ids"], got["positions"], got["slots"], strict=True))
        assert rows == wanted, (
            f"{length} tokens, {num_cached} cached, blocks of {size}, table {table}: {wanted}, not {rows}"
        )
    for bad, value in (
        (([], [1], 0, 4), 0),
        (([5, 6], [1], -1, 4), -1),
        (([5, 6], [1], 3, 4), 3),
        (([5, 6, 7, 8, 9], [1], 0, 4), 5),
        (([5, 6, 7, 8, 9], [], 5, 4), 5),
    ):
        try:
            got = prefill_inputs(*bad)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold {value}: {error}"
            continue
        raise AssertionError(f"token_ids, block_table, num_cached, block_size = {bad} gave {got}: raise ValueError")


hidden_prefill_inputs()

# %% [markdown] task="pool_blocks" stars=2 minutes=15
# ## 11. Bug museum: the pool that came out too small
#
# At start an engine asks how many blocks fit into the memory that the weights left free. This is how several calculators answered:
#
# ```python
# def pool_blocks(config, free_bytes, block_size, bytes_per=2):
#     head_dim = config.hidden_size // config.num_attention_heads
#     block_bytes = block_size * config.num_hidden_layers * config.num_attention_heads * head_dim * bytes_per
#     return round(free_bytes / block_bytes)
# ```
#
# ```text
# model                              free     returned   correct
# Llama-2-7B                         10 GB        2384      1192   <- twice what fits: out of memory
# Llama-3-8B                         10 GB        2384      4768   <- half of the memory is never used
# Llama-3-70B                       100 GB        4768     19073
# 1 layer, 16 / 8 heads of 128, d 1024, 10 MB      305       152   <- head_dim is not d / heads
# ```
#
# There are four faults, and some of them hide each other. Find them and write `pool_blocks(config, free_bytes, block_size, bytes_per=2)`: the number of blocks, over all layers, that fit into `free_bytes`. Config fields as in chapter 3: `num_hidden_layers`, `num_attention_heads`, `num_key_value_heads`, `hidden_size`, `head_dim`. Return an `int`; too little memory gives 0. `bytes_per` may be a fraction (a 4-bit cache has 0.5).
#
# The incidents: KV memory from query heads in [Vx #303](https://github.com/vx-lang/Vx/issues/303) and [vllm-fit #2](https://github.com/jranaraki/vllm-fit/issues/2), and its traffic in [LLM-Viewer #12](https://github.com/hahnyuan/LLM-Viewer/issues/12); the head size in [LMCache #688](https://github.com/LMCache/LMCache/issues/688). The code above is ours.
#
# <details><summary>Hint 1</summary>
#
# Compare with the formula of chapter 3, factor by factor. Then ask what happens to the last, partly fitting block.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One factor is missing, two are taken from the wrong field, and one rounding goes the wrong way. For large numbers divide with `//`, not with `/`.
#
# </details>


# %% solution="pool_blocks"
def pool_blocks(config, free_bytes, block_size, bytes_per=2):
    """Blocks of a paged cache, over all layers, that fit into free_bytes.

    config: a model spec. free_bytes: 0 or more. block_size: token slots per block. bytes_per: bytes of a stored number.
    Returns an int. Raises ValueError for sizes that make no sense.
    """
    ### BEGIN SOLUTION
    if free_bytes < 0:
        raise ValueError(f"free_bytes cannot be negative, got {free_bytes}")
    for size in (block_size, bytes_per):
        if size <= 0:
            raise ValueError(f"block_size and bytes_per must be positive, got {size}")
    token_bytes = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per
    return int(free_bytes // (block_size * token_bytes))
    ### END SOLUTION


# %% tryit="pool_blocks"
for spec, free in ((LLAMA_2_7B, 10e9), (LLAMA_3_8B, 10e9), (LLAMA_3_70B, 100e9)):
    blocks = pool_blocks(spec, int(free), 16)
    print(f"{spec.name:12} {free / 1e9:4.0f} GB free: {blocks:6,} blocks of 16, {16 * blocks:8,} tokens")


# %% test="pool_blocks" points=1
def test_pool_blocks():
    from mini_engine.config import LLAMA_2_7B, LLAMA_3_70B

    got = pool_blocks(LLAMA_2_7B, 10_000_000_000, 16)
    assert got is not None, "pool_blocks returned None: is there a return statement?"
    assert got not in (2384, 2385), f"{got} blocks: a block holds keys and values, two arrays"
    assert got == 1192, f"10 GB hold 1192 blocks of Llama-2-7B (8,388,608 bytes each), you say {got}"
    got = pool_blocks(LLAMA_3_70B, 100_000_000_000, 16)
    assert got != 4768, "4768 blocks: query heads instead of KV heads, and one array instead of two"
    assert got != 2384, "2384 blocks: every query head is counted; only the 8 KV heads are stored"
    assert got == 19073, f"100 GB hold 19073 blocks of Llama-3-70B (5,242,880 bytes each), you say {got}"
    got = pool_blocks(LLAMA_2_7B, 8_388_608 * 3 - 1, 16)
    assert got == 2, f"one byte less than 3 blocks: 2 fit, you say {got} (rounded up?)"
    try:
        pool_blocks(LLAMA_2_7B, -5, 16)
    except ValueError as error:
        assert "-5" in str(error), f"the message should hold the bad value -5: {error}"
    else:
        raise AssertionError("-5 free bytes were accepted: raise ValueError")


test_pool_blocks()


# %% hidden="pool_blocks" points=2
def hidden_pool_blocks():
    import random

    from mini_engine.config import LLAMA_2_7B, ModelConfig

    rng = random.Random(911)
    for _ in range(60):
        layers, kv_heads, group, half = (rng.randrange(1, 6) for _ in range(4))
        heads, size, bytes_per = kv_heads * group, rng.choice((1, 4, 16)), rng.choice((0.5, 1, 2, 4))
        hidden = heads * 2 * half * rng.choice((1, 2))  # head_dim is not always hidden / heads
        config = ModelConfig("odd", layers, hidden, heads, kv_heads, 8, 11, 2 * half)
        free = rng.randrange(0, 40_000)
        left, want = free, 0
        block = sum(size * 2 * half * bytes_per for _ in range(2 * layers * kv_heads))  # array by array
        while left >= block:
            left, want = left - block, want + 1
        got = pool_blocks(config, free, size, bytes_per)
        case = f"{layers} layers, {heads} / {kv_heads} heads of {2 * half}, d {hidden}, {bytes_per} bytes, blocks of {size}"
        assert got == want, f"{case}: {want} blocks fit into {free} bytes, you say {got}"
        assert isinstance(got, int), f"{case}: return an int, not {type(got).__name__}"
    assert pool_blocks(LLAMA_2_7B, 0, 16) == 0, "no memory left: 0 blocks, which is no error"
    huge = 8_388_608 * (2**53 + 1)
    assert pool_blocks(LLAMA_2_7B, huge, 16) == 2**53 + 1, "floats cannot hold this count: divide with //"
    for bad, value in (((-1, 16, 2), -1), ((100, 0, 2), 0), ((100, -4, 2), -4), ((100, 16, 0), 0), ((100, 16, -2), -2)):
        try:
            got = pool_blocks(LLAMA_2_7B, *bad)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"free_bytes, block_size, bytes_per = {bad} gave {got}: raise ValueError")
    config = ModelConfig("four bits and scales", 2, 24, 4, 4, 8, 11, 6)
    got = pool_blocks(config, 204 * 14, 4, 17 / 32)  # a row of 6 numbers has 3.1875 bytes, the 16 of a token have 51
    assert got == 14, f"14 blocks of 204 bytes fit, you say {got}: do not round before the last step"


hidden_pool_blocks()

# %% [markdown]
# ## From the parts to the engine
#
# From here on the model is the course's torch engine. It never makes a block manager of its own if you pass one: any object with `num_blocks`, `num_free_blocks`, `refcounts`, `allocate`, `fork` and `free` will do, and yours has them.

# %% setup=True
import torch

from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.sequence import SamplingParams
from mini_engine.weights import load_smollm2, load_tiny, smollm2_is_cached

# %% [markdown] task="serve_prompts" stars=2 minutes=30
# ## 12. Your allocator serves a model
#
# Write `serve_prompts(model, allocator, prompts, max_tokens, block_size)`: serve prompts (lists of token ids) one after the other with prefix caching, over an allocator that you are handed, and measure each. The checks pass *your* `BlockAllocator` of exercise 4. Return a list of one dict per prompt:
#
# | key | holds |
# |---|---|
# | `"output"` | the new token ids, a list |
# | `"computed"` | tokens that went through the model for this request, prompt and decode together |
# | `"ttft_s"` | seconds from adding the request to its first token |
#
# What you need of the engine: `Engine(model, block_manager=allocator, block_size=block_size)`, made once for all prompts; `engine.generate([prompt], SamplingParams(max_tokens=max_tokens))` runs a request to its end and returns a list with one sequence, which has `output_token_ids` and `ttft_s`; `engine.stats.num_computed_tokens` counts over the engine's life.
#
# At the end give everything back: the prefix cache still owns blocks, and `engine.scheduler.prefix_cache.clear()` frees them. Then the allocator is as free as it was, also when a prompt is rejected with an error.
#
# Example: two prompts of 11 and 12 tokens whose first 10 are the same, blocks of 4, 3 new tokens each. The first computes $11 + 2 = 13$ tokens: its last output token is never fed back. The second finds 2 blocks, 8 tokens, and computes $12 - 8 + 2 = 6$.
#
# <details><summary>Hint 1</summary>
#
# A counter that only grows becomes a count per request when you read it before and after.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `try: … finally:` around the loop gives the blocks back in every case.
#
# </details>


# %% solution="serve_prompts"
def serve_prompts(model, allocator, prompts, max_tokens, block_size):
    """Serve prompts one after the other with prefix caching over the given allocator; one dict per prompt, see above.

    model: the engine's Llama. allocator: a block manager. prompts: lists of token ids. max_tokens: new tokens each.
    Afterwards every block is free again. Errors of the engine (a prompt too long, for example) are passed on.
    """
    ### BEGIN SOLUTION
    engine = Engine(model, block_manager=allocator, block_size=block_size)
    params = SamplingParams(max_tokens=max_tokens)
    served = []
    try:
        for prompt in prompts:
            before = engine.stats.num_computed_tokens
            (sequence,) = engine.generate([prompt], params)
            computed = engine.stats.num_computed_tokens - before
            served.append({"output": sequence.output_token_ids, "computed": computed, "ttft_s": sequence.ttft_s})
    finally:
        engine.scheduler.prefix_cache.clear()
    return served
    ### END SOLUTION


# %% tryit="serve_prompts"
tiny = Llama(*load_tiny())
system = np.random.default_rng(0).integers(0, tiny.config.vocab_size, 400).tolist()
allocator = BlockAllocator(64)
for i, one in enumerate(serve_prompts(tiny, allocator, [system + [i] * 20 for i in range(1, 5)], 4, 16)):
    print(f"request {i + 1}: {one['computed']:3} tokens computed, first token after {1000 * one['ttft_s']:.1f} ms")
print(f"{allocator.num_free_blocks} of {allocator.num_blocks} blocks are free again")


# %% test="serve_prompts" points=2
def test_serve_prompts():
    import torch

    from mini_engine.model import Llama
    from mini_engine.weights import load_tiny

    model = Llama(*load_tiny(), torch.float64)  # float64, so that ties cannot decide
    shared = [5, 17, 400, 3, 91, 260, 44, 8, 300, 12]
    prompts = [shared + [7], shared + [9, 2], [1, 2, 3, 4]]
    allocator = BlockAllocator(16)
    got = serve_prompts(model, allocator, prompts, 3, 4)
    assert got is not None, "serve_prompts returned None: is there a return statement?"
    assert len(got) == 3, f"three prompts, three results, yours has {len(got)}"
    keys = {"output", "computed", "ttft_s"}
    assert set(got[0]) == keys, f"the keys should be {sorted(keys)}, yours are {sorted(got[0])}"
    for prompt, one in zip(prompts, got, strict=True):
        ids = list(prompt)
        for _ in range(3):
            ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
        want = ids[len(prompt) :]
        assert list(one["output"]) == want, (
            f"prompt {prompt}: without a cache the model writes {want}, you {one['output']}"
        )
    computed = [one["computed"] for one in got]
    assert computed != [13, 14, 6], "every prompt was computed whole: one engine for all, with its prefix cache"
    assert computed != [13, 19, 25], "computed grows and grows: subtract the count before the request"
    assert computed == [13, 6, 6], f"computed should be [13, 6, 6], yours is {computed}"
    assert all(one["ttft_s"] > 0 for one in got), f"a time to first token is above 0: {[o['ttft_s'] for o in got]}"
    assert allocator.num_free_blocks == 16, f"{16 - allocator.num_free_blocks} blocks were not given back at the end"


test_serve_prompts()


# %% hidden="serve_prompts" points=3
def hidden_serve_prompts():
    import random
    import time

    import torch

    from mini_engine.model import Llama
    from mini_engine.weights import load_tiny, load_tiny_expected

    model = Llama(*load_tiny(), torch.float64)
    cases = load_tiny_expected()[:2]
    for case in cases:  # what transformers writes with the same weights
        ids, want = case["ids"].tolist(), case["greedy"][:6].tolist()
        allocator = BlockAllocator(-(-(len(ids) + 6) // 4) + 3)
        begin = time.perf_counter()
        got = serve_prompts(model, allocator, [ids, ids], 6, 4)
        elapsed = time.perf_counter() - begin
        assert [list(one["output"]) for one in got] == [want, want], f"ids {ids}: transformers writes {want}, twice"
        full = len(ids) // 4 * 4
        second = len(ids) - min(full, len(ids) - 1) + 5
        assert got[1]["computed"] == second, (
            f"the same prompt again computes {second} tokens, yours {got[1]['computed']}"
        )
        assert 0 < sum(one["ttft_s"] for one in got) <= elapsed, "the times to first token exceed the time that passed"
        assert allocator.num_free_blocks == allocator.num_blocks, "blocks were not given back at the end"
    first, other = [5, 17, 400, 3, 91, 260, 44, 8], [9, 1, 2, 3, 4]
    got = serve_prompts(model, BlockAllocator(16), [[*first, 7], other, [*first, 9, 2]], 3, 4)
    computed = [one["computed"] for one in got]
    assert computed == [11, 7, 4], f"the third prompt finds blocks of the first: [11, 7, 4] computed, not {computed}"

    class SlowToDecode(torch.nn.Module):
        """The model, with 30 ms more for each pass of one token."""

        lends = ("config", "device", "dtype", "hidden_states", "lm_head")

        def __init__(self):
            super().__init__()
            self.config, self.dtype, self.device, self.lm_head = model.config, model.dtype, model.device, model.lm_head

        def hidden_states(self, ids, cache):
            time.sleep(0.03 * (ids.shape[1] == 1))
            return model.hidden_states(ids, cache)

    got = serve_prompts(SlowToDecode(), BlockAllocator(16), [first, other, first[3:]], 12, 4)
    least = min(one["ttft_s"] for one in got)
    assert least < 0.3, f"ttft_s ends with the first token, and not with the request: {least:.2f} s"
    rng = random.Random(912)
    base = [rng.randrange(500) for _ in range(40)]
    prompts = [base[: rng.randrange(1, 40)] + [rng.randrange(500) for _ in range(rng.randrange(3))] for _ in range(8)]
    for blocks, size in ((40, 2), (9, 8), (60, 1)):
        allocator = BlockAllocator(blocks)
        got = serve_prompts(model, allocator, prompts, 2, size)
        seen = []
        for prompt, one in zip(prompts, got, strict=True):
            ids = list(prompt)
            for _ in range(2):
                ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
            want = ids[len(prompt) :]
            case = f"{blocks} blocks of {size}, prompt of {len(prompt)}"
            assert list(one["output"]) == want, f"{case}: expected {want}, got {one['output']}"
            assert 2 <= one["computed"] <= len(prompt) + 1, f"{case}: {one['computed']} tokens computed"
            if blocks == 60:  # room for many prompts, so some of them must hit
                seen.append(one["computed"])
        assert not seen or sum(seen) < sum(len(prompt) + 1 for prompt in prompts), (
            f"{blocks} blocks: no prompt was reused"
        )
        assert list(allocator.refcounts) == [0] * blocks, f"blocks of {size}: owners left: {list(allocator.refcounts)}"
    allocator = BlockAllocator(4)
    for _ in range(4):
        allocator.allocate()  # somebody else has them all
    try:
        serve_prompts(model, allocator, [[1, 2, 3]], 2, 4)
    except RuntimeError:
        assert allocator.num_free_blocks == 0, "blocks of another owner were freed"
    else:
        raise AssertionError("no block was free and the prompt was served: the engine does not use your allocator")
    allocator = BlockAllocator(4)
    try:
        serve_prompts(model, allocator, [[1] * 9, [1] * 40], 2, 4)
    except ValueError:
        assert allocator.num_free_blocks == 4, "a rejected prompt: the blocks of the earlier ones were not given back"
        return
    raise AssertionError("a prompt of 40 tokens does not fit into 4 blocks of 4: the engine's ValueError was swallowed")


hidden_serve_prompts()

# %% [markdown]
# ## Your allocator, a real model
#
# Nothing to write and no points: the same function with SmolLM2-135M and a long system prompt. It runs where the model has been fetched before (`python -m mini_engine generate "Hello"` does that) and says so where not. Compare the times with `ttft_with_prefix`.

# %%
if not smollm2_is_cached():
    print('SmolLM2-135M is not on this machine: skipped. `python -m mini_engine generate "Hello"` fetches it.')
else:
    from mini_engine.tokenizer import load_smollm2_tokenizer

    tokenizer = load_smollm2_tokenizer()
    real = Llama(*load_smollm2())
    system = tokenizer.encode("You answer in one short sentence and name your source. " * 20)
    questions = [system + tokenizer.encode(text) for text in ("The capital of France is", "The capital of Italy is")]
    allocator = BlockAllocator(64)
    for one in serve_prompts(real, allocator, questions, 8, 16):
        print(f"{one['computed']:4} tokens, first after {one['ttft_s']:.2f} s: {tokenizer.decode(one['output'])!r}")
    print(f"{allocator.num_free_blocks} of {allocator.num_blocks} blocks are free again")

# %% [markdown]
# **Before you close this.** Whatever was shared, copied or evicted, every sequence read the K and V that one piece of memory would have given it, and the model wrote the same tokens. What you counted is what it buys: slots that are not wasted, and prompt tokens that are not computed twice.
