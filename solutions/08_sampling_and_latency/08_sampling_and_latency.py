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
# # 08 · Sampling and latency
#
# A forward pass ends with one row of logits. In the first half of this notebook you turn that row into a token, the way engines do it: temperature, top-k, top-p, min-p, one draw. In the second half you put a stopwatch beside the tokens and compute what users feel: time to first token, time per token, and how many requests met their targets. The chapter *Sampling and latency* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant.

# %% setup=True
import time

import numpy as np

# %% [markdown] task="apply_temperature" stars=1 minutes=10
# ## 1. Temperature
#
# Temperature divides the logits before the softmax. Below 1 it sharpens the distribution, above 1 it flattens it, and as it nears 0 all probability goes to the largest logit. Write `apply_temperature(logits, t)`.
#
# `logits` is a float array `[..., V]` (one row or several). Return a new float array of the same shape:
#
# - for $t > 0$: $z_i / t$;
# - for $t = 0$: greedy. The largest entry of each row keeps its value and all others become $-\infty$, so that the softmax is 1 there and 0 elsewhere. Of several equal maxima the one with the lowest id stays.
#
# Example: `apply_temperature([1.0, 3.0], 0.5)` is `[2.0, 6.0]`, and with `t=0` it is `[-inf, 3.0]`.
#
# Do not change the input.
#
# <details><summary>Hint 1</summary>
#
# Dividing by zero is not how greedy is done. Treat it as a case of its own: find where the maximum stands in each row.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `argmax` along the last axis, with the axis kept, gives one position per row. Compare it with the positions 0 to V−1: the result has the shape of the logits and is true once per row.
#
# </details>


# %% solution="apply_temperature"
def apply_temperature(logits, t):
    """Logits at temperature t; t = 0 keeps only the first maximum of each row and sets the rest to -inf.

    logits: floats [..., V]. Returns a new float64 array of that shape. Raises ValueError for a negative t.
    """
    ### BEGIN SOLUTION
    if t < 0:
        raise ValueError(f"temperature must not be negative, got {t}")
    logits = np.asarray(logits, float)
    if t > 0:
        return logits / t
    is_best = np.arange(logits.shape[-1]) == logits.argmax(axis=-1, keepdims=True)
    return np.where(is_best, logits, -np.inf)
    ### END SOLUTION


# %% tryit="apply_temperature"
for t in (0, 0.5, 1, 2):
    scaled = apply_temperature([2.0, 1.0, 0.0, -1.0], t)
    weights = np.exp(scaled - scaled.max())
    print(f"t = {t:3}: probabilities", (weights / weights.sum()).round(3))


# %% test="apply_temperature" points=1
def test_apply_temperature():
    import numpy as np

    logits = np.array([1.0, 3.0, 2.0])
    got = apply_temperature(logits, 0.5)
    assert got is not None, "apply_temperature returned None: is there a return statement?"
    assert not np.allclose(got, [0.5, 1.5, 1.0]), "t = 0.5 must sharpen: divide by t, you multiplied"
    assert np.allclose(got, [2.0, 6.0, 4.0]), f"[1, 3, 2] at t = 0.5 is [2, 6, 4], you returned {got}"
    assert np.array_equal(logits, [1.0, 3.0, 2.0]), "the input was changed: return a new array"
    got = np.asarray(apply_temperature(logits, 0))
    assert not np.isnan(got).any(), "t = 0 gave nan: it means greedy, not a division by zero"
    assert np.array_equal(got, [-np.inf, 3.0, -np.inf]), f"t = 0 keeps only the maximum, you returned {got}"
    try:
        apply_temperature(logits, -1)
    except ValueError as error:
        assert "-1" in str(error), f"the ValueError should name the bad value -1, it says: {error}"
    else:
        raise AssertionError("t = -1 was accepted: raise ValueError")


test_apply_temperature()


# %% hidden="apply_temperature" points=2
def hidden_apply_temperature():
    import numpy as np

    rng = np.random.default_rng(80)
    for shape in ((7,), (7,), (3, 5), (2, 3, 4)):
        logits = rng.normal(size=shape) * 10
        kept = logits.copy()
        for t in (0.1, 1, 1.0, 2.5):
            got = np.asarray(apply_temperature(logits, t))
            want = np.array([z / t for z in logits.ravel().tolist()]).reshape(shape)
            assert got.shape == shape and np.allclose(got, want, rtol=1e-10), f"wrong at t = {t} for shape {shape}"
        got = np.asarray(apply_temperature(logits, 0)).reshape(-1, shape[-1])
        for row, source in zip(got, logits.reshape(-1, shape[-1])):
            best = source.tolist().index(max(source.tolist()))
            assert row[best] == source[best], "t = 0: the maximum keeps its value (in each row its own)"
            assert np.isneginf(np.delete(row, best)).all(), "t = 0: all others are -inf, row by row"
        assert np.array_equal(logits, kept), "the input was changed"
    got = np.asarray(apply_temperature([1, 5, 5], 0))
    assert np.array_equal(got, [-np.inf, 5, -np.inf]), f"of equal maxima the lowest id stays, you returned {got}"
    got = np.asarray(apply_temperature([1, 2, 3], 2))
    assert np.allclose(got, [0.5, 1, 1.5]), "integer logits must give floats"
    got = np.asarray(apply_temperature(np.array([1, 2, 3], np.float32), 0.1))
    assert got.dtype == np.float64, f"float32 logits give float64, as the docstring says, yours is {got.dtype}"
    got = np.asarray(apply_temperature([1.0, 2.0], 1e-5))
    assert np.allclose(got, [1e5, 2e5], rtol=1e-10), "only t = 0 is greedy: t = 0.00001 divides, however small"
    logits = np.array([2.0, 1.0])
    apply_temperature(logits, 1)[0] = 7.0
    assert logits[0] == 2.0, "the result must be a new array also for t = 1"
    for t in (-0.01, -1e-12):
        try:
            apply_temperature([1.0, 2.0], t)
        except ValueError:
            continue
        raise AssertionError(f"t = {t} was accepted")
    got = np.asarray(apply_temperature([1e-6, 3e-6], 1e-6))
    assert np.allclose(got, [1, 3]), f"a temperature of a millionth is above 0 and divides: [1, 3], you returned {got}"


hidden_apply_temperature()

# %% [markdown] task="top_k_filter" stars=2 minutes=10
# ## 2. Top-k
#
# Keep the `k` largest logits of each row and set the rest to $-\infty$ (Fan et al. 2018, arXiv:1805.04833). Write `top_k_filter(logits, k)` for `logits` of shape `[..., V]`; return a new float64 array of that shape, with the kept values unchanged and in their places.
#
# - Ties: every logit equal to the k-th largest stays, so more than `k` may be kept.
# - `k` at or above the row's length keeps all.
#
# Example: `top_k_filter([1.0, 4.0, 2.0, 3.0], 2)` is `[-inf, 4.0, -inf, 3.0]`; `top_k_filter([5.0, 1.0, 1.0], 2)` keeps all three.
#
# <details><summary>Hint 1</summary>
#
# You need one number per row: the value of the k-th largest logit. Everything below it goes.
#
# </details>
# <details><summary>Hint 2</summary>
#
# After `np.sort` along the last axis the k-th largest stands k places from the end. Keep the axis when you slice it out, so that it compares with the row; `np.where` does the rest.
#
# </details>


# %% solution="top_k_filter"
def top_k_filter(logits, k):
    """Logits with all but the k largest of each row at -inf; ties with the k-th stay (1805.04833).

    logits: floats [..., V]. k: int, at least 1; k >= V keeps all. Returns a new float64 array.
    Raises ValueError for k < 1.
    """
    ### BEGIN SOLUTION
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    logits = np.asarray(logits, float)
    k = min(k, logits.shape[-1])
    threshold = np.sort(logits)[..., -k, None]
    return np.where(logits >= threshold, logits, -np.inf)
    ### END SOLUTION


# %% tryit="top_k_filter"
print(top_k_filter([[1.0, 4.0, 2.0, 3.0], [9.0, 0.0, 0.0, 0.0]], 2))


# %% test="top_k_filter" points=1
def test_top_k_filter():
    import numpy as np

    logits = np.array([1.0, 4.0, 2.0, 3.0])
    got = top_k_filter(logits, 2)
    assert got is not None, "top_k_filter returned None: is there a return statement?"
    got = np.asarray(got)
    assert got.shape == (4,), f"the result has the shape of the input, (4,), yours has {got.shape}"
    assert not np.array_equal(got, [4.0, 3.0, -np.inf, -np.inf]), "the values are sorted: each must stay in its place"
    assert not np.any(got == 0), "dropped logits are -inf, not 0: the softmax of 0 is not 0"
    assert np.array_equal(got, [-np.inf, 4.0, -np.inf, 3.0]), f"k = 2 of [1, 4, 2, 3]: you returned {got}"
    assert np.array_equal(logits, [1.0, 4.0, 2.0, 3.0]), "the input was changed: return a new array"
    got = np.asarray(top_k_filter([5.0, 1.0, 1.0], 2))
    assert np.array_equal(got, [5.0, 1.0, 1.0]), f"both logits that tie for the second place stay, you returned {got}"
    got = np.asarray(top_k_filter(logits, 9))
    assert np.array_equal(got, logits), "k above the vocabulary keeps all"
    for bad in (0, -3):
        try:
            top_k_filter(logits, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"k = {bad} was accepted: raise ValueError")


test_top_k_filter()


# %% hidden="top_k_filter" points=2
def hidden_top_k_filter():
    import numpy as np

    rng = np.random.default_rng(81)
    for shape in ((1,), (8,), (4, 6), (4, 6), (2, 3, 5)):
        logits = rng.integers(-4, 5, size=shape) / 3  # few values: many ties
        kept = logits.copy()
        for k in (1, 2, 3, shape[-1], shape[-1] + 1, 1000):
            got = np.asarray(top_k_filter(logits, k))
            want = np.array(
                [
                    [z if sum(other > z for other in row) < k else -np.inf for z in row]
                    for row in logits.reshape(-1, shape[-1]).tolist()
                ]
            ).reshape(shape)
            assert np.array_equal(got, want), (
                f"wrong for k = {k} and logits {logits.tolist()}: each row has its own cut"
            )
        assert np.array_equal(logits, kept), "the input was changed"
    got = np.asarray(top_k_filter([-np.inf, 1.0, 2.0], 3))
    assert np.array_equal(got, [-np.inf, 1.0, 2.0]), "logits that are -inf already stay so"
    got = np.asarray(top_k_filter([3, 1, 2], 1))
    assert np.array_equal(got, [3, -np.inf, -np.inf]), "integer logits must give floats"
    got = np.asarray(top_k_filter(np.array([3, 1, 2], np.float32), 1))
    assert got.dtype == np.float64, f"float32 logits give float64, as in exercise 1, yours is {got.dtype}"
    got = np.asarray(top_k_filter([1.0, 1 + 1e-12, 0.0], 1))
    assert np.isfinite(got).tolist() == [False, True, False], "only equal logits tie: 1 and 1 + 1e-12 differ"
    logits = np.array([2.0, 1.0])
    top_k_filter(logits, 2)[0] = 7.0
    assert logits[0] == 2.0, "the result must be a new array also where all are kept"


hidden_top_k_filter()

# %% [markdown] task="top_p_filter" stars=3 minutes=20
# ## 3. Top-p
#
# Top-p, or nucleus sampling, keeps the smallest set of most likely tokens whose probabilities reach `p` (Holtzman et al. 2019, arXiv:1904.09751): few when the model is sure, many when it is not. Write `top_p_filter(logits, p)` for `logits` of shape `[..., V]`.
#
# Sort each row's probabilities from large to small and add them up. The token that makes the sum reach `p` is kept, and all after it become $-\infty$. Kept logits are unchanged and in their places. Of equal logits at the cut, those with lower ids come first.
#
# Example: probabilities 0.5, 0.3, 0.2. With $p = 0.6$ the first token alone gives 0.5, not enough; with the second it is 0.8, so two stay. With $p = 0.4$ one stays.
#
# At $p = 1$ all stay.
#
# <details><summary>Hint 1</summary>
#
# Ask of each token: how much probability stands *before* it in the sorted order? If that is already `p` or more, it goes. Asked this way, the token that crosses `p` stays by itself.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A stable argsort of the negated logits gives the order. Compute "before" in that order as the cumulative sum minus the token's own probability, decide there, and carry the decision back to the places of the vocabulary with `np.put_along_axis`.
#
# </details>


# %% solution="top_p_filter"
def top_p_filter(logits, p):
    """Logits outside the smallest set of likeliest tokens whose probabilities reach p, set to -inf (1904.09751).

    logits: floats [..., V]. p in (0, 1]; the token that crosses p stays. Returns a new float64 array.
    Raises ValueError for a p outside (0, 1].
    """
    ### BEGIN SOLUTION
    if not 0 < p <= 1:
        raise ValueError(f"p must be in (0, 1], got {p}")
    logits = np.asarray(logits, float)
    if p == 1:
        return logits.copy()
    order = np.argsort(-logits, kind="stable")
    ordered = np.take_along_axis(logits, order)
    weights = np.exp(ordered - ordered[..., :1])
    probabilities = weights / weights.sum(axis=-1, keepdims=True)
    before = np.cumsum(probabilities, axis=-1) - probabilities
    filtered = np.empty_like(logits)
    np.put_along_axis(filtered, order, np.where(before < p, ordered, -np.inf), axis=-1)
    return filtered
    ### END SOLUTION


# %% tryit="top_p_filter"
example = np.log([0.3, 0.5, 0.2])
for p in (0.4, 0.6, 0.9, 1.0):
    print(f"p = {p}: kept", np.isfinite(top_p_filter(example, p)))


# %% test="top_p_filter" points=1
def test_top_p_filter():
    import numpy as np

    logits = np.log([0.15, 0.5, 0.05, 0.3])
    kept = logits.copy()
    got = top_p_filter(logits, 0.6)
    assert got is not None, "top_p_filter returned None: is there a return statement?"
    got = np.asarray(got)
    assert got.shape == (4,), f"the result has the shape of the input, (4,), yours has {got.shape}"
    stays = np.isfinite(got).tolist()
    assert stays != [False, True, False, False], (
        "p = 0.6 kept only the token of 0.5: the one that crosses p (0.5 + 0.3) stays too"
    )
    assert stays != [True, True, False, False], "the cut was made in sorted order and not carried back to the token ids"
    assert stays == [False, True, False, True], f"p = 0.6 keeps the tokens of 0.5 and 0.3, you kept {stays}"
    assert np.allclose(got[[1, 3]], kept[[1, 3]]), "kept logits are unchanged"
    assert np.array_equal(logits, kept), "the input was changed: return a new array"
    assert np.isfinite(top_p_filter(logits, 0.01)).tolist() == [False, True, False, False], "the likeliest always stays"
    assert np.isfinite(top_p_filter(logits, 1.0)).all(), "p = 1 keeps all"
    for bad in (0, 1.5):
        try:
            top_p_filter(logits, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"p = {bad} was accepted: raise ValueError")


test_top_p_filter()


# %% hidden="top_p_filter" points=3
def hidden_top_p_filter():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(82)
    for shape in ((1,), (6,), (3, 7), (2, 2, 5)):
        counts = rng.integers(1, 50, size=shape)
        rows = counts.reshape(-1, shape[-1])
        for p in (Fraction(1, 100), Fraction(37, 101), Fraction(70, 101), Fraction(96, 101)):
            want = np.full(rows.shape, False)
            for r, row in enumerate(rows.tolist()):
                total, mass = sum(row), Fraction(0)
                for token in sorted(range(len(row)), key=lambda i: (-row[i], i)):
                    if mass >= p:
                        break
                    want[r, token] = True
                    mass += Fraction(row[token], total)
            # + 100: large logits, an unstable softmax overflows nowhere but must not lose the small ones
            logits = np.log(counts) + 100
            got = np.asarray(top_p_filter(logits, float(p)))
            assert np.array_equal(np.isfinite(got), want.reshape(shape)), (
                f"weights {counts.tolist()}, p = {float(p):.3f}: kept {np.isfinite(got).tolist()}, "
                f"expected {want.reshape(shape).tolist()} (each row has its own cut)"
            )
            assert np.allclose(got[np.isfinite(got)], logits[np.isfinite(got)], rtol=1e-12), "kept logits are unchanged"
    assert np.isfinite(top_p_filter(np.zeros(4), 0.5)).tolist() == [True, True, False, False], (
        "four equal logits, p = 0.5: exactly two stay, those with the lower ids"
    )
    for p, num_kept in ((0.8 - 1e-9, 2), (0.8 + 1e-9, 3)):
        got = np.isfinite(top_p_filter(np.log([0.5, 0.2, 0.3]), p)).sum()
        assert got == num_kept, (
            f"p a billionth off 0.8: {num_kept} of 0.5, 0.2, 0.3 stay, yours keeps {got}: in float64?"
        )
    got = np.asarray(top_p_filter([1000.0, 0.0, 1000.0, -np.inf], 0.75))
    assert not np.isnan(got).any(), "logits of 1000 gave nan: subtract the maximum before exp"
    assert np.array_equal(got, [1000.0, -np.inf, 1000.0, -np.inf]), f"large logits: you returned {got}"
    for given in ([2, 1], np.array([3, 5], np.float32)):
        got = np.asarray(top_p_filter(given, 1))
        assert got.dtype == np.float64, f"integer and float32 logits must give float64, also for p = 1: {got.dtype}"
        assert np.array_equal(got, given), f"p = 1 keeps all of {given}: you returned {got}"
    got = np.asarray(top_p_filter([0.0, -800.0], 1))
    assert np.array_equal(got, [0.0, -800.0]), "p = 1 keeps all, also a token too unlikely for a float"
    logits = np.log([0.4, 0.6])
    result = top_p_filter(logits, 1.0)
    result[0] = 7.0
    assert logits[0] != 7.0, "the result must be a new array also for p = 1"
    for bad in (-0.1, 1.0001, 2):
        try:
            top_p_filter(logits, bad)
        except ValueError:
            continue
        raise AssertionError(f"p = {bad} was accepted")


hidden_top_p_filter()

# %% [markdown] task="min_p_filter" stars=2 minutes=10
# ## 4. Min-p
#
# Min-p keeps each token whose probability is at least `min_p` times that of the likeliest (Nguyen et al. 2024, arXiv:2407.01082; how much it improves text is disputed). Write `min_p_filter(logits, min_p)` for `logits` of shape `[..., V]`, with dropped logits at $-\infty$ and kept ones unchanged.
#
# No softmax is needed: $p_i \ge m \cdot p_{max}$ is the same as a comparison of logits,
#
# $$z_i \ge z_{max} + \ln m$$
#
# Example: probabilities 0.5, 0.3, 0.06 and $m = 0.2$: the bar is 0.1, two stay. `min_p = 0` keeps all and `min_p = 1` only the tokens that tie for the first place.
#
# <details><summary>Hint 1</summary>
#
# The bar differs from row to row: it depends on the row's own maximum.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The logarithm of 0 is $-\infty$, which is the right bar for `min_p = 0`, but NumPy warns about it: make it a case of its own.
#
# </details>


# %% solution="min_p_filter"
def min_p_filter(logits, min_p):
    """Logits of tokens less likely than min_p times the row's likeliest, set to -inf (2407.01082).

    logits: floats [..., V]. min_p in [0, 1]. Returns a new float64 array. Raises ValueError outside [0, 1].
    """
    ### BEGIN SOLUTION
    if not 0 <= min_p <= 1:
        raise ValueError(f"min_p must be in [0, 1], got {min_p}")
    logits = np.asarray(logits, float)
    if min_p == 0:
        return logits.copy()
    bar = logits.max(axis=-1, keepdims=True) + np.log(min_p)
    return np.where(logits >= bar, logits, -np.inf)
    ### END SOLUTION


# %% tryit="min_p_filter"
print(np.isfinite(min_p_filter(np.log([0.5, 0.3, 0.14, 0.06]), 0.2)))


# %% test="min_p_filter" points=1
def test_min_p_filter():
    import numpy as np

    logits = np.log([0.06, 0.5, 0.14, 0.3])
    got = min_p_filter(logits, 0.2)
    assert got is not None, "min_p_filter returned None: is there a return statement?"
    stays = np.isfinite(got).tolist()
    assert stays != [False, True, False, True], (
        "you dropped 0.14: the bar is min_p times the largest probability, 0.1, not min_p itself"
    )
    assert stays == [False, True, True, True], f"the bar is 0.2 * 0.5 = 0.1, you kept {stays}"
    assert np.allclose(np.asarray(got)[1:], logits[1:]), "kept logits are unchanged"
    assert np.isfinite(min_p_filter(logits, 0)).all(), "min_p = 0 keeps all"
    assert np.isfinite(min_p_filter(logits, 1)).tolist() == [False, True, False, False], "min_p = 1 keeps the likeliest"
    for bad in (-0.1, 1.5):
        try:
            min_p_filter(logits, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"min_p = {bad} was accepted: raise ValueError")


test_min_p_filter()


# %% hidden="min_p_filter" points=2
def hidden_min_p_filter():
    import warnings

    import numpy as np

    rng = np.random.default_rng(83)
    for shape in ((1,), (6,), (3, 7), (3, 7), (2, 2, 5)):
        counts = rng.integers(1, 60, size=shape)
        logits = np.log(counts) - 3
        before = logits.copy()
        for percent in (3, 17, 50, 97):
            got = np.asarray(min_p_filter(logits, percent / 101))
            rows = counts.reshape(-1, shape[-1]).tolist()
            want = np.array([[101 * n >= percent * max(row) for n in row] for row in rows]).reshape(shape)
            assert np.array_equal(np.isfinite(got), want), (
                f"weights {counts.tolist()}, min_p = {percent}/101: wrong set kept"
            )
            assert np.allclose(got[want], logits[want]), "kept logits are unchanged"
        assert np.array_equal(logits, before), "the input was changed"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = np.asarray(min_p_filter([2000.0, 1999.9, -2000.0], 0.5))
        assert np.array_equal(got, [2000.0, 1999.9, -np.inf]), f"large logits: you returned {got}"
        result = min_p_filter(logits, 0)
        assert np.array_equal(result, logits), "min_p = 0 keeps all, without a warning"
    result[...] = 7.0
    assert np.array_equal(logits, before), "the result must be a new array also for min_p = 0"
    for given in ([2, 1], np.array([3, 5], np.float32)):
        got = np.asarray(min_p_filter(given, 0))
        assert got.dtype == np.float64, f"integer and float32 logits must give float64, also for min_p = 0: {got.dtype}"
        assert np.array_equal(got, given), f"min_p = 0 keeps all of {given}: you returned {got}"
    got = np.asarray(min_p_filter([3, 3, 1], 1))
    assert np.array_equal(got, [3, 3, -np.inf]), "min_p = 1 keeps every token that ties for the first place"
    kept = np.isfinite(min_p_filter([0.0, -50.0, -2000.0], 0)).tolist()
    assert all(kept), f"min_p = 0 keeps all, however unlikely; of logits 0, -50, -2000 you keep {kept}"
    kept = np.isfinite(min_p_filter(np.log([1, 1.1e-9, 0.9e-9]), 1e-9)).tolist()
    assert kept == [True, True, False], f"min_p of a billionth: nothing is rounded, you keep {kept}"


hidden_min_p_filter()

# %% [markdown] task="sample" stars=3 minutes=20
# ## 5. One draw
#
# Put the parts together. Write `sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None)`. It applies, in the order of common engines, temperature, top-k, top-p and min-p, each on what the ones before left; takes the softmax; and draws with `rng`, a NumPy `Generator`. `None` means that a filter is off.
#
# - `logits` of shape `[V]` give one token id (an `int`, Python's or NumPy's).
# - `logits` of shape `[B, V]` give one id per row: an integer array `[B]`, each row drawn on its own.
# - `temperature=0` is greedy whatever the filters say.
#
# Order matters. At temperature 2 more tokens are needed to reach `top_p` than at 1, so a filter before the temperature keeps another set. Say which order you use; this is the one of the transformers library.
#
# Use your filters from exercises 1 to 4. The checks compare the frequencies of many draws with the exact distribution by a chi-square test, from a fixed seed.
#
# <details><summary>Hint 1</summary>
#
# After the filters each row is a distribution: softmax, with $e^{-\infty} = 0$ for what was dropped. A uniform number in $[0, 1)$ picks the token whose stretch of the cumulative sum it falls into.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For one row, `rng.choice(len(p), p=p)` does the draw. For several, loop over the rows, or compare `rng.random((B, 1))` with the cumulative sums and count how many lie at or below it.
#
# </details>


# %% solution="sample"
def sample(logits, rng, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """Draw token ids: temperature, top-k, top-p, min-p in this order, then one draw per row.

    logits: floats [V] or [B, V]. rng: numpy Generator. Returns an int for [V], an int array [B] for [B, V].
    Raises ValueError as the filters do.
    """
    ### BEGIN SOLUTION
    kept = apply_temperature(logits, temperature)
    if top_k is not None:
        kept = top_k_filter(kept, top_k)
    if top_p is not None:
        kept = top_p_filter(kept, top_p)
    if min_p is not None:
        kept = min_p_filter(kept, min_p)
    weights = np.exp(kept - kept.max(axis=-1, keepdims=True))
    probabilities = weights / weights.sum(axis=-1, keepdims=True)
    if probabilities.ndim == 1:
        return int(rng.choice(len(probabilities), p=probabilities))
    return np.array([rng.choice(row.size, p=row) for row in probabilities])
    ### END SOLUTION


# %% tryit="sample"
letters = np.array(list("abcdef"))
row = np.log([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
for settings in ({}, {"temperature": 0}, {"top_k": 2}, {"top_p": 0.6}, {"temperature": 3.0, "min_p": 0.5}):
    drawn = sample(np.tile(row, (40, 1)), np.random.default_rng(8), **settings)
    print(f"{str(settings):36}", "".join(letters[drawn]))


# %% test="sample" points=2
def test_sample():
    import numpy as np

    weights = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    logits = np.log(weights)
    got = sample(logits, np.random.default_rng(0), temperature=0)
    assert got is not None, "sample returned None: is there a return statement?"
    assert got == 0, f"temperature 0 takes the likeliest token, 0, you returned {got}"
    many = np.asarray(sample(np.tile(logits, (4000, 1)), np.random.default_rng(1)))
    assert many.shape == (4000,), f"4000 rows give 4000 ids, yours have shape {many.shape}"
    counts = np.bincount(many, minlength=6)
    chi_square = ((counts - 4000 * weights) ** 2 / (4000 * weights)).sum()
    assert chi_square < 38, f"the draws do not follow the probabilities: {counts / 4000} for {weights}"
    many = np.asarray(sample(np.tile(logits, (500, 1)), np.random.default_rng(2), top_k=2))
    assert set(many.tolist()) == {0, 1}, f"top_k = 2 leaves tokens 0 and 1, you drew {sorted(set(many.tolist()))}"
    many = np.asarray(sample(np.tile(logits, (800, 1)), np.random.default_rng(3), temperature=2.0, top_p=0.5))
    assert set(many.tolist()) != {0, 1}, "at temperature 2 three tokens are needed for 0.5: apply the temperature first"
    assert set(many.tolist()) == {0, 1, 2}, f"temperature 2, then top_p = 0.5: you drew {sorted(set(many.tolist()))}"


test_sample()


# %% hidden="sample" points=4
def hidden_sample():
    import math

    import numpy as np

    def law(weights, temperature=1.0, top_k=None, top_p=None, min_p=None):
        scaled = [w ** (1 / temperature) for w in weights]
        order = sorted(range(len(scaled)), key=lambda i: -scaled[i])
        order = order[: top_k or len(order)]
        total, mass, kept = sum(scaled[i] for i in order), 0.0, []
        for i in order:
            if top_p is None or mass < top_p * total:
                kept.append(i)
            mass += scaled[i]
        kept = [i for i in kept if scaled[i] >= (min_p or 0) * scaled[order[0]]]
        return [scaled[i] / sum(scaled[j] for j in kept) if i in kept else 0.0 for i in range(len(scaled))]

    weights = [0.05, 0.33, 0.02, 0.21, 0.13, 0.26]
    cases = [
        {},
        {"temperature": 0.5},
        {"temperature": 3.0},
        {"top_k": 3},
        {"top_p": 0.7},
        {"min_p": 0.3},
        {"top_k": 3, "top_p": 0.7},
        {"temperature": 2.0, "top_k": 4, "top_p": 0.8, "min_p": 0.85},
        {"temperature": 0.7, "top_p": 0.95},
        {"temperature": 2.0, "min_p": 0.5},
        {"top_p": 0.4, "min_p": 0.5},  # min-p first would leave one token, since top-p would see a larger share
    ]
    draws = 3000
    for seed, settings in enumerate(cases):
        want = np.array(law(weights, **settings))
        rows = np.tile(np.log(weights) + 50 * (seed % 2), (draws, 1))
        got = np.asarray(sample(rows, np.random.default_rng(800 + seed), **settings))
        counts = np.bincount(got, minlength=6)
        assert counts[want == 0].sum() == 0, f"{settings}: a filtered token was drawn, frequencies {counts / draws}"
        possible = want > 0
        chi_square = ((counts - draws * want)[possible] ** 2 / (draws * want[possible])).sum()
        # about one right answer in a million lies beyond this bound
        bound = possible.sum() + 6 * math.sqrt(2 * possible.sum()) + 12
        assert chi_square < bound, (
            f"{settings}: frequencies {(counts / draws).round(3)}, the exact distribution is {want.round(3)} "
            f"(chi-square {chi_square:.0f}, bound {bound:.0f}): wrong order of the filters, or no renormalising?"
        )
    logits = np.log([[0.5, 0.5, 1e-9], [1e-9, 0.5, 0.5]]) + np.array([[1000], [-1000]])
    got = [np.asarray(sample(logits, np.random.default_rng(s))).tolist() for s in range(40)]
    pairs = {tuple(pair) for pair in got}
    assert pairs == {(0, 1), (0, 2), (1, 1), (1, 2)}, f"each row is drawn on its own; in 40 draws you gave only {pairs}"
    first = sample(np.log(weights), np.random.default_rng(7), temperature=1.0)
    even = np.zeros((64, 1000))  # that two other generators give 64 equal ids of 1000 does not happen
    twice = [np.asarray(sample(even, np.random.default_rng(7))).tolist() for _ in range(2)]
    assert hasattr(sample(logits, np.random.default_rng(1)), "shape"), "several rows give an array of ids, not a list"
    assert twice[0] == twice[1], "equal generators give equal draws: use the rng that was passed in, not np.random"
    assert isinstance(first, (int, np.integer)), f"one row gives one id, an int, yours is {type(first).__name__}"
    greedy = [sample([1.0, 9.0, 9.0], np.random.default_rng(s), 0, top_p=0.4) for s in range(5)]
    assert greedy == [1] * 5, f"temperature 0: the first maximum, every time; you returned {greedy}"
    assert sample(np.array([20.0, 20.001]), np.random.default_rng(0), 0) == 1, "temperature 0: 20.001 is larger than 20"
    greedy = np.asarray(sample([[1.0, 9.0, 2.0], [7.0, 0.0, 1.0]], np.random.default_rng(0), 0)).tolist()
    assert greedy == [1, 0], f"temperature 0, two rows: one id for each row, 1 and 0; you returned {greedy}"
    wide = np.full(40_000, -1e4)
    wide[39_999] = 0.0
    got = sample(wide, np.random.default_rng(0)), int(sample(wide[None], np.random.default_rng(0))[0])
    assert got == (39_999, 39_999), f"a vocabulary of 40000: ids need more than 16 bits, you drew {got}"
    try:
        sample([1.0, 2.0], np.random.default_rng(0), top_k=0)
    except ValueError:
        pass
    else:
        raise AssertionError("top_k = 0 was accepted: k below 1 makes no sense, None means off")


hidden_sample()

# %% [markdown] task="diversity" stars=2 minutes=15
# ## 6. How varied is the text?
#
# Write `diversity(samples)` for `samples`, a list of token-id lists (several answers to one prompt). Return a dict of three floats:
#
# - `"distinct_1"`: different tokens over all tokens, all samples together;
# - `"distinct_2"`: different pairs of neighbours over all such pairs; a pair does not reach across two samples (Li et al. 2016, arXiv:1510.03055);
# - `"entropy"`: the entropy of the tokens' frequencies in nats, $-\sum_i f_i \ln f_i$.
#
# Where there is nothing to count (no token, or no pair), the value is 0.0.
#
# Example: `[[1, 2, 1], [1, 2]]`: 2 different of 5 tokens give 0.4; the pairs are (1,2), (2,1), (1,2), so 2 of 3; the frequencies are 3/5 and 2/5, entropy 0.673.
#
# <details><summary>Hint 1</summary>
#
# Make one flat list of all tokens and one of all pairs, and count both. Pairs are made inside each sample.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `zip(sample, sample[1:])` gives a sample's pairs. `np.unique(..., return_counts=True)` or `collections.Counter` gives the counts for the entropy.
#
# </details>


# %% solution="diversity"
def diversity(samples):
    """Variety of several token lists: {"distinct_1", "distinct_2", "entropy"} (1510.03055; entropy in nats).

    samples: list of lists of token ids. Values are floats; 0.0 where there is no token or no pair.
    """
    ### BEGIN SOLUTION
    tokens = [token for sample in samples for token in sample]
    pairs = [pair for sample in samples for pair in zip(sample, sample[1:])]
    _, counts = np.unique(tokens, return_counts=True)
    frequencies = counts / len(tokens)
    return {
        "distinct_1": len(set(tokens)) / max(len(tokens), 1),
        "distinct_2": len(set(pairs)) / max(len(pairs), 1),
        "entropy": float(-(frequencies * np.log(frequencies)).sum()),
    }
    ### END SOLUTION


# %% tryit="diversity"
print(diversity([[1, 2, 1], [1, 2]]))


# %% test="diversity" points=1
def test_diversity():
    got = diversity([[1, 2, 1], [1, 2]])
    assert isinstance(got, dict), f"return a dict, not {type(got).__name__}"
    missing = {"distinct_1", "distinct_2", "entropy"} - set(got)
    assert not missing, f"the keys {sorted(missing)} are missing"
    assert abs(got["distinct_1"] - 0.4) < 1e-12, f"2 different of 5 tokens are 0.4, you returned {got['distinct_1']}"
    assert abs(got["distinct_2"] - 0.5) > 1e-12, "2 of 4 counts the pair (1, 1) that reaches across two samples"
    assert abs(got["distinct_2"] - 2 / 3) < 1e-12, f"2 different of 3 pairs, you returned {got['distinct_2']}"
    assert abs(got["entropy"] - 0.971) > 1e-3, "0.971 is in bits: use the natural logarithm"
    assert abs(got["entropy"] - 0.6730116670) < 1e-9, f"the entropy is 0.673 nats, you returned {got['entropy']}"


test_diversity()


# %% hidden="diversity" points=2
def hidden_diversity():
    import math

    import numpy as np

    got = diversity([[1, 12], [11, 2]])["distinct_2"]
    assert got == 1, f"the pairs 1, 12 and 11, 2 are two different ones: 1.0, you returned {got}"
    rng = np.random.default_rng(86)
    for vocabulary in (1, 3, 10, 40):
        samples = [rng.integers(0, vocabulary, size=n).tolist() for n in rng.integers(0, 12, size=5).tolist()] + [
            [1, 2]
        ]
        got, seen, pairs, total, num_pairs = diversity(samples), {}, {}, 0, 0
        for s in samples:
            for i, token in enumerate(s):
                seen[token] = seen.get(token, 0) + 1
                total += 1
                if i:
                    pairs[s[i - 1], token] = True
                    num_pairs += 1
        assert abs(got["distinct_1"] - len(seen) / total) < 1e-12, f"distinct_1 of {samples}"
        assert abs(got["distinct_2"] - len(pairs) / num_pairs) < 1e-12, f"distinct_2 of {samples}"
        entropy = sum(n / total * math.log(total / n) for n in seen.values())
        assert abs(got["entropy"] - entropy) < 1e-9, f"entropy of {samples}: {entropy}, you returned {got['entropy']}"
    for empty in ([], [[]], [[], []]):
        got = diversity(empty)
        assert got == {"distinct_1": 0.0, "distinct_2": 0.0, "entropy": 0.0}, f"nothing to count in {empty}: got {got}"
        kinds = {key: type(value).__name__ for key, value in got.items() if not isinstance(value, float)}
        assert not kinds, f"three floats, also where there is nothing to count: {kinds}"
    got = diversity([[0, 50_000], [1, 49_000], [10, 40_000], [5, 0], [4, 1000], [3, 2000]])["distinct_2"]
    assert got == 1.0, (
        f"six different pairs of large ids are six, you returned {got}: compare pairs, not a number of them"
    )
    assert diversity([[4]])["distinct_1"] == 1.0, "one token of one: 1.0"
    assert diversity([[4, 5]])["distinct_2"] == 1.0, "one pair of one: 1.0"
    got = diversity([[4], [4]])
    assert got["distinct_1"] == 0.5 and got["distinct_2"] == 0.0, f"single tokens make no pairs: {got}"
    assert abs(got["entropy"]) < 1e-12, "one token only: entropy 0"


hidden_diversity()

# %% [markdown] task="ttft_ms" stars=1 minutes=5
# ## 7. Time to first token
#
# A request waits in the queue, its prompt goes through the model, and the first token is drawn. Write `ttft_ms(queue, prefill, sample)`: the time to first token in milliseconds from its three parts, each in milliseconds.
#
# Example: 10 ms of queue, 90 ms of prefill and 1 ms for the draw give 101 ms.
#
# <details><summary>Hint 1</summary>
#
# The three things happen one after the other.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Check the three values in a loop before you add them up.
#
# </details>


# %% solution="ttft_ms"
def ttft_ms(queue, prefill, sample):
    """Time to first token in ms: queue + prefill + sample, each in ms. Raises ValueError for a negative part."""
    ### BEGIN SOLUTION
    for part in (queue, prefill, sample):
        if part < 0:
            raise ValueError(f"a time must not be negative, got {part}")
    return queue + prefill + sample
    ### END SOLUTION


# %% tryit="ttft_ms"
print(ttft_ms(queue=10, prefill=90, sample=1), "ms")


# %% test="ttft_ms" points=1
def test_ttft_ms():
    got = ttft_ms(10, 90, 1)
    assert got is not None, "ttft_ms returned None: is there a return statement?"
    assert got != 100, "100 leaves out the draw of the token"
    assert got != 91, "91 leaves out the queue: users wait from the moment they ask"
    assert got == 101, f"10 + 90 + 1 = 101 ms, you returned {got}"
    try:
        ttft_ms(10, -90, 1)
    except ValueError as error:
        assert "-90" in str(error), f"the ValueError should name the bad value -90, it says: {error}"
    else:
        raise AssertionError("a prefill of -90 ms was accepted: raise ValueError")


test_ttft_ms()


# %% hidden="ttft_ms" points=1
def hidden_ttft_ms():
    assert ttft_ms(0, 0, 0) == 0, "nothing to wait for: 0 ms"
    assert abs(ttft_ms(0.25, 17.5, 0.125) - 17.875) < 1e-12, "fractions of a millisecond count"
    assert abs(ttft_ms(0.1, 17.3, 0.023456) - 17.423456) < 1e-9, "nothing is rounded"
    for bad in ((-1, 2, 3), (1, 2, -3), (-0.5, 0, 0), (0, -0.5, 0)):
        try:
            ttft_ms(*bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted")


hidden_ttft_ms()

# %% [markdown] task="total_latency_ms" stars=1 minutes=10
# ## 8. The whole answer
#
# Write `total_latency_ms(ttft, tpot, output_tokens)`: milliseconds from the request to its last token, when the first token comes after `ttft` ms and each later one `tpot` ms after the one before.
#
# The first token is inside TTFT, so $n$ tokens have $n - 1$ intervals after it:
#
# $$\text{total} = \text{TTFT} + (n - 1) \cdot \text{TPOT}$$
#
# You will often meet $\text{TTFT} + n \cdot \text{TPOT}$; it counts the first token twice. Example: TTFT 101 ms, TPOT 20 ms, 50 tokens: 1081 ms (the popular form says 1101).
#
# <details><summary>Hint 1</summary>
#
# With one output token, how long does the request take?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Fence posts: between $n$ posts there are $n - 1$ gaps.
#
# </details>


# %% solution="total_latency_ms"
def total_latency_ms(ttft, tpot, output_tokens):
    """Milliseconds to the last of output_tokens tokens: the first comes with TTFT, n - 1 intervals follow.

    ttft, tpot: ms, not negative. output_tokens: at least 1. Raises ValueError otherwise.
    """
    ### BEGIN SOLUTION
    if ttft < 0 or tpot < 0:
        raise ValueError(f"a time must not be negative, got ttft={ttft}, tpot={tpot}")
    if output_tokens < 1:
        raise ValueError(f"output_tokens must be at least 1, got {output_tokens}")
    return ttft + (output_tokens - 1) * tpot
    ### END SOLUTION


# %% tryit="total_latency_ms"
print(total_latency_ms(101, 20, 50), "ms, where the popular form says", 101 + 50 * 20)


# %% test="total_latency_ms" points=1
def test_total_latency_ms():
    got = total_latency_ms(101, 20, 50)
    assert got is not None, "total_latency_ms returned None: is there a return statement?"
    assert got != 1101, "1101 is TTFT + n * TPOT: the first token is inside TTFT already"
    assert got == 1081, f"101 + 49 * 20 = 1081 ms, you returned {got}"
    try:
        total_latency_ms(101, 20, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("0 output tokens were accepted: raise ValueError")


test_total_latency_ms()


# %% hidden="total_latency_ms" points=1
def hidden_total_latency_ms():
    assert total_latency_ms(101, 20, 1) == 101, "one token: the request ends with its first token"
    assert total_latency_ms(0, 0, 5) == 0, "times of 0 are allowed"
    for ttft, tpot, n in ((3.5, 0.25, 9), (1 / 3, 1 / 7, 9), (80, 33, 2), (12, 7, 300)):
        clock = ttft
        for _ in range(n - 1):
            clock += tpot
        assert abs(total_latency_ms(ttft, tpot, n) - clock) < 1e-9, f"ttft {ttft}, tpot {tpot}, {n} tokens: {clock} ms"
    for bad in ((-1, 2, 3), (1, -2, 3), (1, -0.5, 3), (-0.5, 2, 3), (1, 2, -3), (1, -2, 1)):
        try:
            total_latency_ms(*bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted")


hidden_total_latency_ms()

# %% [markdown] task="latency_metrics" stars=2 minutes=20
# ## 9. Metrics from timestamps
#
# A streaming client notes when it sent the request and when each token came, all in seconds on one clock. Write `latency_metrics(token_times, request_time)`. Return a dict of floats:
#
# - `"ttft_s"`: seconds from the request to the first token;
# - `"tpot_s"`: mean seconds per token after the first, $(t_n - t_1) / (n - 1)$;
# - `"itl_p50_s"`, `"itl_p95_s"`, `"itl_p99_s"`: percentiles of the inter-token latencies, the $n - 1$ gaps between neighbours (`np.percentile` with its default, linear interpolation);
# - `"tokens_per_s"`: tokens over seconds from the request to the last token.
#
# TPOT hides stalls: nine gaps of 10 ms and one of 500 ms have a harmless mean and a percentile that shows what the user saw.
#
# With a single token there is no gap: the TPOT and the percentiles are 0.0. Times must not go backwards: no token before the request, or before the one ahead of it.
#
# Example: request at 1.0, tokens at 1.5, 1.6, 1.8: TTFT 0.5, TPOT 0.15, the median gap 0.15, 3 tokens in 0.8 s.
#
# <details><summary>Hint 1</summary>
#
# `np.diff` gives the gaps. Everything but TTFT and tokens per second comes from them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Put the request's time in front of the token times: if any gap of that list is negative, time went backwards. Mind the case of one token before you take a mean of nothing.
#
# </details>


# %% solution="latency_metrics"
def latency_metrics(token_times, request_time):
    """Latency of one streamed answer: ttft_s, tpot_s, itl_p50_s, itl_p95_s, itl_p99_s, tokens_per_s.

    token_times: seconds at which each token came; request_time: seconds, the same clock. Returns a dict of floats;
    tpot_s and the percentiles are 0.0 for a single token. Raises ValueError without tokens or for times that go back.
    """
    ### BEGIN SOLUTION
    times = np.asarray(token_times, float)
    if times.size == 0:
        raise ValueError("token_times is empty: there is nothing to measure")
    if (np.diff(times, prepend=request_time) < 0).any():
        raise ValueError(f"times go backwards: request at {request_time}, tokens at {token_times}")
    gaps = np.diff(times) if times.size > 1 else np.zeros(1)
    p50, p95, p99 = np.percentile(gaps, [50, 95, 99])
    return {
        "ttft_s": float(times[0] - request_time),
        "tpot_s": float(gaps.mean()),
        "itl_p50_s": float(p50),
        "itl_p95_s": float(p95),
        "itl_p99_s": float(p99),
        "tokens_per_s": float(times.size / (times[-1] - request_time)),
    }
    ### END SOLUTION


# %% tryit="latency_metrics"
smooth = 1.0 + 0.1 * np.arange(1, 21)
stalled = np.where(np.arange(20) < 10, smooth, smooth + 1.0)
for name, times in (("smooth", smooth), ("one stall", stalled)):
    print(f"{name:10}", {key: round(value, 3) for key, value in latency_metrics(times.tolist(), 1.0).items()})


# %% test="latency_metrics" points=1
def test_latency_metrics():
    got = latency_metrics([1.5, 1.6, 1.8], 1.0)
    assert isinstance(got, dict), f"return a dict, not {type(got).__name__}"
    missing = {"ttft_s", "tpot_s", "itl_p50_s", "itl_p95_s", "itl_p99_s", "tokens_per_s"} - set(got)
    assert not missing, f"the keys {sorted(missing)} are missing"
    assert abs(got["ttft_s"] - 0.5) < 1e-9, (
        f"the first token came 0.5 s after the request, you returned {got['ttft_s']}"
    )
    assert abs(got["tpot_s"] - 0.1) > 1e-9, "0.1 divides by n: three tokens have two gaps after the first"
    assert abs(got["tpot_s"] - 0.8 / 3) > 1e-6, "0.267 spreads the TTFT over the tokens: start at the first token"
    assert abs(got["tpot_s"] - 0.15) < 1e-9, f"0.3 s over 2 gaps are 0.15 s, you returned {got['tpot_s']}"
    assert abs(got["itl_p50_s"] - 0.15) < 1e-9, f"the median of 0.1 and 0.2 is 0.15, you returned {got['itl_p50_s']}"
    assert abs(got["tokens_per_s"] - 3.75) < 1e-9, f"3 tokens in 0.8 s are 3.75 per second, not {got['tokens_per_s']}"
    try:
        latency_metrics([], 0.0)
    except ValueError:
        pass
    else:
        raise AssertionError("an empty list was accepted: raise ValueError")


test_latency_metrics()


# %% hidden="latency_metrics" points=3
def hidden_latency_metrics():
    import numpy as np

    def percentile(values, q):
        ordered = sorted(values)
        place = q / 100 * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (place - low) * (ordered[high] - ordered[low])

    rng = np.random.default_rng(89)
    for n in (2, 3, 17, 60):
        start = float(rng.uniform(0, 100))
        gaps = rng.exponential(0.05, size=n).tolist()
        times, clock = [], start
        for gap in gaps:
            clock += gap
            times.append(clock)
        given = list(times)
        got = latency_metrics(given, start)
        assert given == times, "the caller's times were changed"
        want = {
            "ttft_s": gaps[0],
            "tpot_s": sum(gaps[1:]) / (n - 1),
            "itl_p50_s": percentile(gaps[1:], 50),
            "itl_p95_s": percentile(gaps[1:], 95),
            "itl_p99_s": percentile(gaps[1:], 99),
            "tokens_per_s": n / sum(gaps),
        }
        for key, value in want.items():
            assert abs(got[key] - value) < 1e-7 * max(1, abs(value)), (
                f"{key} of {n} tokens: {value}, you returned {got[key]}"
            )
    got = latency_metrics([2.5], 2.0)
    assert got["tpot_s"] == got["itl_p50_s"] == got["itl_p99_s"] == 0.0, (
        f"one token has no gaps: 0.0, you returned {got}"
    )
    assert abs(got["ttft_s"] - 0.5) < 1e-12 and abs(got["tokens_per_s"] - 2.0) < 1e-12, f"one token after 0.5 s: {got}"
    got = latency_metrics((1.0, 1.0, 2.0), 0.0)
    assert abs(got["tpot_s"] - 0.5) < 1e-12, "two tokens may come at the same time"
    for bad in (([0.5, 1.0], 0.6), ([1.0, 0.9, 1.2], 0.0)):
        try:
            latency_metrics(*bad)
        except ValueError:
            continue
        raise AssertionError(f"times that go backwards were accepted: {bad}")


hidden_latency_metrics()

# %% [markdown] task="measure_ttft_tpot" stars=3 minutes=20
# ## 10. Measure a model
#
# Write `measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter)`: for each prompt length, the median TTFT and TPOT of `repeats` runs, in seconds.
#
# `model` has three methods: `prompt(length)` makes a list of `length` token ids, `prefill(ids)` runs the prompt and returns the first new token, and `decode(token)` feeds one token and returns the next. `prefill` starts a new request each time; the model keeps the cache itself.
#
# One run: read the clock, call `prefill`, read the clock (that is the TTFT), then call `decode` `new_tokens - 1` times, each on the token before, and read the clock again. The TPOT is that last stretch over `new_tokens - 1`. Run each length once without counting it, to warm up, then `repeats` times. Return a list of dicts, one per length in the given order, with the keys `"prompt_length"`, `"ttft_s"`, `"tpot_s"`. Read the time by calling `clock()`.
#
# The checks pass a clock of their own, which moves only while the model works, so they know every time exactly and never ask for a speed.
#
# <details><summary>Hint 1</summary>
#
# Write a helper for one run that returns the pair of times, call it `repeats + 1` times, and forget the first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Three clock readings per run: before the prefill, after it, after the last decode. `np.median` over the runs, for each of the two times by itself.
#
# </details>


# %% solution="measure_ttft_tpot"
def measure_ttft_tpot(model, prompt_lengths, new_tokens=8, repeats=3, clock=time.perf_counter):
    """Median TTFT and TPOT in seconds for each prompt length, after one uncounted run.

    model: prompt(length), prefill(ids), decode(token), as above. clock() gives seconds. Returns a list of
    dicts prompt_length, ttft_s, tpot_s. Raises ValueError for new_tokens < 2 or repeats < 1.
    """
    ### BEGIN SOLUTION
    if new_tokens < 2:
        raise ValueError(f"new_tokens must be at least 2, got {new_tokens}")
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, got {repeats}")

    def one_run(ids):
        start = clock()
        token = model.prefill(ids)
        first = clock()
        for _ in range(new_tokens - 1):
            token = model.decode(token)
        return first - start, (clock() - first) / (new_tokens - 1)

    rows = []
    for length in prompt_lengths:
        ids = model.prompt(length)
        runs = [one_run(ids) for _ in range(repeats + 1)][1:]
        ttft, tpot = np.median(runs, axis=0)
        rows.append({"prompt_length": length, "ttft_s": float(ttft), "tpot_s": float(tpot)})
    return rows
    ### END SOLUTION


# %% [markdown]
# The next cell wraps the course's engine in these three methods: the real SmolLM2-135M where it is cached on this machine, else the small 2-layer checkpoint. Which of the two times grows with the prompt?

# %% tryit="measure_ttft_tpot"
import torch

from mini_engine.model import Llama
from mini_engine.plotting import figure, show
from mini_engine.weights import load_smollm2, load_tiny, smollm2_is_cached


class EngineModel:
    def __init__(self):
        self.llama = Llama(*(load_smollm2() if smollm2_is_cached() else load_tiny()))

    def prompt(self, length):
        return np.random.default_rng(length).integers(3, 500, size=length).tolist()

    def prefill(self, ids):
        self.cache = self.llama.new_cache(len(ids) + 64)
        return self.feed(ids)

    def decode(self, token):
        return self.feed([token])

    def feed(self, ids):
        with torch.inference_mode():
            hidden = self.llama.hidden_states(torch.tensor([ids]), self.cache)
            return int(self.llama.lm_head(hidden[:, -1]).argmax())


rows = measure_ttft_tpot(EngineModel(), (16, 64, 128, 256))
fig, ax = figure()
for key, style in (("ttft_s", "o-"), ("tpot_s", "s--")):
    ax.plot([row["prompt_length"] for row in rows], [1e3 * row[key] for row in rows], style, label=key[:-2].upper())
ax.set(xlabel="prompt length (tokens)", ylabel="time (ms)", title="Median of 3 on this machine")
ax.legend()
show(fig, alt="TTFT and TPOT in milliseconds against the prompt length: TTFT rises with it, TPOT hardly.")


# %% test="measure_ttft_tpot" points=1
def test_measure_ttft_tpot():
    class Recorder:
        lends = ("prompt", "prefill", "decode")

        def __init__(self):
            self.calls = []

        def prompt(self, length):
            return list(range(length))

        def prefill(self, ids):
            self.calls.append(("prefill", len(ids)))
            return 100

        def decode(self, token):
            self.calls.append(("decode", token))
            return token + 1

    model = Recorder()
    got = measure_ttft_tpot(model, (4, 2), new_tokens=3, repeats=2)
    assert isinstance(got, list) and len(got) == 2, f"return a list with one dict per prompt length, not {got!r}"
    for row, length in zip(got, (4, 2)):
        assert {"prompt_length", "ttft_s", "tpot_s"} <= set(row), (
            f"a row has the keys prompt_length, ttft_s, tpot_s: {row}"
        )
        assert row["prompt_length"] == length, f"the rows keep the order of the lengths: {got}"
        assert row["ttft_s"] >= 0 and row["tpot_s"] >= 0, f"times are not negative: {row}"
    prefills = [size for kind, size in model.calls if kind == "prefill"]
    counts = (prefills.count(4), prefills.count(2))
    assert counts != (2, 2), "no warm-up: run each length once more and forget the first run"
    assert counts == (3, 3), f"2 repeats and a warm-up are 3 prefills per length, you made {prefills}"
    decodes = [token for kind, token in model.calls if kind == "decode"]
    assert len(decodes) != 18, "3 new tokens need 2 decode calls: the first token comes out of the prefill"
    assert decodes == [100, 101] * 6, f"each decode gets the token before it, yours got {decodes[:4]} at first"
    try:
        measure_ttft_tpot(model, (4,), new_tokens=1)
    except ValueError as error:
        assert "1" in str(error), f"the ValueError should name the bad value 1, it says: {error}"
    else:
        raise AssertionError("new_tokens = 1 was accepted: without a second token there is no TPOT")


test_measure_ttft_tpot()


# %% hidden="measure_ttft_tpot" points=3
def hidden_measure_ttft_tpot():
    class Paced:
        """A model with a clock of its own: each call moves it by the next number of seconds of its prompt's length."""

        lends = ("clock", "prompt", "prefill", "decode")

        def __init__(self, script):
            self.script, self.now = script, 64.0  # {length: (seconds of its prefills, seconds of its decodes)}

        def clock(self):
            return self.now

        def prompt(self, length):
            self.now += 1000.0
            return [0] * length

        def prefill(self, ids):
            self.prefill_s, self.decode_s = self.script[len(ids)]
            self.now += self.prefill_s.pop(0)
            return 0

        def decode(self, token):
            self.now += self.decode_s.pop(0)
            return token

    def measure_all(script, **settings):
        model = Paced(script)
        return measure_ttft_tpot(model, list(script), clock=model.clock, **settings)

    def measure(prefill_s, decode_s, **settings):
        return measure_all({5: (prefill_s, decode_s)}, **settings)

    warm = [9.0, 9.0]  # what the uncounted first run takes
    got = measure([8.0, 0.25, 0.25, 0.25], warm + [0.5, 0.75] * 3, new_tokens=3, repeats=3)[0]
    assert got["ttft_s"] < 100, "making the prompt is not part of the TTFT: call prompt() before you read the clock"
    assert got["ttft_s"] == 0.25, f"each prefill takes 0.25 s (the warm-up 8 s), you returned {got['ttft_s']}"
    assert got["tpot_s"] != 1.25 / 3, "divide by new_tokens - 1: the first token came out of the prefill"
    assert got["tpot_s"] == 0.625, f"decodes of 0.5 and 0.75 s are 0.625 s per token, you returned {got['tpot_s']}"
    got = measure([0, 0.5, 0.25, 8.0], [0.0] + [0.125, 4.0, 0.25], new_tokens=2, repeats=3)[0]
    assert got["ttft_s"] == 0.5, (
        f"runs of 0.5, 0.25 and 8 s have the median 0.5, you returned {got['ttft_s']}: not the mean"
    )
    assert got["tpot_s"] == 0.25, f"runs of 0.125, 4 and 0.25 s have the median 0.25, you returned {got['tpot_s']}"
    got = measure([0, 1.0, 3.0], [0.0] + [0.5, 0.25], new_tokens=2, repeats=2)[0]
    assert (got["ttft_s"], got["tpot_s"]) == (2.0, 0.375), f"two runs: the median is their middle, you returned {got}"
    got = measure_all({7: ([0, 1.0], [0.0, 0.5]), 3: ([0, 2.0], [0.0, 0.25])}, new_tokens=2, repeats=1)
    assert [(row["prompt_length"], row["ttft_s"], row["tpot_s"]) for row in got] == [(7, 1.0, 0.5), (3, 2.0, 0.25)], (
        f"each length has its own warm-up and its own numbers, you returned {got}"
    )
    got = measure([0, 0.123456], [0.0] + [0.654321], new_tokens=2, repeats=1)[0]
    off = max(abs(got["ttft_s"] - 0.123456), abs(got["tpot_s"] - 0.654321))
    assert off < 1e-9, f"0.123456 and 0.654321 s: nothing is rounded, you returned {got}"
    model = Paced({3: ([1.0] * 4, [0.5] * 4)})
    got = measure_ttft_tpot(model, [3, 3], new_tokens=2, repeats=1, clock=model.clock)
    assert [row["ttft_s"] for row in got] == [1.0, 1.0], f"a length that stands twice is measured twice: {got}"
    lengths, model = [5], Paced({5: ([1.0] * 4, [0.5] * 28)})
    measure_ttft_tpot(model, lengths, clock=model.clock)
    assert lengths == [5], f"the caller's lengths were changed to {lengths}"
    assert measure_all({}) == [], "no lengths: an empty list"
    assert len(measure([1.0] * 4, [0.5] * 28)) == 1, "by default 8 new tokens and 3 repeats"
    for bad in ({"new_tokens": 0}, {"new_tokens": 1}, {"repeats": 0}):
        try:
            measure([0.0] * 9, [0.0] * 99, **bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted")


hidden_measure_ttft_tpot()

# %% [markdown] task="goodput" stars=2 minutes=15
# ## 11. Goodput
#
# Throughput counts all requests; goodput, as this course uses the word, counts those that met their objectives. (DistServe, Zhong et al. 2024, arXiv:2401.09670, means by it the highest request rate per GPU at which a chosen share of the requests, such as 90 percent, still does.) Write `goodput(requests, ttft_slo, tpot_slo)`: requests per second that met *both* objectives.
#
# `requests` is a list of dicts with `"request_time"` and `"token_times"`, in seconds on one clock, as in exercise 9. A request meets the objectives when its TTFT is at most `ttft_slo` and its TPOT at most `tpot_slo`, both in seconds; a request with a single token has no TPOT and needs only the first, and one whose `token_times` are empty failed and meets nothing. Divide by the seconds from the earliest request to the last token of any request.
#
# Example: two requests at 0; one gets tokens at 0.2, 0.3, 0.4, the other at 1.5, 1.6, 2.0. With a TTFT objective of 0.5 s and a TPOT objective of 0.15 s one request is good, in 2 seconds: 0.5 requests per second.
#
# No requests, or none with a token, give 0.0.
#
# <details><summary>Hint 1</summary>
#
# First decide for one request whether it is good; then count; then find the span of time, which belongs to all requests and not only to the good ones.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `latency_metrics` of exercise 9 gives both numbers for a request with tokens, and a TPOT of 0.0 for a single one, which meets any objective.
#
# </details>


# %% solution="goodput"
def goodput(requests, ttft_slo, tpot_slo):
    """Requests per second that met both objectives, over the time from the first request to the last token.

    requests: dicts with request_time and token_times (seconds). Objectives in seconds, positive, else ValueError.
    Method: Zhong et al. 2024 (2401.09670), section 2.
    """
    ### BEGIN SOLUTION
    for slo in (ttft_slo, tpot_slo):
        if slo <= 0:
            raise ValueError(f"an objective must be positive, got {slo}")
    num_good = 0
    for request in requests:
        times, start = request["token_times"], request["request_time"]
        if times:
            tpot = (times[-1] - times[0]) / max(len(times) - 1, 1)
            num_good += times[0] - start <= ttft_slo and tpot <= tpot_slo
    ends = [request["token_times"][-1] for request in requests if request["token_times"]]
    if not ends:
        return 0.0
    return num_good / (max(ends) - min(request["request_time"] for request in requests))
    ### END SOLUTION


# %% tryit="goodput"
example = [{"request_time": 0.0, "token_times": [0.2, 0.3, 0.4]}, {"request_time": 0.0, "token_times": [1.5, 1.6, 2.0]}]
for ttft_slo in (0.1, 0.5, 2.0):
    print(f"TTFT within {ttft_slo} s: {goodput(example, ttft_slo, tpot_slo=0.3)} requests per second")


# %% test="goodput" points=1
def test_goodput():
    requests = [
        {"request_time": 0.0, "token_times": [0.25, 0.375, 0.5]},
        {"request_time": 0.0, "token_times": [1.5, 1.625, 2.0]},
    ]
    got = goodput(requests, 0.5, 0.15)
    assert got is not None, "goodput returned None: is there a return statement?"
    assert got != 1.0, "1.0 is the throughput: the second request missed its TTFT"
    assert got != 2.0, "2.0 divides by the time of the good request; the span is that of all, 2 seconds"
    assert got == 0.5, f"1 good request in 2 seconds is 0.5 per second, you returned {got}"
    got = goodput(requests, 5.0, 0.15)
    assert got == 0.5, f"the second request's TPOT of 0.25 s misses 0.15 s: 0.5 per second, you returned {got}"
    assert goodput(requests, 5.0, 0.25) == 1.0, "an objective that is met exactly is met"
    assert goodput([], 1, 1) == 0.0, "no requests: 0.0"
    try:
        goodput(requests, 0, 1)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("ttft_slo = 0 was accepted: raise ValueError")


test_goodput()


# %% hidden="goodput" points=3
def hidden_goodput():
    import numpy as np

    rng = np.random.default_rng(811)
    for _ in range(30):
        requests, good, first, last = [], 0, None, None
        ttft_slo, tpot_slo = (n / 64 for n in rng.integers(8, 40, size=2).tolist())  # 64ths: exact in floats
        for _ in range(int(rng.integers(1, 9))):
            start = int(rng.integers(0, 256)) / 64
            gaps = (rng.integers(1, 48, size=int(rng.integers(0, 6))) / 64).tolist()
            times, clock = [], start
            for gap in gaps:
                clock += gap
                times.append(clock)
            requests.append({"request_time": start, "token_times": times})
            first = start if first is None else min(first, start)
            if times:
                last = times[-1] if last is None else max(last, times[-1])
                later = gaps[1:]
                good += gaps[0] <= ttft_slo and (not later or sum(later) <= tpot_slo * len(later))
        want = 0.0 if last is None else good / (last - first)
        got = goodput(requests, ttft_slo, tpot_slo)
        assert abs(got - want) < 1e-9, f"{requests}, TTFT {ttft_slo}, TPOT {tpot_slo}: {want}, you returned {got}"
    single = [{"request_time": 1.0, "token_times": [1.5]}]
    assert goodput(single, 0.5, 0.001) == 2.0, "a single token has no TPOT to miss"
    failed = [{"request_time": 0.0, "token_times": []}]
    assert goodput(failed, 1, 1) == 0.0, "a request without tokens failed"
    assert goodput(failed + single, 0.5, 1) == 1 / 1.5, (
        "a failed request is not good, but its waiting counts in the time"
    )
    given = [{"request_time": 2.0, "token_times": [3.0, 3.5]}, {"request_time": 1.0, "token_times": [4.0]}]
    kept = [{"request_time": r["request_time"], "token_times": list(r["token_times"])} for r in given]
    goodput(given, 1, 1)
    assert given == kept, "the caller's requests were changed"
    for bad, requests in (((-1, 1), single), ((1, -1), single), ((1, 0), single), ((0, 1), []), ((1, -2), failed)):
        try:
            goodput(requests, *bad)
        except ValueError:
            continue
        raise AssertionError(f"objectives {bad} were accepted for {len(requests)} requests")


hidden_goodput()

# %% [markdown]
# ## 12. Which number matters?
#
# Two services run on the same GPU. One is a chat window; the other reads a million documents overnight and writes a line about each.

# %% [markdown] answer="choose_metric" points=4
# *Written answer.* For each of the two services, name the metric you would promise and the one you would give up for it, say how the batch size moves both, and give the reason. Six sentences at most.
#
# ### BEGIN SOLUTION
# **Model answer.** The chat window promises TTFT and a tail percentile of the inter-token latency: a person waits for the first word and then reads along, so a token every 50 ms is fast enough and a stall of a second is not. It gives up throughput: small batches and chunked prefill keep the steps short. The overnight job promises the finishing time, which is total tokens over throughput, and no one watches a single request. It gives up latency: the batch is as large as memory allows, because each step reads the weights once for all. A larger batch raises tokens per second towards the roofline's ridge and makes each step, so each user's TPOT, longer. When both share the GPU, goodput under the chat's objectives is the number to maximise, and the batch job fills what is left.
#
# **Rubric, 1 point each.** (1) Chat: TTFT and ITL or TPOT, with a percentile and not only a mean. (2) Batch job: throughput or finishing time. (3) A larger batch raises throughput and lengthens each step, with the shared weight read as reason. (4) The trade is named for each service: what is given up.
# ### END SOLUTION

# %% [markdown] task="choose_metric" stars=2 minutes=10
# ## 13. The same question for the machine
#
# The written answer is read by a person; this companion checks the same idea by machine. Write `choose_metric(service, options)`.
#
# `service` is `"chat"` or `"batch"`. `options` is a list of dicts, one per way to configure the server, each with `"name"`, `"ttft_p95_s"`, `"itl_p95_s"` and `"tokens_per_s"`. Return the name of the configuration to run:
#
# - `"chat"`: of those with a TTFT p95 of at most 1.0 s and an ITL p95 of at most 0.1 s, the one with the most tokens per second; `None` if none keeps both;
# - `"batch"`: the one with the most tokens per second, whatever the latencies.
#
# Of equals, the first in the list. No options give `None`.
#
# <details><summary>Hint 1</summary>
#
# Both services maximise the same number. They differ in which options are allowed.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Filter, then `max` with a key. `max` has a `default` for an empty list, and of equals it returns the first.
#
# </details>


# %% solution="choose_metric"
def choose_metric(service, options):
    """The name of the configuration to run for a service, or None where none is allowed.

    service: "chat" (TTFT p95 <= 1 s and ITL p95 <= 0.1 s, then most tokens/s) or "batch" (most tokens/s).
    options: dicts name, ttft_p95_s, itl_p95_s, tokens_per_s. Raises ValueError for another service.
    """
    ### BEGIN SOLUTION
    if service not in {"chat", "batch"}:
        raise ValueError(f"unknown service {service!r}: chat or batch")
    allowed = [o for o in options if service == "batch" or (o["ttft_p95_s"] <= 1.0 and o["itl_p95_s"] <= 0.1)]
    best = max(allowed, key=lambda option: option["tokens_per_s"], default={"name": None})
    return best["name"]
    ### END SOLUTION


# %% tryit="choose_metric"
configurations = [
    {"name": "batch 1", "ttft_p95_s": 2.4, "itl_p95_s": 0.02, "tokens_per_s": 50},
    {"name": "batch 16", "ttft_p95_s": 0.4, "itl_p95_s": 0.06, "tokens_per_s": 600},
    {"name": "batch 16, whole prefills", "ttft_p95_s": 0.3, "itl_p95_s": 0.7, "tokens_per_s": 640},
    {"name": "batch 256", "ttft_p95_s": 3.0, "itl_p95_s": 0.4, "tokens_per_s": 2400},
]
print({service: choose_metric(service, configurations) for service in ("chat", "batch")})


# %% test="choose_metric" points=1
def test_choose_metric():
    options = [
        {"name": "small", "ttft_p95_s": 2.4, "itl_p95_s": 0.02, "tokens_per_s": 50},
        {"name": "middle", "ttft_p95_s": 0.4, "itl_p95_s": 0.06, "tokens_per_s": 600},
        {"name": "stalls", "ttft_p95_s": 0.3, "itl_p95_s": 0.7, "tokens_per_s": 640},
        {"name": "large", "ttft_p95_s": 3.0, "itl_p95_s": 0.4, "tokens_per_s": 2400},
    ]
    got = choose_metric("batch", options)
    assert got == "large", f"no one waits for a single request at night: most tokens per second, 'large', not {got!r}"
    got = choose_metric("chat", options)
    assert got != "stalls", "'stalls' has the best TTFT, and freezes in between: the ITL counts too"
    assert got != "small", "'small' writes quickly once it starts, after 2.4 s: the TTFT counts too"
    assert got == "middle", f"of those that keep both limits the one with the most tokens: 'middle', not {got!r}"
    try:
        choose_metric("email", options)
    except ValueError as error:
        assert "email" in str(error), f"the ValueError should name the service, it says: {error}"
    else:
        raise AssertionError("the service 'email' was accepted: raise ValueError")


test_choose_metric()


# %% hidden="choose_metric" points=2
def hidden_choose_metric():
    import numpy as np

    rng = np.random.default_rng(813)
    for _ in range(40):
        options = [
            {
                "name": f"option {i}",
                "ttft_p95_s": float(rng.choice([0.2, 1.0, 1.01, 4.0])),
                "itl_p95_s": float(rng.choice([0.02, 0.1, 0.101, 0.5])),
                "tokens_per_s": float(rng.integers(1, 6)),
            }
            for i in range(int(rng.integers(1, 8)))
        ]
        for service in ("chat", "batch"):
            want, most = None, -1.0
            for o in options:
                slow = o["ttft_p95_s"] > 1.0 or o["itl_p95_s"] > 0.1
                if (service == "batch" or not slow) and o["tokens_per_s"] > most:
                    want, most = o["name"], o["tokens_per_s"]
            kept = [dict(option) for option in options]
            got = choose_metric(service, options)
            assert options == kept, "the caller's options were changed"
            assert got == want, f"{service}, {options}: {want!r}, you returned {got!r}"
    assert choose_metric("chat", []) is None and choose_metric("batch", []) is None, "no options: None"
    slow = {"name": "stuck", "ttft_p95_s": 0.0, "itl_p95_s": 0.0, "tokens_per_s": 0.0}
    assert choose_metric("batch", [slow]) == "stuck", "an option without any speed is an option: of one, it is the best"
    for service, given in (("Chat", options), ("", options), ("training", [])):
        try:
            choose_metric(service, given)
        except ValueError:
            continue
        raise AssertionError(f"the service {service!r} was accepted with {len(given)} options")


hidden_choose_metric()

# %% [markdown]
# ## What to take along
#
# What must stay true: temperature first, each filter on what the ones before left, the crossing token kept, and the same distribution for one row or many. What was measured: the share of kept tokens by chi-square against the exact distribution, and TTFT and TPOT on your own machine, where the first grows with the prompt and the second hardly does.
