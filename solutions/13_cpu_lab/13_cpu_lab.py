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
# # 13 · The CPU lab
#
# Plain loops, compiled. You write the parts of a decode step as loops over numbers, Numba turns them into vector instructions, and you read in the assembly what it made of them. The chapter *The CPU lab* of the book has the road that these parts stand on.
#
# **Correctness is graded, speed never.** Write plain Python first: it is what the checks look at, with small arrays. The cell behind each exercise compiles your function with `numba.njit` and times it on real sizes; you may also put `@numba.njit` above it yourself (without `cache=True`: a grading run has nowhere to write). How often you read a weight is counted on the plain function, by an array that counts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.

# %% setup=True
import math
import re
import time

import numba
import numpy as np

from mini_engine.bench.assembly import busiest_loop


class Watched:
    """An array that counts how often each element is read. Index it, loop over it, ask for its shape: no more."""

    lends = ("shape", "ndim", "dtype")  # what the tests let your code use

    def __init__(self, array):
        self.array, self.reads, self.largest = array, np.zeros(array.shape, int), 0
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, index):
        got = self.array[index]
        np.add.at(self.reads, index, 1)
        self.largest = max(self.largest, int(np.size(got)))
        return got.copy()

    def __iter__(self):
        return (self[i] for i in range(len(self.array)))


def plain(function):
    """The Python function behind a compiled one; a plain function as it is."""
    return getattr(function, "py_func", function)


def best_us(function, *args, repeats=20):
    """The least microseconds of some calls, after one that compiles."""
    function(*args)
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*args)
        times.append(time.perf_counter() - start)
    return 1e6 * min(times)


# %% [markdown] task="int8_row" stars=1 minutes=20
# ## 1. One row times int8 weights
#
# Write `int8_row(q, scales, x)`: the product of one row `x` with a matrix in int8, where column `o` of the matrix is `q[:, o] * scales[o]`:
#
# $$y_o = s_o \cdot \sum_{k} q_{k,o} \, x_k$$
#
# | | |
# |---|---|
# | `q` | int8 `[in, out]` |
# | `scales` | float32 `[out]` |
# | `x` | float32 `[in]` |
# | returns | float32 `[out]`, a new array |
#
# *Fused* means that no float matrix is ever made: a weight is read once, converted in a register, multiplied, forgotten. A float copy of `q` is four times as large as `q` and would cost more to write and read than the int8 saved.
#
# The order of the sum is part of the task, since another order gives other bits. Every output has one float32 sum, which starts at 0 and goes through $k = 0, 1, 2, \dots$, each product rounded to float32 before it is added; the scale is the same for every term, so it is applied once, **to the finished sum**. Sizes that do not fit raise `ValueError`.
#
# Example: `q = [[1, -2], [3, 4]]`, `scales = [0.5, 10]`, `x = [2, 1]`: $y = (0.5 \cdot (2 + 3),\; 10 \cdot (-4 + 4)) = (2.5, 0)$.
#
# <details><summary>Hint 1</summary>
#
# Which loop is the inner one? With the outputs inside, neighbours in memory (`q[k, 0]`, `q[k, 1]`, …) belong to different sums, so a processor can do 8 or 16 of them at once without touching the order of any.
#
# </details>
# <details><summary>Hint 2</summary>
#
# An array of zeros in float32; a loop over `k`, in it a loop over `o` that adds a product to one element; after both, one more loop for the scales.
#
# </details>


# %% solution="int8_row"
def int8_row(q, scales, x):
    """x times the int8 matrix q with one scale for each column: float32 [out], summed from k = 0 up, scaled last.

    q: int8 [in, out]. scales: float32 [out]. x: float32 [in]. Raises ValueError for sizes that do not fit.
    """
    ### BEGIN SOLUTION
    if q.shape[0] != len(x) or q.shape[1] != len(scales):
        raise ValueError("q must be [in, out] for an x of [in] and scales of [out]")
    y = np.zeros(q.shape[1], np.float32)
    for k in range(q.shape[0]):
        for o in range(q.shape[1]):
            y[o] += q[k, o] * x[k]
    for o in range(q.shape[1]):
        y[o] *= scales[o]
    return y
    ### END SOLUTION


# %% tryit="int8_row"
rng = np.random.default_rng(13)
q = rng.integers(-127, 128, (576, 1536)).astype(np.int8)
scales, x = rng.random(1536).astype(np.float32), rng.normal(size=576).astype(np.float32)
compiled_row = numba.njit(plain(int8_row))
print(f"compiled: {best_us(compiled_row, q, scales, x):.0f} µs for {q.size:,} weights; its inner loop:")
print(busiest_loop(compiled_row))


# %% test="int8_row" points=1
def test_int8_row():
    import tracemalloc

    import numpy as np

    q = np.array([[1, -2], [3, 4]], np.int8)
    scales, x = np.array([0.5, 10], np.float32), np.array([2, 1], np.float32)
    y = int8_row(q, scales, x)
    assert y is not None, "int8_row returned None: is there a return statement?"
    assert np.shape(y) == (2,), f"two outputs have shape (2,), yours {np.shape(y)}: q is [in, out]"
    assert y[0] != 5, "5 is the sum of whole numbers times x: the scale is missing"
    assert np.array_equal(y, [2.5, 0]), f"the example gives [2.5, 0], you returned {list(y)}"
    assert y.dtype == np.float32, f"the result is {y.dtype}, not float32"
    rng = np.random.default_rng(0)
    q = rng.integers(-127, 128, (96, 256)).astype(np.int8)
    x = rng.normal(size=96).astype(np.float32)
    tracemalloc.start()
    plain(int8_row)(q, np.ones(256, np.float32), x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.9 * q.nbytes, f"{q.nbytes} bytes of weights took {peak} bytes more: was a float copy of q made?"
    watched = Watched(np.array([[1, -2], [3, 4]], np.int8))
    plain(int8_row)(watched, scales, np.array([2, 1], np.float32))
    assert watched.reads.max() <= 1, f"weights were read {watched.reads.tolist()} times: once is enough"


test_int8_row()


# %% hidden="int8_row" points=2
def hidden_int8_row():
    import numpy as np

    rng = np.random.default_rng(131)
    for _ in range(8):
        num_in, num_out = int(rng.integers(1, 40)), int(rng.integers(1, 12))
        q = rng.integers(-127, 128, (num_in, num_out)).astype(np.int8)
        q[rng.random(q.shape) < 0.1] = -128
        scales = rng.random(num_out).astype(np.float32)
        x = (rng.normal(size=num_in) * 10.0 ** rng.integers(-3, 4)).astype(np.float32)
        kept = q.copy(), scales.copy(), x.copy()
        y = int8_row(q, scales, x)
        case = f"[{num_in}, {num_out}]"
        assert y.dtype == np.float32 and y.shape == (num_out,), f"{case}: float32 of the outputs, yours {y.dtype}"
        exact = [sum(float(q[k, o]) * float(x[k]) for k in range(num_in)) * float(scales[o]) for o in range(num_out)]
        size = [
            sum(abs(float(q[k, o]) * float(x[k])) for k in range(num_in)) * float(scales[o]) for o in range(num_out)
        ]
        off = max(abs(float(y[o]) - exact[o]) / (size[o] + 1e-30) for o in range(num_out))
        assert off < 1e-5, f"{case}: an output is off by {off:.1e} of its terms: a wrong weight, scale or index"
        for o in range(num_out):
            total = np.float32(0)
            for k in range(num_in):
                total = np.float32(total + np.float32(np.float32(q[k, o]) * x[k]))
            assert y[o] == np.float32(total * scales[o]), (
                f"{case}: the value is close, the bits differ: one float32 sum from k = 0 up, the scale on the sum"
            )
        assert all(np.array_equal(a, b) for a, b in zip(kept, (q, scales, x), strict=True)), "an input was changed"
    watched = Watched(rng.integers(-127, 128, (7, 5)).astype(np.int8))
    plain(int8_row)(watched, np.ones(5, np.float32), np.ones(7, np.float32))
    assert watched.reads.max() == 1, f"a weight was read {watched.reads.max()} times: each is read once"
    assert watched.largest < 35, "the whole matrix was taken at once: take a weight, or a row of them, at a time"
    for shapes in (((3, 2), 2, 2), ((3, 2), 3, 3), ((3, 2), 2, 4), ((3, 2), 1, 3)):
        shape, num_scales, num_x = shapes
        try:
            int8_row(np.ones(shape, np.int8), np.ones(num_scales, np.float32), np.ones(num_x, np.float32))
        except ValueError:
            continue
        raise AssertionError(f"q {shape} with {num_scales} scales and an x of {num_x} was accepted: raise ValueError")


hidden_int8_row()


# %% [markdown] task="int8_rows" stars=2 minutes=20
# ## 2. Many rows, one reading
#
# A batch brings many rows, and the weights are the same for all of them. Write `int8_rows(q, scales, x)` for `x` of `[B, in]`; it returns float32 `[B, out]`. Two things must hold.
#
# - **Each weight is read once**, however many rows there are, and at most one row of `q` at a time. This is why a batch is nearly free while memory sets the time: the bytes are those of one row.
# - **A row gives the bits that it gives alone**: the same sum as in exercise 1, from $k = 0$ up, the scale last. Then no user's text depends on who else is in the batch.
#
# `B` may be 0. Sizes that do not fit raise `ValueError`.
#
# Example: the `q` and `scales` of exercise 1 with `x = [[2, 1], [1, 0]]` give `[[2.5, 0], [0.5, -20]]`.
#
# <details><summary>Hint 1</summary>
#
# Calling `int8_row` for each row reads every weight `B` times. Of the three loops (`k`, `o`, `b`), which must be the outermost, so that what was read is used for every row before it is forgotten?
#
# </details>
# <details><summary>Hint 2</summary>
#
# For each `k`, convert row `k` of `q` to float32 once, into an array of `out` numbers. Then let every row of `x` add that array, times its own `x[b, k]`, to its own sums. The innermost loop goes through the outputs again.
#
# </details>


# %% solution="int8_rows"
def int8_rows(q, scales, x):
    """Every row of x times the int8 matrix q, each weight read once: float32 [B, out]; each row's bits as int8_row's.

    q: int8 [in, out]. scales: float32 [out]. x: float32 [B, in]. Raises ValueError for sizes that do not fit.
    """
    ### BEGIN SOLUTION
    if q.shape[0] != x.shape[1] or q.shape[1] != len(scales):
        raise ValueError("q must be [in, out] for an x of [B, in] and scales of [out]")
    y = np.zeros((len(x), q.shape[1]), np.float32)
    row = np.empty(q.shape[1], np.float32)
    for k in range(q.shape[0]):
        for o in range(q.shape[1]):
            row[o] = q[k, o]
        for b in range(len(x)):
            for o in range(q.shape[1]):
                y[b, o] += row[o] * x[b, k]
    for b in range(len(x)):
        for o in range(q.shape[1]):
            y[b, o] *= scales[o]
    return y
    ### END SOLUTION


# %% tryit="int8_rows"
compiled_rows = numba.njit(plain(int8_rows))
for num_rows in (1, 4, 16):
    batch = rng.normal(size=(num_rows, 576)).astype(np.float32)
    once = best_us(compiled_rows, q, scales, batch, repeats=5)
    each = num_rows * best_us(compiled_row, q, scales, batch[0], repeats=5)
    print(f"{num_rows:2} rows: {once:7.0f} µs together, {each:7.0f} µs one by one")
# slower together? If the innermost loop goes through the rows, its steps lie far apart in memory and fit no vector.
# The engine goes one step further: four rows keep their sums in registers, as four_rows in the chapter does.


# %% test="int8_rows" points=1
def test_int8_rows():
    import numpy as np

    q = np.array([[1, -2], [3, 4]], np.int8)
    scales, x = np.array([0.5, 10], np.float32), np.array([[2, 1], [1, 0]], np.float32)
    y = int8_rows(q, scales, x)
    assert y is not None, "int8_rows returned None: is there a return statement?"
    assert np.shape(y) == (2, 2), f"two rows and two outputs are (2, 2), yours {np.shape(y)}"
    assert np.array_equal(y, [[2.5, 0], [0.5, -20]]), f"the example gives [[2.5, 0], [0.5, -20]], yours {y.tolist()}"
    assert y.dtype == np.float32, f"the result is {y.dtype}, not float32"
    watched = Watched(q)
    plain(int8_rows)(watched, scales, np.ones((3, 2), np.float32))
    assert watched.reads.max() <= 1, (
        f"3 rows read a weight {watched.reads.max()} times: read it once and use it for every row"
    )


test_int8_rows()


# %% hidden="int8_rows" points=2
def hidden_int8_rows():
    import tracemalloc

    import numpy as np

    rng = np.random.default_rng(132)
    for _ in range(8):
        num_in, num_out, num_rows = int(rng.integers(1, 20)), int(rng.integers(1, 8)), int(rng.integers(1, 6))
        q = rng.integers(-128, 128, (num_in, num_out)).astype(np.int8)
        scales = rng.random(num_out).astype(np.float32)
        x = rng.normal(size=(num_rows, num_in)).astype(np.float32)
        kept = q.copy(), scales.copy(), x.copy()
        y = int8_rows(q, scales, x)
        case = f"{num_rows} rows of [{num_in}, {num_out}]"
        assert y.shape == (num_rows, num_out) and y.dtype == np.float32, f"{case}: {y.dtype} {y.shape}"
        exact = x.astype(np.float64) @ (q.astype(np.float64) * scales)
        size = abs(x).astype(np.float64) @ (abs(q.astype(np.float64)) * scales) + 1e-30
        assert (abs(y - exact) / size).max() < 1e-5, f"{case}: a value is wrong: a row, a weight or a scale is mixed up"
        for b in range(num_rows):
            for o in range(num_out):
                total = np.float32(0)
                for k in range(num_in):
                    total = np.float32(total + np.float32(np.float32(q[k, o]) * x[b, k]))
                assert y[b, o] == np.float32(total * scales[o]), (
                    f"{case}: the value is close, the bits are not those of the row alone: one float32 sum from k = 0 up"
                )
        assert all(np.array_equal(a, b) for a, b in zip(kept, (q, scales, x), strict=True)), "an input was changed"
    watched = Watched(rng.integers(-127, 128, (6, 5)).astype(np.int8))
    plain(int8_rows)(watched, np.ones(5, np.float32), np.ones((7, 6), np.float32))
    assert watched.reads.max() == 1, f"7 rows read a weight {watched.reads.max()} times: once is enough"
    assert watched.largest <= 6, f"{watched.largest} weights were taken at once: at most one row of q at a time"
    q = rng.integers(-127, 128, (96, 256)).astype(np.int8)
    tracemalloc.start()
    plain(int8_rows)(q, np.ones(256, np.float32), np.ones((1, 96), np.float32))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.9 * q.nbytes, f"{q.nbytes} bytes of weights took {peak} bytes more: was a float copy of q made?"
    none = int8_rows(np.ones((3, 2), np.int8), np.ones(2, np.float32), np.ones((0, 3), np.float32))
    assert none.shape == (0, 2), f"no rows give shape (0, 2), yours {none.shape}"
    for num_rows in (2, 0):
        for shape, num_scales, num_x in (((3, 2), 2, 2), ((3, 2), 3, 3), ((3, 2), 2, 4), ((3, 2), 1, 3)):
            x = np.ones((num_rows, num_x), np.float32)
            try:
                int8_rows(np.ones(shape, np.int8), np.ones(num_scales, np.float32), x)
            except ValueError:
                continue
            raise AssertionError(f"q {shape}, {num_scales} scales and x {x.shape} were accepted: raise ValueError")


hidden_int8_rows()


# %% [markdown] task="rms_norm" stars=1 minutes=15
# ## 3. RMSNorm in one pass
#
# $$y_i = \frac{x_i}{\sqrt{\frac{1}{n} \sum_j x_j^2 + \varepsilon}} \cdot w_i$$
#
# As it stands, the formula goes through $x$ twice: once for the sum, once for the result. Write `rms_norm(x, weight, eps)` so that **each element of `x` and of `weight` is read once**: float32 `[n]` in, a new float32 `[n]` out. The factor is not known during the pass, and it does not have to be: it is the same for every element.
#
# A value that you use twice is read once if you put it into a variable; in compiled code that is a register. An empty `x`, another length of `weight` and a negative `eps` raise `ValueError`.
#
# Example: `x = [3, 4]`, `weight = [1, 2]`, `eps = 0`: the mean of the squares is 12.5, so `y = [3, 8] / 3.5355 = [0.8485, 2.2627]`.
#
# <details><summary>Hint 1</summary>
#
# What of $y_i$ can be computed before the sum is known? Store that where the result will stand.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One loop stores the product of `x[i]` and `weight[i]` and adds up the square; after it the whole result is multiplied by one over the root. The result is read again then, but it was just written: it lies in the nearest cache.
#
# </details>


# %% solution="rms_norm"
def rms_norm(x, weight, eps):
    """x / sqrt(mean(x^2) + eps) * weight, float32 [n], with each element of x and weight read once.

    x, weight: float32 [n]. Raises ValueError for an empty x, another length of weight, a negative eps.
    """
    ### BEGIN SOLUTION
    if len(x) == 0 or len(x) != len(weight) or eps < 0:
        raise ValueError("x must hold something, weight must be as long, and eps at least 0")
    y = np.empty(len(x), np.float32)
    squares = 0.0
    for i in range(len(x)):
        value = x[i]
        squares += value * value
        y[i] = value * weight[i]
    factor = 1 / math.sqrt(squares / len(x) + eps)
    for i in range(len(y)):
        y[i] *= factor
    return y
    ### END SOLUTION


# %% tryit="rms_norm"
compiled_norm = numba.njit(plain(rms_norm))
row, weight = rng.normal(size=576).astype(np.float32), np.ones(576, np.float32)
print(f"compiled: {best_us(compiled_norm, row, weight, 1e-5):.1f} µs for 576 elements")
print("in NumPy:", f"{best_us(lambda: row / np.sqrt((row * row).mean() + 1e-5) * weight):.1f} µs, with five arrays")


# %% test="rms_norm" points=1
def test_rms_norm():
    import numpy as np

    x, weight = np.array([3, 4], np.float32), np.array([1, 2], np.float32)
    y = rms_norm(x, weight, 0.0)
    assert y is not None, "rms_norm returned None: is there a return statement?"
    assert np.shape(y) == (2,), f"two elements give shape (2,), yours {np.shape(y)}"
    assert abs(y[0] - 0.6) > 1e-3, "0.6 is 3 / 5: divide by the root of the mean, not of the sum"
    assert np.allclose(y, [0.848528, 2.262742], atol=1e-5), f"the example gives [0.8485, 2.2627], yours {list(y)}"
    assert y.dtype == np.float32, f"the result is {y.dtype}, not float32"
    assert np.array_equal(x, [3, 4]), "x was changed: write into a new array"
    watched = Watched(x)
    plain(rms_norm)(watched, weight, 0.0)
    assert watched.reads.max() <= 1, (
        f"elements of x were read {watched.reads.tolist()} times: store x * weight unscaled, and scale it at the end"
    )


test_rms_norm()


# %% hidden="rms_norm" points=2
def hidden_rms_norm():
    import math

    import numpy as np

    rng = np.random.default_rng(133)
    for _ in range(10):
        n, eps = int(rng.integers(1, 300)), float(10.0 ** rng.integers(-8, 0))
        x = (rng.normal(size=n) * 10.0 ** rng.integers(-4, 4)).astype(np.float32)
        weight = rng.normal(size=n).astype(np.float32)
        kept = x.copy(), weight.copy()
        y = rms_norm(x, weight, eps)
        root = math.sqrt(sum(float(v) ** 2 for v in x) / n + eps)
        wanted = [float(v) / root * float(w) for v, w in zip(x, weight, strict=True)]
        assert y.shape == (n,) and y.dtype == np.float32, f"n = {n}: float32 of n elements, yours {y.dtype} {y.shape}"
        np.testing.assert_allclose(
            y, wanted, rtol=2e-5, atol=1e-30, err_msg=f"n = {n}, eps {eps}: is eps inside the root, under the mean?"
        )
        assert np.array_equal(x, kept[0]) and np.array_equal(weight, kept[1]), "an input was changed"
    watched, weights = Watched(rng.normal(size=9).astype(np.float32)), Watched(np.ones(9, np.float32))
    plain(rms_norm)(watched, weights, 1e-5)
    assert watched.reads.max() == 1, f"an element of x was read {watched.reads.max()} times: once is enough"
    assert weights.reads.max() == 1, f"an element of weight was read {weights.reads.max()} times: once is enough"
    first = rms_norm(np.array([3, 4], np.float32), np.ones(2, np.float32), 0)
    rms_norm(np.array([8, 6], np.float32), np.ones(2, np.float32), 0)
    assert np.allclose(first, [0.8485, 1.1314], atol=1e-3), "a later call changed an earlier result: return a new array"
    zeros = rms_norm(np.zeros(4, np.float32), np.ones(4, np.float32), 1e-5)
    assert np.array_equal(zeros, np.zeros(4)), f"zeros stay zeros, yours {list(zeros)}"
    one = np.ones(3, np.float32)
    assert np.allclose(rms_norm(one, one, 0), 1), "eps = 0 is allowed"
    for x, weight, eps in ((one[:0], one[:0], 1e-5), (one, one[:2], 1e-5), (one[:2], one, 1e-5), (one, one, -1e-9)):
        try:
            rms_norm(x, weight, eps)
        except ValueError:
            continue
        raise AssertionError(f"{len(x)} elements, {len(weight)} weights, eps {eps}: accepted, raise ValueError")


hidden_rms_norm()


# %% [markdown] task="paged_attention" stars=3 minutes=35
# ## 4. Attention that walks the block table
#
# The paged cache of chapter 9 keeps a sequence's keys in blocks that lie anywhere. The plain form *gathers*: it copies the blocks into one array and attends to that, so every key is read, written and read again. A compiled loop can walk the table instead.
#
# Write `paged_attention(q, keys, values, table, length)` for one head:
#
# | | |
# |---|---|
# | `q` | float32 `[D]` |
# | `keys`, `values` | float32 `[num_blocks, block_size, D]` |
# | `table` | int64 `[n]`: position $p$ lies in block `table[p // block_size]`, at `p % block_size` |
# | `length` | how many positions are filled, at least 1 |
# | returns | float32 `[D]`: $\sum_p w_p v_p$ with $w = \text{softmax}(q \cdot k_p / \sqrt{D})$ over $p < \text{length}$ |
#
# Each key and each value up to `length` is read once, at most one block at a time, and **nothing else**: rows that are not filled hold anything, NaN too, and so do blocks of other sequences. The table may be longer than needed. Scores of ±1000 are no reason for NaN. A `length` below 1, or above what the table has room for, raises `ValueError`.
#
# Example: `D = 1`, `block_size = 2`, `table = [1, 0]`, `length = 3` reads `keys[1, 0]`, `keys[1, 1]` and `keys[0, 0]`. With `q = [0]` all weights are 1/3 and the result is the mean of the three values.
#
# <details><summary>Hint 1</summary>
#
# Three passes over positions: scores, softmax, weighted sum. Only the first touches keys, only the last touches values; the scores are `length` numbers in an array of their own. (Or one pass with a running maximum, as in chapter 5.)
#
# </details>
# <details><summary>Hint 2</summary>
#
# For every position compute block and row with `//` and `%`; the dot product is a loop over `D`. Subtract the largest score before the exponential. Accumulate the result in float64, and convert at the end.
#
# </details>


# %% solution="paged_attention"
def paged_attention(q, keys, values, table, length):
    """Attention of one query over the first `length` positions of a sequence whose blocks the table names: [D].

    q: float32 [D]. keys, values: float32 [num_blocks, block_size, D]. table: int64 [n].
    Raises ValueError for a length below 1 or beyond the table.
    """
    ### BEGIN SOLUTION
    block_size, head_dim = keys.shape[1], keys.shape[2]
    if length < 1 or length > len(table) * block_size:
        raise ValueError("length must be at least 1 and fit into the table's blocks")
    scores = np.zeros(length)
    for p in range(length):
        for i in range(head_dim):
            scores[p] += float(q[i]) * keys[table[p // block_size], p % block_size, i]
    scores = np.exp((scores - scores.max()) / math.sqrt(head_dim))
    out = np.zeros(head_dim)
    for p in range(length):
        for i in range(head_dim):
            out[i] += scores[p] * values[table[p // block_size], p % block_size, i]
    return (out / scores.sum()).astype(np.float32)
    ### END SOLUTION


# %% tryit="paged_attention"
compiled_attention = numba.njit(plain(paged_attention))
keys, values = (rng.normal(size=(128, 16, 64)).astype(np.float32) for _ in range(2))
table, query = rng.permutation(128)[:64], rng.normal(size=64).astype(np.float32)


def gathered(query, keys, values, table, length):
    k, v = keys[table].reshape(-1, 64)[:length], values[table].reshape(-1, 64)[:length]
    scores = k @ query / 8
    weights = np.exp(scores - scores.max())
    return weights @ v / weights.sum()


print(
    "difference:",
    abs(compiled_attention(query, keys, values, table, 1000) - gathered(query, keys, values, table, 1000)).max(),
)
for name, function in (("walked", compiled_attention), ("gathered", gathered)):
    print(f"{name}: {best_us(function, query, keys, values, table, 1000):.0f} µs for 1,000 positions")
# slower walked? A dot product is one sum, added in order: exercise 7 will show one lane in its loop. The engine's
# attention keeps 16 sums for each dot product, always the same 16, and adds them up at the end.


# %% test="paged_attention" points=1
def test_paged_attention():
    import numpy as np

    keys = np.zeros((3, 2, 1), np.float32)
    values = np.array([[[30], [np.nan]], [[10], [20]], [[-1], [-1]]], np.float32)
    keys[0, 1] = keys[2] = np.nan
    out = paged_attention(np.array([0], np.float32), keys, values, np.array([1, 0]), 3)
    assert out is not None, "paged_attention returned None: is there a return statement?"
    assert np.shape(out) == (1,), f"a head of one element gives shape (1,), yours {np.shape(out)}"
    assert not np.isnan(out[0]), "the result is NaN: a row beyond length was read, or another sequence's block"
    assert abs(out[0] - 20) < 1e-4, f"equal weights of 10, 20 and 30 give 20, yours {out[0]}: is the table used?"
    far = np.array([[[1000], [-1000]]], np.float32)
    out = paged_attention(np.array([1], np.float32), far, np.array([[[5], [7]]], np.float32), np.array([0]), 2)
    assert abs(out[0] - 5) < 1e-5, (
        f"scores of 1000 and -1000 give the first value, 5, yours {out[0]}: subtract the maximum"
    )
    watched = Watched(keys[:2])
    plain(paged_attention)(np.array([0], np.float32), watched, values[:2], np.array([1, 0]), 3)
    assert watched.reads[0, 1, 0] == 0, "the unfilled row of the last block was read: stop at length"
    assert watched.reads.max() <= 1, f"a key was read {watched.reads.max()} times: once is enough"
    for length in (0, 5):
        try:
            paged_attention(np.array([0], np.float32), keys, values, np.array([1, 0]), length)
        except ValueError:
            continue
        raise AssertionError(f"a length of {length} with 2 blocks of 2 was accepted: raise ValueError")


test_paged_attention()


# %% hidden="paged_attention" points=3
def hidden_paged_attention():
    import math

    import numpy as np

    rng = np.random.default_rng(134)
    for trial in range(8):
        block_size, head_dim = int(rng.integers(1, 6)), int(rng.integers(1, 7))
        num_blocks = int(rng.integers(2, 7))
        used = int(rng.integers(1, num_blocks + 1))
        length = int(rng.integers((used - 1) * block_size + 1, used * block_size + 1))
        spare = int(rng.integers(0, num_blocks - used + 1))
        table = rng.permutation(num_blocks)[: used + spare].astype(np.int64)
        keys, values = (np.full((num_blocks, block_size, head_dim), np.nan, np.float32) for _ in range(2))
        q = (rng.normal(size=head_dim) * (200 if trial == 3 else 1)).astype(np.float32)
        rows, allowed = [], np.zeros(keys.shape, int)
        for p in range(length):
            at = table[p // block_size], p % block_size
            keys[at], values[at] = rng.normal(size=head_dim), rng.normal(size=head_dim)
            rows.append((keys[at].tolist(), values[at].tolist()))
            allowed[at] = 1
        scores = [sum(float(a) * b for a, b in zip(q, key, strict=True)) / math.sqrt(head_dim) for key, _ in rows]
        weights = [math.exp(s - max(scores)) for s in scores]
        wanted = [
            sum(w * v[i] for w, (_, v) in zip(weights, rows, strict=True)) / sum(weights) for i in range(head_dim)
        ]
        kept = q.copy(), keys.copy(), values.copy(), table.copy()
        out = paged_attention(q, keys, values, table, length)
        case = f"{length} positions, {used} blocks of {block_size} with {spare} spare, D = {head_dim}"
        assert out.shape == (head_dim,) and out.dtype == np.float32, (
            f"{case}: float32 [D], yours {out.dtype} {out.shape}"
        )
        assert not np.isnan(out).any(), f"{case}: NaN: a row beyond length or an unused block was read"
        off = 1e-3 if trial == 3 else 1e-5  # a float32 score of 1000 is off by 1e-4, and so is its exponential
        assert np.allclose(out, wanted, rtol=off, atol=off), f"{case}: wrong: scale, softmax or the place of a position"
        same = all(np.array_equal(a, b, equal_nan=True) for a, b in zip(kept, (q, keys, values, table), strict=True))
        assert same, f"{case}: an input was changed"
        if trial < 4:
            k, v = Watched(keys), Watched(values)
            plain(paged_attention)(q, k, v, table, length)
            for name, watched in (("keys", k), ("values", v)):
                assert (watched.reads <= allowed).all(), (
                    f"{case}: {name} beyond length, of other blocks, or read twice: each position's row once"
                )
                assert watched.largest <= block_size * head_dim, (
                    f"{case}: more than one block of {name} was taken at once"
                )
    keys = np.array([[[-1], [-1.001]]], np.float32)
    for sign in (1, -1):
        out = paged_attention(np.array([sign * 1000], np.float32), keys, 2 * keys, np.array([0]), 2)
        wanted = (-2 - 2.002 * math.exp(-sign)) / (1 + math.exp(-sign))
        assert abs(out[0] - wanted) < 1e-3, f"scores near {-1000 * sign}: {wanted:.4f} expected, yours {out[0]:.4f}"
    one = np.ones((1, 2, 1), np.float32)
    assert paged_attention(one[0, 0], one, one, np.array([0]), 2)[0] == 1, "a full table is allowed"
    for length in (-1, 3):
        try:
            paged_attention(one[0, 0], one, one, np.array([0]), length)
        except ValueError:
            continue
        raise AssertionError(f"a length of {length} with one block of 2 was accepted: raise ValueError")


hidden_paged_attention()


# %% [markdown] task="split_sum" stars=3 minutes=30
# ## 5. Threads that do not change the sum
#
# Outputs can be split over threads freely: each is a sum of its own. A single long sum cannot, because $(a + b) + c$ and $a + (b + c)$ round differently. If every thread sums its share, the result depends on how many threads there are, and the same request writes another text on another machine.
#
# The way out is to cut the sum by *position*, into chunks whose size has nothing to do with the threads. Write `split_sum(values, chunk, num_threads, run)`:
#
# 1. cut `values` into chunks of `chunk` elements (the last may be shorter) and sum each in float32, from its first element to its last, starting at 0;
# 2. share the **chunks** among the threads: each gets a run of neighbouring chunks, and no thread gets more than one chunk more than another;
# 3. add the chunks' sums, in float32, from the first chunk to the last, starting at 0; return that `np.float32`.
#
# `run(work, num_threads)` is a parallel loop. It calls your `work(thread)` once for each thread from 0 to `num_threads - 1`, **in any order**, and returns when all are done. So a thread may write only to what is its own. Each element is read once, inside `work`.
#
# An empty `values` gives 0. There may be more threads than chunks. `chunk` or `num_threads` below 1 raises `ValueError`.
#
# Example: five values, `chunk = 2`, two threads: chunks (0, 1), (2, 3), (4); one thread sums two of them, the other one. The result is $((c_0 + c_1) + c_2)$.
#
# <details><summary>Hint 1</summary>
#
# An array with one place for each chunk. No two threads write to the same place, so the order in which they run cannot matter.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Thread `t` of `T` takes the chunks from `t * n // T` up to (not including) `(t + 1) * n // T`: neighbours, all of them, and even to within one.
#
# </details>


# %% solution="split_sum"
def split_sum(values, chunk, num_threads, run):
    """The float32 sum of values, by chunks whose borders do not depend on the threads that sum them: np.float32.

    values: float32 [n]. run(work, num_threads) calls work(thread) for every thread, in any order.
    Raises ValueError for a chunk or a number of threads below 1.
    """
    ### BEGIN SOLUTION
    if chunk < 1 or num_threads < 1:
        raise ValueError(f"chunk and num_threads must be at least 1, got {chunk} and {num_threads}")
    num_chunks = -(-len(values) // chunk)
    sums = np.zeros(num_chunks, np.float32)

    def work(thread):
        for c in range(thread * num_chunks // num_threads, (thread + 1) * num_chunks // num_threads):
            for i in range(c * chunk, min((c + 1) * chunk, len(values))):
                sums[c] += values[i]

    run(work, num_threads)
    total = np.float32(0)
    for part in sums:
        total += part
    return total
    ### END SOLUTION


# %% tryit="split_sum"
def one_after_the_other(work, num_threads):
    for thread in range(num_threads):
        work(thread)


numbers = rng.normal(size=2000).astype(np.float32) * 1000
for num_threads in (1, 2, 3, 8):
    shares = np.array_split(numbers, num_threads)
    by_share = np.float32(sum(np.float32(sum(share, np.float32(0))) for share in shares))
    print(
        f"{num_threads} threads: by chunks {split_sum(numbers, 64, num_threads, one_after_the_other)!r}, by share {by_share!r}"
    )


# %% test="split_sum" points=1
def test_split_sum():
    import numpy as np

    def backwards(work, num_threads):
        for thread in reversed(range(num_threads)):
            work(thread)

    values = np.array([1e8, 1, -1e8, 1, 1], np.float32)
    total = split_sum(values, 2, 2, backwards)
    assert total is not None, "split_sum returned None: is there a return statement?"
    assert total != 2, "2 is the sum in one go, from first to last: sum by chunks of 2 instead"
    assert total != 3, "3 is the exact sum: add in float32, as the task says, or the bits depend on who computes them"
    assert total == 1, f"(1e8 + 1) + (-1e8 + 1) + 1 is 1 in float32 by chunks of 2, you returned {total}"
    assert isinstance(total, np.float32), f"the result is a {type(total).__name__}, not np.float32"
    for num_threads in (1, 3, 7):
        got = split_sum(values, 2, num_threads, backwards)
        assert got == total, f"{num_threads} threads give {got}, 2 threads {total}: cut by position, not by thread"
    try:
        split_sum(values, 0, 1, backwards)
    except ValueError:
        pass
    else:
        raise AssertionError("a chunk of 0 was accepted: raise ValueError")


test_split_sum()


# %% hidden="split_sum" points=3
def hidden_split_sum():
    import numpy as np

    rng = np.random.default_rng(135)
    for _ in range(12):
        n, chunk, num_threads = int(rng.integers(1, 60)), int(rng.choice([1, 2, 3, 5, 6, 19])), int(rng.integers(1, 9))
        values = (rng.normal(size=n) * 10.0 ** rng.integers(-3, 6, n)).astype(np.float32)
        watched, called, shares = Watched(values), [], []

        def shuffled(work, count, watched=watched, called=called, shares=shares):
            for thread in rng.permutation(count).tolist():
                before = watched.reads.copy()
                work(thread)
                called.append(thread)
                shares.append(watched.reads - before)

        got = split_sum(watched, chunk, num_threads, shuffled)
        case = f"{n} values in chunks of {chunk} on {num_threads} threads"
        sums = []
        for start in range(0, n, chunk):
            total = np.float32(0)
            for value in values[start : start + chunk]:
                total = np.float32(total + value)
            sums.append(total)
        wanted = np.float32(0)
        for total in sums:
            wanted = np.float32(wanted + total)
        assert isinstance(got, np.float32), f"{case}: a {type(got).__name__}, not np.float32"
        exact = sum(float(v) for v in values)
        assert abs(got - exact) <= 1e-4 * sum(abs(float(v)) for v in values), f"{case}: an element is missing or twice"
        assert got == wanted, f"{case}: the sum is close, the bits differ: each chunk from 0, then the chunks in order"
        assert sorted(called) == list(range(num_threads)), (
            f"{case}: run was called for other threads, or more than once"
        )
        assert (sum(shares) == 1).all() and (watched.reads == 1).all(), (
            f"{case}: each element is read once, inside work"
        )
        counts = []
        for share in shares:
            mine = np.flatnonzero(share)
            chunks = sorted({int(i) // chunk for i in mine})
            counts.append(len(chunks))
            assert len(mine) == sum(len(values[c * chunk : (c + 1) * chunk]) for c in chunks), (
                f"{case}: a chunk was cut"
            )
            assert chunks == list(range(chunks[0], chunks[-1] + 1)) if chunks else True, (
                f"{case}: chunks are no neighbours"
            )
        assert max(counts) - min(counts) <= 1, f"{case}: threads have between few and many chunks: share them evenly"

    def in_order(work, count):
        for thread in range(count):
            work(thread)

    empty = split_sum(np.zeros(0, np.float32), 3, 2, in_order)
    assert empty == 0 and isinstance(empty, np.float32), "no values sum to a float32 of 0"
    for chunk, num_threads in ((0, 1), (-1, 1), (1, 0), (1, -2)):
        try:
            split_sum(np.ones(3, np.float32), chunk, num_threads, in_order)
        except ValueError:
            continue
        raise AssertionError(f"chunk {chunk} with {num_threads} threads was accepted: raise ValueError")


hidden_split_sum()


# %% [markdown] task="verdict" stars=2 minutes=20
# ## 6. Predicted against measured
#
# The two-line model of chapter 4 gives the least time that a piece of work can take: `num_bytes / bandwidth` for reading, `multiply_adds / peak` for arithmetic. Both go on at the same time, so the longer one is the prediction. Write `verdict(num_bytes, multiply_adds, bandwidth, peak, seconds)`, which sets a measured time beside it and returns a dict:
#
# | key | what |
# |---|---|
# | `"predicted_s"` | the longer of the two times, a `float` |
# | `"limit"` | `"reading"` or `"arithmetic"`, whichever is longer; `"reading"` where they are equal |
# | `"share"` | predicted / measured, a `float`: 1 is as fast as the model allows |
# | `"verdict"` | `"impossible"` above a share of 1.1, `"at the limit"` from 0.8 to 1.1, both included, `"something else"` below 0.8 |
#
# *Impossible* means that the measurement or a ceiling is wrong: the data lay in a cache, or the work was not done. *Something else* means that neither bytes nor arithmetic set the time: a loop that was not vectorized, a start-up cost, a wait.
#
# `bandwidth`, `peak` and `seconds` must be above 0, bytes and multiply-adds at least 0, else `ValueError`.
#
# Example: 1 GB at 25 GB/s and 0.25 G multiply-adds at 50 G/s, measured 44 ms: reading takes 40 ms, arithmetic 5 ms; predicted 0.04 s, share 0.91, at the limit.
#
# <details><summary>Hint 1</summary>
#
# Two divisions, one comparison for the name of the limit, two for the verdict.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Work out the share first; then the order of the questions matters: above 1.1, then at least 0.8, then the rest.
#
# </details>


# %% solution="verdict"
def verdict(num_bytes, multiply_adds, bandwidth, peak, seconds):
    """What the two-line model says of a measurement: {"predicted_s", "limit", "share", "verdict"}.

    bandwidth: bytes per second. peak: multiply-adds per second. seconds: measured.
    Raises ValueError for a bandwidth, peak or time that is not above 0, and for negative work.
    """
    ### BEGIN SOLUTION
    if min(bandwidth, peak, seconds) <= 0 or min(num_bytes, multiply_adds) < 0:
        raise ValueError(f"{num_bytes=}, {multiply_adds=}, {bandwidth=}, {peak=}, {seconds=}")
    reading, arithmetic = num_bytes / bandwidth, multiply_adds / peak
    predicted = max(reading, arithmetic)
    share = predicted / seconds
    if share > 1.1:
        name = "impossible"
    elif share >= 0.8:
        name = "at the limit"
    else:
        name = "something else"
    limit = "reading" if reading >= arithmetic else "arithmetic"
    return {"predicted_s": predicted, "limit": limit, "share": share, "verdict": name}
    ### END SOLUTION


# %% tryit="verdict"
print(verdict(10**9, 25 * 10**7, 25e9, 50e9, 0.044))
array = np.ones(1 << 24, np.float32)
read_s = 1e-6 * best_us(array.sum, repeats=5)
weights_us = best_us(compiled_row, q, scales, x)
# 1 MB of weights lies in a cache here: "impossible" against the memory's bandwidth would be no wonder
print(verdict(q.nbytes, q.size, array.nbytes / read_s, 20e9, 1e-6 * weights_us))


# %% test="verdict" points=1
def test_verdict():
    got = verdict(10**9, 25 * 10**7, 25e9, 50e9, 0.044)
    assert got is not None, "verdict returned None: is there a return statement?"
    assert set(got) == {"predicted_s", "limit", "share", "verdict"}, f"the keys are {sorted(got)}"
    assert abs(got["predicted_s"] - 0.045) > 1e-9, "0.045 s is the sum: reading and arithmetic go on at the same time"
    assert abs(got["predicted_s"] - 0.04) < 1e-12, f"1 GB at 25 GB/s takes 0.04 s, yours {got['predicted_s']}"
    assert got["limit"] == "reading", f"reading takes 40 ms and arithmetic 5 ms, your limit is {got['limit']}"
    assert abs(got["share"] - 0.04 / 0.044) < 1e-12, f"the share is predicted / measured = 0.91, yours {got['share']}"
    assert got["verdict"] == "at the limit", f"a share of 0.91 is at the limit, yours {got['verdict']}"
    assert verdict(100, 0, 10, 1, 5)["verdict"] == "impossible", "10 s of reading in 5 s is impossible"
    assert verdict(100, 0, 10, 1, 50)["verdict"] == "something else", "five times as long as predicted: something else"
    assert verdict(1, 100, 10, 10, 10)["limit"] == "arithmetic", "10 s of arithmetic against 0.1 s of reading"
    try:
        verdict(1, 1, 1, 1, 0)
    except ValueError:
        pass
    else:
        raise AssertionError("a time of 0 was accepted: raise ValueError")


test_verdict()


# %% hidden="verdict" points=2
def hidden_verdict():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(136)
    for _ in range(40):
        num_bytes, work, bandwidth, peak = (int(2 ** rng.integers(0, 12)) for _ in range(4))
        reading, arithmetic = Fraction(num_bytes, bandwidth), Fraction(work, peak)
        predicted = max(reading, arithmetic)
        share = Fraction(int(rng.integers(20, 200)), 128)
        got = verdict(num_bytes, work, bandwidth, peak, float(predicted / share))
        case = f"{num_bytes} bytes at {bandwidth}/s, {work} multiply-adds at {peak}/s, share {float(share):.3f}"
        assert abs(got["predicted_s"] - predicted) <= 1e-9 * predicted, f"{case}: predicted {got['predicted_s']}"
        assert got["limit"] == ("reading" if reading >= arithmetic else "arithmetic"), f"{case}: limit {got['limit']}"
        assert abs(got["share"] - share) <= 1e-9 * share, f"{case}: share {got['share']}"
        if min(abs(share - Fraction(8, 10)), abs(share - Fraction(11, 10))) > Fraction(1, 1000):
            name = "impossible" if share > 1.1 else "at the limit" if share >= 0.8 else "something else"
            assert got["verdict"] == name, f"{case}: the verdict is {name}, yours {got['verdict']}"
    assert verdict(4, 0, 1, 1, 5)["verdict"] == "at the limit", "a share of exactly 0.8 is at the limit"
    assert verdict(11, 0, 1, 1, 10)["verdict"] == "at the limit", "a share of exactly 1.1 is at the limit"
    assert verdict(8, 8, 2, 2, 4)["limit"] == "reading", "equal times are called reading"
    nothing = verdict(0, 0, 1, 1, 1)
    assert nothing["predicted_s"] == 0 and nothing["verdict"] == "something else", "no work at all is allowed"
    good = {"num_bytes": 1, "multiply_adds": 1, "bandwidth": 1, "peak": 1, "seconds": 1}
    for name, bad in (
        ("bandwidth", 0),
        ("peak", 0),
        ("seconds", 0),
        ("bandwidth", -1),
        ("peak", -1),
        ("seconds", -1),
        ("num_bytes", -1),
        ("multiply_adds", -1),
    ):
        try:
            verdict(**{**good, name: bad})
        except ValueError:
            pass
        else:
            raise AssertionError(f"{name} = {bad} was accepted: raise ValueError")
    for work, rate in (("num_bytes", "bandwidth"), ("multiply_adds", "peak")):
        try:
            verdict(**{**good, work: 0, rate: 0})
        except ValueError:
            continue
        raise AssertionError(f"{rate} = 0 was accepted where {work} is 0: it must be above 0 all the same")
    for bytes_read, name in ((796, "something else"), (1104, "impossible")):
        got = verdict(bytes_read, 0, 1000, 1, 1)["verdict"]
        assert got == name, (
            f"a share of {bytes_read / 1000}: the verdict is {name}, yours {got} (judged after rounding?)"
        )


hidden_verdict()


# %% [markdown] task="read_loop" stars=2 minutes=30
# ## 7. Read a compiled loop
#
# `inspect_asm` of a compiled function shows what the processor really runs. On x86 in the notation that LLVM prints, a line of it is an instruction, its sources and, last, its target:
#
# ```
# .LBB0_14:
#     vmovups      32(%rsi,%rax,4), %ymm5           # load 8 floats
#     vfmadd231ps  32(%rdi,%rax,4), %ymm5, %ymm1    # ymm1 += ymm5 * memory
#     jne          .LBB0_14                         # again
# ```
#
# | in the text | means |
# |---|---|
# | `xmm`, `ymm`, `zmm` | a register of 128, 256, 512 bits |
# | ends in `ps`, `pd` | *packed*: float32 (32 bits each) or float64 (64) in the whole register |
# | ends in `ss`, `sd` | *scalar*: one float32 or float64, whatever the register |
# | `vfmadd231ps`, `vfmsub…`, `vfnmadd…`, `vfnmsub…`, each with `132`, `213` or `231` | a fused multiply-add (or subtract): two operations on each number |
# | `vaddps`, `vsubps`, `vmulps`, `vdivps`, and without `v`: `addps`, … | one operation on each number |
#
# Everything else (moves, conversions such as `vcvtdq2ps`, integer arithmetic such as `vpaddd` or `addq`, jumps) does not count, whatever it computes. All registers of such an instruction have one width.
#
# Write `read_loop(text)` for the text of one loop. It returns a dict: `"lanes"`, the most numbers that one of these instructions computes at once (0 where there is none); `"num_fma"`, how many fused multiply-adds stand in it; `"flops"`, the floating-point operations of one pass through it. Labels, empty lines and what follows a `#` do not count.
#
# Example: the three lines above give `{"lanes": 8, "num_fma": 1, "flops": 16}`.
#
# <details><summary>Hint 1</summary>
#
# Cut each line at `#`, split off its first word, and ask two patterns about that word: is it a fused one, is it a plain one? Both end in `ps`, `pd`, `ss` or `sd`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `re.fullmatch(r"v?(add|sub|mul|div)([ps][sd])", word)` finds the plain ones, and its group 2 tells packed from scalar and float32 from float64. `re.search("([xyz])mm", rest)` finds the first register, and its letter is the width.
#
# </details>


# %% solution="read_loop"
def read_loop(text):
    """What a loop in x86 assembly (AT&T notation) computes: {"lanes", "num_fma", "flops"}, all int."""
    ### BEGIN SOLUTION
    lanes = num_fma = flops = 0
    for line in text.splitlines():
        word, *rest = line.partition("#")[0].split() or [""]
        plain_one = re.fullmatch(r"v?(?:add|sub|mul|div)([ps])([sd])", word)
        fused = re.fullmatch(r"vfn?m(?:add|sub)(?:132|213|231)([ps])([sd])", word)
        if not (plain_one or fused):
            continue
        packed, kind = (plain_one or fused).groups()
        register = re.search("([xyz])mm", " ".join(rest)).group(1)
        count = {"x": 4, "y": 8, "z": 16}[register] // (2 if kind == "d" else 1) if packed == "p" else 1
        lanes = max(lanes, count)
        num_fma += bool(fused)
        flops += count * (2 if fused else 1)
    return {"lanes": lanes, "num_fma": num_fma, "flops": flops}
    ### END SOLUTION


# %% tryit="read_loop"
for name, function in (
    ("int8_row", compiled_row),
    ("rms_norm", compiled_norm),
    ("paged_attention", compiled_attention),
):
    print(f"{name:16}", read_loop(busiest_loop(function)))  # on another processor than x86: zeros


# %% test="read_loop" points=1
def test_read_loop():
    fma = (
        ".LBB0_14:\n\tvmovups\t32(%rsi,%rax,4), %ymm5           # load 8 floats\n"
        "\tvfmadd231ps\t32(%rdi,%rax,4), %ymm5, %ymm1\n\tjne\t.LBB0_14\n"
    )
    got = read_loop(fma)
    assert got is not None, "read_loop returned None: is there a return statement?"
    assert set(got) == {"lanes", "num_fma", "flops"}, f"the keys are {sorted(got)}"
    assert got["lanes"] == 8, f"a ymm register holds 256 / 32 = 8 floats, your lanes {got['lanes']}"
    assert got["num_fma"] == 1, f"there is one vfmadd, you found {got['num_fma']}"
    assert got["flops"] != 8, "8 counts an fma as one operation: it multiplies and adds"
    assert got["flops"] == 16, f"8 numbers times 2 operations are 16, your flops {got['flops']}"
    scalar = read_loop("    vmulss  4(%rdx), %xmm2, %xmm1\n    vaddss  %xmm1, %xmm0, %xmm0\n")
    assert scalar["lanes"] == 1, f"ss is scalar: one number, whatever the register; your lanes {scalar['lanes']}"
    assert scalar == {"lanes": 1, "num_fma": 0, "flops": 2}, f"vmulss and vaddss: 2 FLOPs and no fma, yours {scalar}"
    none = read_loop("    vcvtdq2ps %ymm1, %ymm1\n    addq $8, %rdx\n")
    assert none == {"lanes": 0, "num_fma": 0, "flops": 0}, f"a conversion and an integer add compute no floats: {none}"


test_read_loop()


# %% hidden="read_loop" points=2
def hidden_read_loop():
    import random

    rng = random.Random(137)
    width = {"xmm": 16, "ymm": 32, "zmm": 64}
    others = ["vmovups\t(%rax), %{r}1", "vcvtdq2ps\t%{r}1, %{r}2", "vpaddd\t%{r}1, %{r}2, %{r}3", "addq\t$8, %rdx"]
    others += ["vpmovsxbd\t(%rax), %{r}4", "vbroadcastss\t(%rcx), %{r}0", "cmpq\t%rdx, %rbp", "jne\t.LBB0_3", ""]
    others += [
        "vmulss_table:",
        "vpmulld\t%{r}1, %{r}2, %{r}3",
        "vmaxps\t%{r}1, %{r}2, %{r}3",
        "vhaddps\t%{r}1, %{r}2, %{r}3",
        "vaddsubps\t%{r}1, %{r}2, %{r}3",
        "#\tvmulps\t%zmm1, %zmm2, %zmm3",
    ]
    for trial in range(60):
        lines, lanes, num_fma, flops = [".LBB0_3:"], 0, 0, 0
        for _ in range(rng.randint(0, 12)):
            register = rng.choice(list(width))
            if rng.random() < 0.4:
                lines.append("\t" + rng.choice(others).replace("{r}", register))
                continue
            packed, kind = rng.choice("ps"), rng.choice("sd")
            is_fused = rng.random() < 0.5
            if is_fused:
                word = f"vf{rng.choice(('m', 'nm'))}{rng.choice(('add', 'sub'))}{rng.choice((132, 213, 231))}{packed}{kind}"
            else:
                word = f"{rng.choice(('v', 'v', ''))}{rng.choice(('add', 'sub', 'mul', 'div'))}{packed}{kind}"
            if packed == "s":
                register = "xmm"
            count = width[register] // (4 if kind == "s" else 8) if packed == "p" else 1
            source = rng.choice((f"%{register}{rng.randint(0, 15)}", "16(%rsi,%rax,4)", "(%rdi){1to8}"))
            gap = rng.choice(("\t", " ", "    "))
            note = rng.choice(("", "  # vfmadd231ps %zmm0, %zmm1, %zmm2", "\t# again", "  # loop: again"))
            lines.append(f"{rng.choice((chr(9), '    '))}{word}{gap}{source}, %{register}1, %{register}0{note}")
            lanes, num_fma, flops = max(lanes, count), num_fma + is_fused, flops + count * (1 + is_fused)
        got, case = read_loop("\n".join(lines)), f"loop {trial} of {len(lines)} lines"
        assert got["lanes"] == lanes, (
            f"{case}: lanes {got['lanes']}, expected {lanes}: packed or scalar, 32 or 64 bits?"
        )
        assert got["num_fma"] == num_fma, (
            f"{case}: {got['num_fma']} fused, expected {num_fma}: names, or a comment read?"
        )
        assert got["flops"] == flops, f"{case}: {got['flops']} FLOPs, expected {flops}: what counts, and how often?"
    mixed = read_loop("\tvaddps\t%ymm1, %ymm2, %ymm3\n\tvaddps\t%xmm1, %xmm2, %xmm3\n")
    assert mixed == {"lanes": 8, "num_fma": 0, "flops": 12}, f"the widest sets lanes, each its own FLOPs: {mixed}"
    assert read_loop("") == {"lanes": 0, "num_fma": 0, "flops": 0}, "an empty text has nothing in it"
    assert all(type(value) is int for value in read_loop("\tvaddps\t%ymm1, %ymm2, %ymm3").values()), "all are int"


hidden_read_loop()


# %% [markdown] answer="int4_here" points=3
# ### In your own words: why fewer bytes may take longer
#
# In at most 200 words, with numbers from the chapter or from your machine: an int4 weight has about 5/8 of the bytes of an int8 weight. Why can a product in int4 take as long as in int8, or longer? And what would you look at, in the measurement and in the assembly, to tell which of the two lines of the model sets its time?
#
# ### BEGIN SOLUTION
# **Rubric, 1 point each.** (1) The bytes give a bound: int4 with groups of 32 has 5 bits a weight against 8, so where reading sets the time it could be at most 1.6 times as fast. (2) A packed weight needs more instructions: mask or shift, convert, multiply by the group's scale, add its minimum, where int8 needs a convert and one fused multiply-add; on a core that was already busy half of the time this arithmetic becomes the longer line, and with many rows it is repeated or must be unpacked first. (3) How to tell: set the measured time beside bytes / bandwidth (a low share means that reading does not set it), count the instructions per weight in the inner loop and whether they are vector instructions; more threads or a smaller row count that change the time speak for arithmetic.
#
# **Model answer.** int4 reads 5 bits a weight with its scales and minima, int8 reads 8: at best 1.6 times as fast. But each nibble must be masked or shifted, converted to float, scaled and moved by the group's minimum before it is multiplied, about twice the instructions of int8. A processor that needs, say, 3 ms to read int8 weights and 2 ms to compute with them is bound by reading; with int4 the reading falls to 1.9 ms, the arithmetic grows to 4, and the product is slower. I would compute the share of the predicted reading time: far below 0.8 it is not the memory. Then I would look at the busiest loop: are the instructions packed, how wide, and how many stand beside each fused multiply-add? If a loop over a short group was not vectorized at all, that is the reason, and no count of bytes would have shown it.
# ### END SOLUTION

# %% [markdown]
# **Before you close this.** What must stay true: a row gives the same bits alone and in any batch, on any number of threads, and nothing is read that is not the sequence's own. What was measured: each step beside the two lines that predict it, and the loop that explains the rest.
