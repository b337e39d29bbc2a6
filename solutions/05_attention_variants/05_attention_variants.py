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
# # 05 · Attention variants
#
# Three ways to spend less memory on attention. Grouped queries share keys and values between heads, so the cache shrinks. Tiles with an online softmax compute exact attention without the N×N matrix of scores. A sliding window forgets, so the cache stops growing. The chapter *Attention variants* tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant.
#
# Arrays are NumPy. Heads are `[heads, tokens, head_dim]`: queries `[H_q, N, d_h]`, keys and values `[H_kv, S, d_h]`. Attention divides the scores by $\sqrt{d_h}$.

# %% setup=True
import math
import time
import tracemalloc

import numpy as np

from mini_engine.config import LLAMA_2_7B, LLAMA_2_70B, LLAMA_3_8B
from mini_engine.plotting import figure, show


def full_attention(q, k, v, mask=None):
    """Chapter 2's attention with the whole matrix of scores: q [..., N, d_h], k and v [..., S, d_h], mask [N, S]."""
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1]).astype(q.dtype)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weight @ v / weight.sum(axis=-1, keepdims=True)


# %% [markdown] task="gqa_cache_saving" stars=1 minutes=5
# ## 1. What sharing saves
#
# With grouped-query attention (GQA) several query heads read the same key and value head. Write `gqa_cache_saving(n_heads, n_kv_heads)`: how many times smaller the KV cache is than with one KV head per query head, as a float.
#
# Example: 32 query heads on 8 KV heads give 4.0. With `n_kv_heads == n_heads` (multi-head attention, MHA) nothing is saved, 1.0; with one KV head (multi-query attention, MQA) it is `n_heads`.
#
# (Ainslie et al. 2023 for GQA, Shazeer 2019 for MQA.)
#
# <details><summary>Hint 1</summary>
#
# Layers, tokens, head size and precision are the same on both sides and cancel.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One division, after two checks. The remainder operator `%` tells whether one count is a multiple of the other.
#
# </details>


# %% solution="gqa_cache_saving"
def gqa_cache_saving(n_heads, n_kv_heads):
    """How many times smaller the KV cache is than with one KV head per query head.

    n_heads: query heads. n_kv_heads: KV heads, divides n_heads. Returns a float. Raises ValueError for counts below 1
    or heads that cannot be shared evenly.
    """
    ### BEGIN SOLUTION
    for count in (n_heads, n_kv_heads):
        if count < 1:
            raise ValueError(f"a number of heads must be at least 1, got {count}")
    if n_heads % n_kv_heads:
        raise ValueError(f"{n_heads} query heads cannot share {n_kv_heads} KV heads evenly")
    return n_heads / n_kv_heads
    ### END SOLUTION


# %% tryit="gqa_cache_saving"
for config in (LLAMA_2_7B, LLAMA_2_70B, LLAMA_3_8B):
    saving = gqa_cache_saving(config.num_attention_heads, config.num_key_value_heads)
    print(
        f"{config.name:12} {config.num_attention_heads} query heads, {config.num_key_value_heads:2} KV heads: {saving}"
    )


# %% test="gqa_cache_saving" points=1
def test_gqa_cache_saving():
    got = gqa_cache_saving(32, 8)
    assert got is not None, "gqa_cache_saving returned None: is there a return statement?"
    assert got != 0.25, "0.25 is the share that is left; the question is how many times smaller the cache is"
    assert got == 4.0, f"32 query heads on 8 KV heads save a factor 4.0, you returned {got}"
    assert isinstance(got, float), f"return a float, not {type(got).__name__}"
    for bad, named in (((32, 5), "5"), ((0, 1), "0"), ((4, 0), "0")):
        try:
            got = gqa_cache_saving(*bad)
        except ValueError as error:
            assert named in str(error), f"the ValueError should name the bad value {named}, it says: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(f"heads {bad} divided by zero: raise ValueError before that") from error
        else:
            raise AssertionError(f"heads {bad} returned {got}: raise ValueError for heads that cannot be")


test_gqa_cache_saving()


# %% hidden="gqa_cache_saving" points=1
def hidden_gqa_cache_saving():
    import numpy as np

    from mini_engine.accounting import kv_bytes_per_token
    from mini_engine.config import ModelConfig

    rng = np.random.default_rng(50)
    for _ in range(20):
        kv, rep, layers = (int(n) for n in rng.integers(1, 12, 3))
        grouped = ModelConfig("grouped", layers, 8, kv * rep, kv, 8, 8, 4)
        plain = ModelConfig("plain", layers, 8, kv * rep, kv * rep, 8, 8, 4)
        want = kv_bytes_per_token(plain) / kv_bytes_per_token(grouped)
        got = gqa_cache_saving(kv * rep, kv)
        assert got == want, f"{kv * rep} query heads on {kv} KV heads: the caches differ by {want}, you returned {got}"
    for heads, kv, want in ((9, 3, 3.0), (8, 1, 8.0), (1, 1, 1.0)):
        got = gqa_cache_saving(heads, kv)
        assert got == want, f"{heads} query heads on {kv} KV heads: {want}, you returned {got}"
    for bad in ((8, 32), (9, 2), (-4, 2), (4, -2), (-4, -2)):
        try:
            got = gqa_cache_saving(*bad)
        except ValueError as error:
            assert any(str(n) in str(error) for n in bad), f"the message should hold the bad value of {bad}: {error}"
            continue
        raise AssertionError(f"heads {bad} were accepted and gave {got}")


hidden_gqa_cache_saving()

# %% [markdown] task="repeat_kv" stars=1 minutes=10
# ## 2. Give every query head its copy
#
# The simple way to compute GQA: copy each KV head until there are as many as query heads, then attend as usual. Write `repeat_kv(x, n_rep)`, which turns `[H_kv, N, d_h]` into `[H_kv·n_rep, N, d_h]`. The copies of a head stand **next to each other**: query heads 0 to `n_rep`−1 read KV head 0, the next `n_rep` read KV head 1, and so on.
#
# Example: heads A, B with `n_rep=3` become A, A, A, B, B, B. The order A, B, A, B, A, B has the same shape and is a different model.
#
# The input stays as it is.
#
# <details><summary>Hint 1</summary>
#
# NumPy has one function that repeats the elements and one that repeats the whole. Try both on `[1, 2]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The function takes `axis=`; without it the array is flattened. The heads are the third axis from the end.
#
# </details>


# %% solution="repeat_kv"
def repeat_kv(x, n_rep):
    """Each KV head n_rep times, copies side by side.

    x: [H_kv, N, d_h] (a batch axis may stand in front). n_rep: query heads per KV head, 1 or more, else ValueError.
    Returns [H_kv * n_rep, N, d_h].
    """
    ### BEGIN SOLUTION
    if n_rep < 1:
        raise ValueError(f"n_rep must be at least 1, got {n_rep}")
    return np.repeat(x, n_rep, axis=-3)
    ### END SOLUTION


# %% tryit="repeat_kv"
heads = np.array([[[1.0, 1.5]], [[2.0, 2.5]]])  # 2 KV heads, 1 token, 2 numbers
print(repeat_kv(heads, 3)[:, 0])


# %% test="repeat_kv" points=1
def test_repeat_kv():
    import numpy as np

    x = np.arange(2 * 3 * 4.0).reshape(2, 3, 4)
    got = repeat_kv(x, 2)
    assert got is not None, "repeat_kv returned None: is there a return statement?"
    assert got.shape == (4, 3, 4), f"2 heads repeated twice make (4, 3, 4), yours is {got.shape}"
    tiled = np.concatenate([x, x])
    assert not np.array_equal(got, tiled), "the heads came as A, B, A, B: copies must stand side by side, A, A, B, B"
    np.testing.assert_array_equal(got, x[[0, 0, 1, 1]], err_msg="expected heads A, A, B, B")
    try:
        got = repeat_kv(x, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError(f"n_rep=0 returned an array of shape {got.shape}: raise ValueError")


test_repeat_kv()


# %% hidden="repeat_kv" points=1
def hidden_repeat_kv():
    import numpy as np

    rng = np.random.default_rng(51)
    for lead in ((), (2,), ()):
        for _ in range(6):
            kv, n, d, rep = (int(i) for i in rng.integers(1, 6, 4))
            x = rng.standard_normal((*lead, kv, n, d)).astype(np.float32)
            before = x.copy()
            got = repeat_kv(x, rep)
            case = f"shape {x.shape}, n_rep {rep}"
            assert got.shape == (*lead, kv * rep, n, d), f"{case}: expected {(*lead, kv * rep, n, d)}, got {got.shape}"
            for head in range(kv * rep):
                same = np.array_equal(got[..., head, :, :], x[..., head // rep, :, :])
                assert same, f"{case}: query head {head} must read KV head {head // rep}"
            assert got.dtype == np.float32, f"{case}: float32 in, float32 out, yours is {got.dtype}"
            np.testing.assert_array_equal(x, before, err_msg=f"{case}: the input was changed")
    try:
        repeat_kv(np.zeros((1, 2, 2)), -1)
    except ValueError as error:
        assert "-1" in str(error), f"the message should hold the bad value -1: {error}"
    else:
        raise AssertionError("n_rep=-1 was accepted")
    x = rng.standard_normal((2, 3, 4))
    for sign in (1, -1):  # the same shape twice, with other numbers
        got = repeat_kv(sign * x, 2)
        assert got.dtype == np.float64, f"float64 in, float64 out: yours is {got.dtype}"
        assert np.array_equal(got, sign * x[[0, 0, 1, 1]]), "other numbers of the same shape give other copies"


hidden_repeat_kv()

# %% [markdown] task="gqa_attention" stars=3 minutes=25
# ## 3. Attend without the copies
#
# Repeating costs what sharing saved: for a moment the memory holds as many keys and values as plain multi-head attention. It is not needed. The query heads of one group are just more queries for the same keys. Write `gqa_attention(q, k, v, causal=False)`:
#
# $$\operatorname{softmax}\!\left(\frac{q_h\, k_{g(h)}^\top}{\sqrt{d_h}}\right) v_{g(h)}, \qquad g(h) = \left\lfloor h \cdot \frac{H_{kv}}{H_q} \right\rfloor$$
#
# `q` is `[H_q, N, d_h]`, `k` and `v` are `[H_kv, S, d_h]`; the result is `[H_q, N, d_h]`. With `causal=True` the queries are the **last** $N$ of $S$ positions (the cache case): query $i$ sees $S - N + i + 1$ keys. Without it every query sees every key, as in torch's `scaled_dot_product_attention`. The result has the dtype of `q`, and the inputs stay as they are. Never build an array with $H_q \cdot S \cdot d_h$ numbers: the checks measure the peak of your memory. Use NumPy alone; the measure sees no other library.
#
# Example: 8 query heads on 2 KV heads, 3 new tokens: seen from one KV head, that is 12 queries.
#
# <details><summary>Hint 1</summary>
#
# Reshape `q` so that the group of a KV head is an axis of its own. A product of `[H_kv, many, d_h]` with `[H_kv, d_h, S]` shares the keys without copying them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Fold: `[H_q, N, d_h]` becomes `[H_kv, group * N, d_h]`, because the query heads of a group stand next to each other. For the causal mask unfold the scores to `[H_kv, group, N, S]` for a moment, and fold the result back at the end.
#
# </details>


# %% solution="gqa_attention"
def gqa_attention(q, k, v, causal=False):
    """Grouped-query attention without repeating the keys and values.

    q: [H_q, N, d_h]. k, v: [H_kv, S, d_h]. causal: the queries are the last N of S positions and see no later one.
    Returns [H_q, N, d_h]. Raises ValueError where H_q is not a multiple of H_kv.
    """
    ### BEGIN SOLUTION
    num_heads, num_new, head_dim = q.shape
    num_kv_heads, num_keys, _ = k.shape
    if num_heads % num_kv_heads:
        raise ValueError(f"{num_heads} query heads cannot share {num_kv_heads} KV heads evenly")
    folded = q.reshape(num_kv_heads, -1, head_dim)  # [H_kv, group * N, d_h]
    scores = folded @ k.swapaxes(1, 2) / np.sqrt(head_dim).astype(q.dtype)
    if causal:
        may_look = np.tri(num_new, num_keys, num_keys - num_new, dtype=bool)
        scores = np.where(may_look, scores.reshape(num_kv_heads, -1, num_new, num_keys), -np.inf)
        scores = scores.reshape(num_kv_heads, -1, num_keys)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    out = weight @ v / weight.sum(axis=-1, keepdims=True)
    return out.reshape(num_heads, num_new, -1).astype(q.dtype)
    ### END SOLUTION


# %% tryit="gqa_attention"
rng = np.random.default_rng(0)
q, k, v = (rng.standard_normal((heads, 2000, 64)).astype(np.float32) for heads in (32, 2, 2))
for name, attend in (
    ("repeated", lambda: full_attention(q[:, -1:], np.repeat(k, 16, 0), np.repeat(v, 16, 0))),
    ("grouped", lambda: gqa_attention(q[:, -1:], k, v)),
):
    tracemalloc.start()
    attend()
    print(
        f"{name:9} peak {tracemalloc.get_traced_memory()[1] / 1e6:6.1f} MB, the keys alone are {k.nbytes / 1e6:.1f} MB"
    )
    tracemalloc.stop()


# %% test="gqa_attention" points=1
def test_gqa_attention():
    import numpy as np

    rng = np.random.default_rng(52)
    q, k, v = (rng.standard_normal((heads, n, 6)) for heads, n in ((4, 3), (2, 5), (2, 5)))

    def expected(first_hidden):  # one query, one head, one key at a time
        out = np.zeros((4, 3, 6))
        for head in range(4):
            for i in range(3):
                scores = [np.exp(q[head, i] @ k[head // 2, j] / 6**0.5) for j in range(first_hidden[i])]
                out[head, i] = sum(score * v[head // 2, j] for j, score in enumerate(scores)) / sum(scores)
        return out

    got = gqa_attention(q.copy(), k.copy(), v.copy())
    assert got is not None, "gqa_attention returned None: is there a return statement?"
    assert got.shape == (4, 3, 6), f"4 query heads, 3 queries: (4, 3, 6), yours is {got.shape}"
    message = "differs from attention computed number by number: which KV head does each query head read?"
    np.testing.assert_allclose(got, expected([5, 5, 5]), atol=1e-10, err_msg=message)
    got = gqa_attention(q.copy(), k.copy(), v.copy(), causal=True)
    message = "causal: 3 queries at the end of 5 keys see 3, 4 and 5 of them"
    np.testing.assert_allclose(got, expected([3, 4, 5]), atol=1e-10, err_msg=message)
    try:
        gqa_attention(q[:3], k, v)
    except ValueError as error:
        assert "3" in str(error), f"the ValueError should name the 3 query heads, it says: {error}"
    else:
        raise AssertionError("3 query heads on 2 KV heads were accepted: raise ValueError")


test_gqa_attention()


# %% hidden="gqa_attention" points=3
def hidden_gqa_attention():
    import tracemalloc

    import numpy as np
    import torch

    rng = np.random.default_rng(53)
    for kv, rep, n, s, d in ((1, 1, 1, 1, 2), (1, 6, 1, 9, 4), (3, 1, 4, 4, 5), (2, 3, 5, 8, 3), (4, 2, 1, 7, 8)):
        q, k = rng.standard_normal((kv * rep, n, d)), rng.standard_normal((kv, s, d))
        v = rng.standard_normal((kv, s, d))
        copies = [x.copy() for x in (q, k, v)]
        for causal in (False, True):
            mask = torch.ones(n, s, dtype=torch.bool)
            mask = mask.tril(s - n) if causal else mask
            repeated = [torch.from_numpy(x).repeat_interleave(kv * rep // x.shape[0], 0)[None] for x in (q, k, v)]
            want = torch.nn.functional.scaled_dot_product_attention(*repeated, attn_mask=mask)[0].numpy()
            got = gqa_attention(q, k, v, causal=causal)
            case = f"{kv * rep} query heads, {kv} KV heads, {n} queries, {s} keys, causal={causal}"
            np.testing.assert_allclose(got, want, atol=1e-10, err_msg=case)
        for x, copy in zip((q, k, v), copies, strict=True):
            np.testing.assert_array_equal(x, copy, err_msg="an input was changed in place")
    q, k, v = (30 * rng.standard_normal((h, 5, 4)).astype(np.float32) for h in (4, 2, 2))
    got = gqa_attention(q, k, v)
    assert got.dtype == np.float32, f"float32 in, float32 out: yours is {got.dtype}"
    assert np.isfinite(got).all(), "large scores gave inf or nan: subtract the maximum before the exponential"
    # Scores that lie far from 0, apart by little, and a future one that lies far above them.
    v = rng.standard_normal((1, 4, 1))
    for scores, causal in (([100.0, 99, 98, 97], False), ([-20_000.0, -20_001, -19_999, 20_000], True)):
        q, k = np.full((2, 2, 1), 100.0), np.array(scores)[None, :, None] / 100
        got = gqa_attention(q, k, v, causal=causal)
        for i in range(2):
            seen = scores[: 3 + i] if causal else scores
            weights = [np.exp(score - max(seen)) for score in seen]
            want = sum(w * value for w, value in zip(weights, v[0], strict=False)) / sum(weights)
            case = f"causal={causal}: {len(seen)} scores far from 0 (mask with minus infinity, then the maximum?)"
            np.testing.assert_allclose(got[:, i], [want, want], atol=1e-9, err_msg=case)
    q, k, v = rng.standard_normal((64, 1, 64)), *rng.standard_normal((2, 1, 2000, 64))
    tracemalloc.start()
    gqa_attention(q, k, v)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # The scores take 1 MB and need a few copies; repeated keys would take 65 MB.
    assert peak < 12e6, (
        f"64 query heads on one KV head of 1 MB: {peak / 1e6:.0f} MB at the peak, the keys were repeated"
    )
    q, k, v = (rng.standard_normal((heads, n, 3)) for heads, n in ((4, 2), (2, 5), (2, 5)))
    got = gqa_attention(q, k, v)
    assert got.dtype == np.float64, f"float64 in, float64 out: yours is {got.dtype}"
    message = "the values with the other sign, of the same shapes, give the answer with the other sign"
    np.testing.assert_allclose(gqa_attention(q, k, -v), -got, atol=1e-12, err_msg=message)
    try:
        swapped = gqa_attention(*(x.astype(">f8") for x in (q, k, v)))  # a byte order that only NumPy reads
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"use NumPy alone: the measure of memory does not see other libraries ({error})"
        ) from error
    np.testing.assert_allclose(swapped, got, atol=1e-12, err_msg="the same numbers in another byte order")
    for sizes in ((np.float32, np.float64, np.float64), (np.float64, np.float32, np.float32)):
        got = gqa_attention(*(x.astype(size) for x, size in zip((q, k, v), sizes, strict=True)))
        assert got.dtype == sizes[0], f"{sizes[0].__name__} queries on keys and values of another dtype: {got.dtype}"


hidden_gqa_attention()

# %% [markdown] task="mean_pool_kv_heads" stars=2 minutes=15
# ## 4. Turn an old model into a grouped one
#
# A model that was trained with one KV head per query head can be converted: replace the key heads of a group by their mean, the same for the values, and train a little more. The paper needed 5% of the original training compute to regain nearly all of the quality (Ainslie et al. 2023, section 2.1).
#
# Write `mean_pool_kv_heads(w_k, n_heads, n_kv_heads)`. `w_k` is the key matrix `[d, n_heads·d_h]`, head after head along its columns; the result is `[d, n_kv_heads·d_h]`, of floats also where `w_k` holds integers. Group $g$ holds the `n_heads / n_kv_heads` neighbouring heads that will share one KV head, as in exercise 2.
#
# Example with $d_h = 1$ and one row: heads `[1, 3, 10, 20]` become `[2, 15]` for 2 KV heads.
#
# <details><summary>Hint 1</summary>
#
# The columns hold three nested counts: which group, which head of the group, which number of the head.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Reshape to `[d, n_kv_heads, group, d_h]`, take the mean over one of these axes, and reshape back.
#
# </details>


# %% solution="mean_pool_kv_heads"
def mean_pool_kv_heads(w_k, n_heads, n_kv_heads):
    """The key (or value) matrix of a multi-head model with each group of heads replaced by its mean.

    w_k: [d, n_heads * d_h]. Returns [d, n_kv_heads * d_h]. Raises ValueError for head counts below 1 or not a
    multiple, or columns that do not split into n_heads.
    """
    ### BEGIN SOLUTION
    if n_kv_heads < 1 or n_heads < 1 or n_heads % n_kv_heads:
        raise ValueError(f"{n_heads} heads cannot be pooled to {n_kv_heads}")
    num_rows, num_columns = w_k.shape
    if num_columns % n_heads:
        raise ValueError(f"{num_columns} columns do not split into {n_heads} heads")
    heads = w_k.reshape(num_rows, n_kv_heads, n_heads // n_kv_heads, num_columns // n_heads)
    return heads.mean(axis=2).reshape(num_rows, -1)
    ### END SOLUTION


# %% tryit="mean_pool_kv_heads"
print(mean_pool_kv_heads(np.array([[1.0, 3, 10, 20]]), n_heads=4, n_kv_heads=2))


# %% test="mean_pool_kv_heads" points=1
def test_mean_pool_kv_heads():
    import numpy as np

    row = np.array([[1.0, 2, 3, 4, 10, 20, 30, 40]])  # 4 heads of 2 numbers
    got = mean_pool_kv_heads(row, 4, 2)
    assert got is not None, "mean_pool_kv_heads returned None: is there a return statement?"
    assert got.shape == (1, 4), f"4 heads of 2 pooled to 2 heads of 2: (1, 4), yours is {got.shape}"
    assert got.tolist() != [[1.5, 3.5, 15, 35]], "the numbers within a head were averaged: average across the heads"
    assert got.tolist() != [[5.5, 11, 16.5, 22]], "heads 0 and 2 were averaged: a group is made of neighbours, 0 and 1"
    assert got.tolist() == [[2, 3, 20, 30]], (
        f"heads (1,2), (3,4), (10,20), (30,40) give [[2, 3, 20, 30]], not {got.tolist()}"
    )
    for bad, named in (((4, 3), "3"), ((4, 0), "0"), ((3, 1), "38")):
        try:
            mean_pool_kv_heads(row, *bad)
        except ValueError as error:
            known = any(digit in str(error) for digit in named)
            assert known, f"the ValueError should name the bad value {' or '.join(named)}, it says: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(f"{bad[0]} heads to {bad[1]} divided by zero: raise ValueError") from error
        else:
            raise AssertionError(f"8 columns as {bad[0]} heads pooled to {bad[1]} were accepted: raise ValueError")


test_mean_pool_kv_heads()


# %% hidden="mean_pool_kv_heads" points=2
def hidden_mean_pool_kv_heads():
    import numpy as np

    rng = np.random.default_rng(54)
    for kv, rep, d, dim in ((1, 1, 3, 2), (1, 4, 5, 3), (3, 2, 4, 4), (2, 3, 6, 1), (4, 1, 2, 5)):
        w = rng.standard_normal((d, kv * rep * dim))
        before = w.copy()
        got = mean_pool_kv_heads(w, kv * rep, kv)
        want = np.zeros((d, kv * dim))
        for head in range(kv * rep):
            for column in range(dim):
                want[:, head // rep * dim + column] += w[:, head * dim + column] / rep
        case = f"{kv * rep} heads of {dim} to {kv}"
        np.testing.assert_allclose(got, want, atol=1e-12, err_msg=case)
        np.testing.assert_array_equal(w, before, err_msg=f"{case}: the input was changed")
    # A model whose heads are equal within each group loses nothing.
    one = rng.standard_normal((4, 3, 5))
    w = np.repeat(one, 2, axis=1).reshape(4, -1)
    got = mean_pool_kv_heads(w, 6, 3)
    np.testing.assert_allclose(got, one.reshape(4, -1), atol=1e-12, err_msg="equal heads must survive the pooling")
    for bad in ((0, 1), (-6, 3), (6, -3), (6, 4), (5, 3), (15, 2), (4, 2)):
        try:
            mean_pool_kv_heads(w, *bad)
        except ValueError as error:
            known = [str(n) for n in (*bad, w.shape[1])]
            assert any(n in str(error) for n in known), f"the message should hold the bad value of {bad}: {error}"
            continue
        raise AssertionError(f"30 columns as {bad[0]} heads pooled to {bad[1]} were accepted")
    for sign in (1, -1):  # the same shape twice, with other numbers
        got = mean_pool_kv_heads(sign * w, 6, 3)
        assert got.dtype == np.float64, f"a float64 matrix gives float64, yours is {got.dtype}"
        np.testing.assert_allclose(
            got, sign * one.reshape(4, -1), atol=1e-12, err_msg="another matrix of the same shape"
        )
    got = mean_pool_kv_heads(np.array([[1, 2]]), 2, 1)
    assert np.asarray(got).tolist() == [[1.5]], f"the mean of the whole numbers 1 and 2 is 1.5, you returned {got}"


hidden_mean_pool_kv_heads()

# %% [markdown] task="concurrency_gain" stars=2 minutes=15
# ## 5. How many more users
#
# A server has `free_bytes` left for KV caches, and each request takes `context` tokens. Write `concurrency_gain(config, n_kv_heads, free_bytes, context)`: whole requests that fit with `n_kv_heads` KV heads, divided by whole requests that fit when every query head has its own (MHA), as a float. The cache is stored in 16 bits.
#
# $$\text{requests} = \left\lfloor \frac{\text{free bytes}}{2 \cdot L \cdot H_{kv} \cdot d_h \cdot 2 \cdot \text{context}} \right\rfloor$$
#
# `config` has `num_hidden_layers`, `num_attention_heads` and `head_dim`. Half a request is of no use, so each count is rounded down *before* the division, and the gain is not always the ratio of heads.
#
# Example: Llama-2-7B with 60 GB free and 4096 tokens each: 27 requests with 32 KV heads, 111 with 8. The gain is 4.11.
#
# If not even one request fits with MHA there is no gain to speak of: raise `ValueError`.
#
# <details><summary>Hint 1</summary>
#
# Twice the same count with different KV heads. Write the count as a small inner function.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `//` rounds down. The head count inside the formula is the only thing that differs between the two.
#
# </details>


# %% solution="concurrency_gain"
def concurrency_gain(config, n_kv_heads, free_bytes, context):
    """Whole requests that fit with n_kv_heads KV heads over those that fit with one KV head per query head.

    config: num_hidden_layers, num_attention_heads, head_dim. free_bytes: memory for KV caches, 16 bits per number.
    context: tokens per request. Returns a float. Raises ValueError for sizes below 1, KV heads that do not divide the
    query heads, or memory in which no request fits with MHA.
    """
    ### BEGIN SOLUTION
    if context < 1 or n_kv_heads < 1:
        raise ValueError(f"context and n_kv_heads must be at least 1, got {context} and {n_kv_heads}")
    if config.num_attention_heads % n_kv_heads:
        raise ValueError(f"{config.num_attention_heads} query heads cannot share {n_kv_heads} KV heads evenly")

    def requests(kv_heads):
        return free_bytes // (2 * config.num_hidden_layers * kv_heads * config.head_dim * 2 * context)

    before = requests(config.num_attention_heads)
    if before < 1:
        raise ValueError(f"{free_bytes} bytes do not hold one request of {context} tokens with MHA")
    return requests(n_kv_heads) / before
    ### END SOLUTION


# %% tryit="concurrency_gain"
for kv_heads in (32, 8, 4, 1):
    print(
        f"Llama-2-7B with {kv_heads:2} KV heads: {concurrency_gain(LLAMA_2_7B, kv_heads, 60e9, 4096):6.2f} times the users"
    )


# %% test="concurrency_gain" points=1
def test_concurrency_gain():
    from mini_engine.config import LLAMA_2_7B

    got = concurrency_gain(LLAMA_2_7B, 8, 60e9, 4096)
    assert got is not None, "concurrency_gain returned None: is there a return statement?"
    assert got != 4, "4.0 is the ratio of the caches: count whole requests first, 111 and 27, then divide"
    assert abs(got - 111 / 27) < 1e-12, f"Llama-2-7B, 60 GB, 4096 tokens: 111 / 27 = 4.111…, you returned {got}"
    assert concurrency_gain(LLAMA_2_7B, 32, 60e9, 4096) == 1, "with as many KV heads as query heads nothing is gained"
    for bad, named in (((8, 60e9, 0), "0"), ((5, 60e9, 4096), "5"), ((8, 10**9, 4096), "1000000000")):
        try:
            got = concurrency_gain(LLAMA_2_7B, *bad)
        except ValueError as error:
            assert named in str(error) or "4096" in str(error), f"name the bad value {named}: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(
                f"n_kv_heads, free_bytes, context = {bad} divided by zero: raise ValueError"
            ) from error
        else:
            raise AssertionError(f"n_kv_heads, free_bytes, context = {bad} returned {got}: raise ValueError")


test_concurrency_gain()


# %% hidden="concurrency_gain" points=2
def hidden_concurrency_gain():
    import numpy as np

    from mini_engine.accounting import concurrent_users
    from mini_engine.config import ModelConfig

    rng = np.random.default_rng(55)
    for _ in range(25):
        layers, kv, rep, half, context = (int(n) for n in rng.integers(1, 9, 5))
        heads = kv * rep
        own = int(rng.choice([n for n in range(1, heads + 1) if heads % n == 0]))  # what the config happens to have
        config = ModelConfig("random", layers, 24, heads, own, 8, 8, 2 * half)
        free = int(rng.integers(1, 20)) * 2 * layers * heads * 2 * half * 2 * context + int(rng.integers(0, 500))
        specs = [ModelConfig("random", layers, 24, heads, n, 8, 8, 2 * half) for n in (kv, heads)]
        with_gqa, with_mha = (concurrent_users(spec, free, context, 2) for spec in specs)
        got = concurrency_gain(config, kv, free, context)
        case = f"{layers} layers, {heads} query heads of {2 * half}, {kv} KV heads, {free} bytes, {context} tokens"
        assert abs(got - with_gqa / with_mha) < 1e-12, f"{case}: {with_gqa} / {with_mha} requests, you returned {got}"
        assert isinstance(got, float), f"{case}: return a float, not {type(got).__name__}"
    exact = 2 * 2 * 4 * 6 * 2 * 10  # exactly one request with MHA
    config = ModelConfig("small", 2, 24, 4, 2, 8, 8, 6)
    assert concurrency_gain(config, 1, exact, 10) == 4.0, "memory for exactly one request is enough for one"
    for bad in ((1, exact - 1, 10), (3, exact, 10), (0, exact, 10), (-2, exact, 10), (1, exact, -5), (1, -9, 10)):
        try:
            got = concurrency_gain(config, *bad)
        except ValueError as error:
            assert any(str(n) in str(error) for n in bad), f"the message should hold the bad value of {bad}: {error}"
            continue
        raise AssertionError(f"n_kv_heads, free_bytes, context = {bad} was accepted and gave {got}")


hidden_concurrency_gain()

# %% [markdown] task="score_matrix_bytes" stars=1 minutes=5
# ## 6. The matrix that standard attention writes
#
# Textbook attention computes all scores first, then their softmax, then the product with $v$. Write `score_matrix_bytes(batch, heads, tokens, bytes_per)`: the bytes of one such matrix of scores for a prompt of `tokens` tokens, over all heads and requests of one layer. Return an `int`; where `bytes_per` is a fraction (4 bits are 0.5), round the sum up to whole bytes.
#
# Example: 1 request, 1 head, 3 tokens, 2 bytes: $3 \cdot 3 \cdot 2 = 18$. The probabilities after the softmax are a second matrix of the same size, which is not counted here.
#
# <details><summary>Hint 1</summary>
#
# Every token is a query and a key at once. The causal half that is masked away is stored all the same.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Which of the four arguments enters twice?
#
# </details>


# %% solution="score_matrix_bytes"
def score_matrix_bytes(batch, heads, tokens, bytes_per):
    """Bytes of the attention scores [batch, heads, tokens, tokens] of one layer.

    batch, heads, tokens: counts, 1 or more. bytes_per: bytes per score, above 0. Returns an int. Raises ValueError
    otherwise.
    """
    ### BEGIN SOLUTION
    for count in (batch, heads, tokens):
        if count < 1:
            raise ValueError(f"a count must be at least 1, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(batch * heads * tokens**2 * bytes_per)
    ### END SOLUTION


# %% tryit="score_matrix_bytes"
for tokens in (1024, 4096, 32_768, 131_072):
    print(
        f"{tokens:7,} tokens, 32 heads: {score_matrix_bytes(1, 32, tokens, 2) / 1e9:9.2f} GB for each layer in its turn"
    )


# %% test="score_matrix_bytes" points=1
def test_score_matrix_bytes():
    got = score_matrix_bytes(2, 16, 4096, 2)
    assert got is not None, "score_matrix_bytes returned None: is there a return statement?"
    assert got != 262_144, "262144 is linear in the tokens: each of 4096 queries has a score for each of 4096 keys"
    assert got == 1_073_741_824, f"2 requests, 16 heads, 4096 tokens, 2 bytes: 1073741824 bytes, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    for bad in ((2, 16, 0, 2), (2, 16, 4096, 0)):
        try:
            got = score_matrix_bytes(*bad)
        except ValueError as error:
            assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
        else:
            raise AssertionError(f"score_matrix_bytes{bad} returned {got}: raise ValueError")


test_score_matrix_bytes()


# %% hidden="score_matrix_bytes" points=1
def hidden_score_matrix_bytes():
    import numpy as np

    rng = np.random.default_rng(56)
    for _ in range(20):
        b, h, n, size = (int(i) for i in rng.integers(1, 7, 4))
        want = np.zeros((b, h, n, n, size), np.uint8).nbytes
        got = score_matrix_bytes(b, h, n, size)
        assert got == want, f"score_matrix_bytes{(b, h, n, size)}: such an array has {want} bytes, you returned {got}"
    assert score_matrix_bytes(1, 1, 3, 0.5) == 5, "9 scores of half a byte take 5 whole bytes"
    for sizes, want in (((1, 2, 3, 0.5), 9), ((2, 1, 3, 0.5), 9), ((3, 3, 3, 0.5), 41), ((1, 1, 4, 0.5), 8)):
        got = score_matrix_bytes(*sizes)
        assert got == want, f"score_matrix_bytes{sizes}: the sum is rounded up once, to {want}; you returned {got}"
    assert score_matrix_bytes(64, 128, 1_000_003, 2) == 64 * 128 * 1_000_003**2 * 2, "must stay exact for large sizes"
    for position in range(4):
        for value in (0, -2):
            sizes = [3, 3, 3, 3]
            sizes[position] = value
            try:
                got = score_matrix_bytes(*sizes)
            except ValueError as error:
                assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
                continue
            raise AssertionError(f"score_matrix_bytes{tuple(sizes)} was accepted and gave {got}")
    got = score_matrix_bytes(1, 1, 3, 0.25)
    assert got == 3, f"9 scores of a quarter byte are 2.25 bytes, so 3 whole ones; you returned {got}"
    large = 100_000_007
    assert score_matrix_bytes(1, 1, large, 1) == large**2, "floats cannot hold such a sum: multiply whole numbers"


hidden_score_matrix_bytes()

# %% [markdown] task="online_softmax_attention" stars=4 minutes=40
# ## 7. Attention in tiles
#
# A softmax seems to need all scores of a row before the first weight is known. It does not: keep a running maximum and a running sum, and correct what you have when a larger score turns up. Write `online_softmax_attention(q, k, v, block_size)`, which walks once over the keys and values in blocks of `block_size` and never holds more than $N$ × `block_size` scores. For a row $q$, with $m$ the largest score so far, $\ell$ the sum of the weights and $o$ the weighted sum of the values, all relative to $m$, a new block of scores $s$ with values $v$ gives
#
# $$m' = \max(m, \max s), \qquad \ell' = e^{m - m'}\,\ell + \sum e^{s - m'}, \qquad o' = e^{m - m'}\,o + e^{s - m'} v$$
#
# and after the last block the answer is $o / \ell$. It starts with $m = -\infty$, $\ell = 0$, $o = 0$.
#
# `q` is `[N, d_h]`, `k` is `[S, d_h]`, `v` is `[S, d_v]`, with any number of equal axes in front (heads, batch); every query sees every key, scaled by $1/\sqrt{d_h}$. Take the keys and values only as slices of at most `block_size` tokens, `k[..., a:b, :]` and `v[..., a:b, :]`, each token once: the checks count what you read, with a `k` and `v` that have nothing but `shape`, `dtype` and such slices. The last block may be shorter. The result is `[..., N, d_v]`, exact up to rounding.
#
# Example, one query with scores 1, 3 in blocks of one: after the first block $m = 1, \ell = 1, o = v_1$; after the second $m = 3, \ell = e^{-2} + 1, o = e^{-2} v_1 + v_2$.
#
# The checks measure the peak of your memory; use NumPy alone, since the measure sees no other library. (Milakov and Gimelshein 2018 for the online softmax, Rabe and Staats 2021 and Dao et al. 2022 for attention with it.)
#
# <details><summary>Hint 1</summary>
#
# Keep $m$ and $\ell$ as arrays `[..., N, 1]` and $o$ as `[..., N, d_v]`, so that they multiply with each other directly. Everything that was summed so far must be rescaled by the same factor.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `range(0, S, block_size)` gives the starts, and a slice that reaches past the end simply ends there. In each turn: scores of the block, new maximum, factor for the old, weights of the new, then update the sum and the output, and only then the maximum.
#
# </details>


# %% solution="online_softmax_attention"
def online_softmax_attention(q, k, v, block_size):
    """Exact softmax attention in one pass over blocks of keys, without the N x S matrix of scores.

    q: [..., N, d_h]. k: [..., S, d_h]. v: [..., S, d_v]. block_size: keys per block, 1 or more, else ValueError.
    Returns [..., N, d_v] in the dtype of q.
    """
    ### BEGIN SOLUTION
    if block_size < 1:
        raise ValueError(f"block_size must be at least 1, got {block_size}")
    scale = 1 / math.sqrt(q.shape[-1])
    largest = np.full((*q.shape[:-1], 1), -np.inf, q.dtype)
    total = np.zeros_like(largest)
    out = np.zeros((*q.shape[:-1], v.shape[-1]), q.dtype)
    for start in range(0, k.shape[-2], block_size):
        block = slice(start, start + block_size)
        scores = q @ k[..., block, :].swapaxes(-1, -2) * scale
        new_largest = np.maximum(largest, scores.max(axis=-1, keepdims=True))
        shrink = np.exp(largest - new_largest)
        weight = np.exp(scores - new_largest)
        total = shrink * total + weight.sum(axis=-1, keepdims=True)
        out = shrink * out + weight @ v[..., block, :]
        largest = new_largest
    return (out / total).astype(q.dtype)
    ### END SOLUTION


# %% tryit="online_softmax_attention"
rng = np.random.default_rng(1)
print("tokens   full matrix MB   in tiles of 64, MB   largest difference")
for tokens in (512, 1024, 2048):
    q, k, v = rng.standard_normal((3, tokens, 64)).astype(np.float32)
    peaks, results = [], []
    for attend in (lambda: full_attention(q, k, v), lambda: online_softmax_attention(q, k, v, 64)):
        tracemalloc.start()
        results.append(attend())
        peaks.append(tracemalloc.get_traced_memory()[1] / 1e6)
        tracemalloc.stop()
    print(f"{tokens:6} {peaks[0]:16.1f} {peaks[1]:20.1f} {np.abs(results[0] - results[1]).max():20.1e}")


# %% test="online_softmax_attention" points=2
def test_online_softmax_attention():
    import numpy as np

    rng = np.random.default_rng(57)
    q, k, v = rng.standard_normal((4, 6)), 2 * rng.standard_normal((7, 6)), rng.standard_normal((7, 5))
    weights = np.exp([[query @ key / 6**0.5 for key in k] for query in q])
    want = np.array([sum(w * value for w, value in zip(row, v, strict=True)) / row.sum() for row in weights])
    got = online_softmax_attention(q, k, v, 7)
    assert got is not None, "online_softmax_attention returned None: is there a return statement?"
    assert got.shape == (4, 5), f"4 queries, values of 5 numbers: (4, 5), yours is {got.shape}"
    np.testing.assert_allclose(got, want, atol=1e-10, err_msg="wrong even in a single block: scale, softmax?")
    got = online_softmax_attention(q, k, v, 1)
    message = "blocks of one key: is all that was summed so far rescaled when the maximum rises?"
    np.testing.assert_allclose(got, want, atol=1e-10, err_msg=message)
    got = online_softmax_attention(q, k, v, 3)
    np.testing.assert_allclose(
        got, want, atol=1e-10, err_msg="7 keys in blocks of 3: is the last block of one key there?"
    )
    try:
        online_softmax_attention(q, k, v, 0)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0, it says: {error}"
    else:
        raise AssertionError("block_size=0 was accepted: raise ValueError")


test_online_softmax_attention()


# %% hidden="online_softmax_attention" points=4
def hidden_online_softmax_attention():
    import tracemalloc

    import numpy as np
    import torch

    rng = np.random.default_rng(58)

    def expected(*tensors):
        return torch.nn.functional.scaled_dot_product_attention(*(torch.from_numpy(x) for x in tensors)).numpy()

    for lead, n, s, d, dv in (((2, 3), 5, 11, 4, 4), ((3,), 1, 9, 2, 6), ((1,), 6, 1, 3, 3), ((2,), 4, 8, 5, 1)):
        q, k, v = (rng.standard_normal((*lead, *shape)) for shape in ((n, d), (s, d), (s, dv)))
        before = [x.copy() for x in (q, k, v)]
        want = expected(q, k, v)
        for block in (1, 2, 3, s, s + 5):
            got = online_softmax_attention(q, k, v, block)
            case = f"queries {q.shape}, keys {k.shape}, blocks of {block}"
            np.testing.assert_allclose(got, want, atol=1e-10, err_msg=case)
        for x, copy in zip((q, k, v), before, strict=True):
            np.testing.assert_array_equal(x, copy, err_msg="an input was changed in place")

    # Scores near 2000 and near -2000: relative to the running maximum nothing overflows, nothing becomes 0 / 0.
    q, k, v = np.full((1, 3, 4), 30.0), rng.standard_normal((1, 9, 4)), rng.standard_normal((1, 9, 2))
    for sign in (1, -1):
        keys = sign * (30 + 5 * np.abs(k))
        with np.errstate(over="raise", invalid="raise"):
            got = online_softmax_attention(q, keys, v, 2)
        np.testing.assert_allclose(got, expected(q, keys, v), atol=1e-9, err_msg=f"scores near {sign * 2000}")
    # Rows whose scores lie 4000 apart, and scores 2000 apart within a block.
    q, k = np.array([[[40.0], [-40]]]), np.array([[[50.0], [51], [49]]])
    with np.errstate(over="raise", invalid="raise"):
        got = online_softmax_attention(q, k, v[:, :3], 2)
    message = "one row of scores near 2000, one near -2000: each row needs its own maximum"
    np.testing.assert_allclose(got, expected(q, k, v[:, :3]), atol=1e-9, err_msg=message)
    q, k = np.ones((1, 1, 1)), np.array([[[1000.0], [-1000], [999], [-3]]])
    with np.errstate(over="raise", invalid="raise"):
        got = online_softmax_attention(q, k, v[:, :4], 2)
    np.testing.assert_allclose(
        got, expected(q, k, v[:, :4]), atol=1e-9, err_msg="scores of 1000 and -1000 in one block"
    )
    for order in ([1000.0, 999, -1000, -999], [-1000.0, -999, 1000, 999]):
        k = np.array(order)[None, :, None]
        with np.errstate(over="raise", invalid="raise"):
            got = online_softmax_attention(q, k, v[:, :4], 2)
        message = "a block whose scores lie 2000 away from those of the block before: the maximum never falls"
        np.testing.assert_allclose(got, expected(q, k, v[:, :4]), atol=1e-9, err_msg=message)
    q, k, v = np.ones((2, 1, 1)), np.array([[[1000.0], [999]], [[-999], [-1000]]]), rng.standard_normal((2, 2, 2))
    with np.errstate(over="raise", invalid="raise"):
        got = online_softmax_attention(q, k, v, 1)
    message = "one head with scores near 1000, one near -1000: each row of each head has its own maximum"
    np.testing.assert_allclose(got, expected(q, k, v), atol=1e-9, err_msg=message)
    # The largest score first, last and in the middle.
    for order in ([5.0, 1, 2, 0, 3], [0, 1, 2, 3, 5.0], [1, 0, 5.0, 2, 3]):
        k = np.array(order)[None, :, None]
        v = rng.standard_normal((1, 5, 2))
        got = online_softmax_attention(np.ones((1, 1, 1)), k, v, 2)
        np.testing.assert_allclose(got, expected(np.ones((1, 1, 1)), k, v), atol=1e-10, err_msg=f"scores {order}")
    for block in (-1, -64):
        try:
            online_softmax_attention(q, q, q, block)
        except ValueError as error:
            assert str(block) in str(error), f"the message should hold the bad value {block}: {error}"
            continue
        raise AssertionError(f"block_size={block} was accepted")

    q, k, v = rng.standard_normal((3, 2500, 8)).astype(np.float32)
    tracemalloc.start()
    got = online_softmax_attention(q, k, v, 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.dtype == np.float32, f"float32 in, float32 out: yours is {got.dtype}"
    # One block of scores takes 0.5 MB and needs a few copies; the whole matrix would take 25 MB.
    assert peak < 6e6, (
        f"2500 tokens in blocks of 50: {peak / 1e6:.0f} MB at the peak, so a matrix of all scores was made"
    )
    want = expected(q[None], k[None], v[None])[0]
    np.testing.assert_allclose(got, want, atol=1e-5, err_msg="float32, 2500 keys in blocks of 50")

    class Served:
        """Keys or values in slow memory: `shape`, `dtype`, and slices [..., a:b, :] of at most one block."""

        lends = ("shape", "dtype", "ndim")

        def __init__(self, rows, block):
            self.rows, self.block, self.reads = rows, block, [0] * rows.shape[-2]
            self.shape, self.dtype, self.ndim = rows.shape, rows.dtype, rows.ndim

        def __getitem__(self, index):
            index = index if isinstance(index, tuple) else (index,)
            front = len(self.shape) - 2
            if index[0] is Ellipsis or len(index) < front + 1 or len(index) == 1:
                part = index[1] if index[0] is Ellipsis and len(index) > 1 else index[0]
            else:
                part = index[front]
            assert isinstance(part, slice), f"take k[..., a:b, :], a slice of tokens, not {index}"
            taken = range(len(self.reads))[part]
            assert len(taken) <= self.block, f"{len(taken)} tokens were read at once, block_size is {self.block}"
            for token in taken:
                self.reads[token] += 1
            return self.rows[..., part, :].copy()

    for lead, s, block in (((), 11, 4), ((2,), 6, 2), ((), 5, 5)):
        q, k, v = (rng.standard_normal((*lead, *shape)) for shape in ((3, 4), (s, 4), (s, 2)))
        keys, values = Served(k, block), Served(v, block)
        got = online_softmax_attention(q, keys, values, block)
        np.testing.assert_allclose(got, expected(q, k, v), atol=1e-10, err_msg="keys that are served in blocks")
        for name, served in (("key", keys), ("value", values)):
            assert set(served.reads) == {1}, (
                f"{s} tokens in blocks of {block}: each {name} is read once, yours were read {served.reads} times "
                "(a first pass for the maximum, or one pass per query?)"
            )
    q, k, v = rng.standard_normal((3, 6, 4))
    for sizes in ((np.float32, np.float64, np.float64), (np.float64, np.float32, np.float32)):
        got = online_softmax_attention(*(x.astype(size) for x, size in zip((q, k, v), sizes, strict=True)), 4)
        assert got.dtype == sizes[0], f"{sizes[0].__name__} queries on keys and values of another dtype: {got.dtype}"
    got = online_softmax_attention(q, k, v, 4)
    assert got.dtype == np.float64, f"float64 in, float64 out: yours is {got.dtype}"
    try:
        swapped = online_softmax_attention(*(x.astype(">f8") for x in (q, k, v)), 4)  # only NumPy reads this byte order
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"use NumPy alone: the measure of memory does not see other libraries ({error})"
        ) from error
    np.testing.assert_allclose(swapped, got, atol=1e-12, err_msg="the same numbers in another byte order")


hidden_online_softmax_attention()

# %% [markdown] task="flash_hbm_bytes" stars=3 minutes=20
# ## 8. What the tiles save in traffic
#
# Memory is one half of FlashAttention; the other is traffic. A GPU's large memory (HBM) is slow, its on-chip memory (SRAM) is small and fast. Standard attention writes the scores and the probabilities to HBM and reads both back, so with $b$ bytes per number it moves $(4Nd + 4N^2)\,b$ bytes for each head. FlashAttention keeps tiles on the chip. Count what its Algorithm 1 moves: write `flash_hbm_bytes(n, d, sram_bytes, bytes_per=2)`.
#
# - Four tiles share the SRAM, of K, V, Q and O. A key block gets $B_c = \lfloor \text{sram bytes} / (4\,d\,b) \rfloor$ rows, at most $N$, so there are $T_c = \lceil N / B_c \rceil$ key blocks.
# - Each K and V block is read once: $2Nd$ numbers in all.
# - For each key block, every Q and O tile is read once and O is written back: $3Nd$ numbers for each of the $T_c$ blocks.
# - The running maxima and sums (two numbers per row) are left out.
#
# $$\text{bytes} = (2Nd + 3Nd \cdot T_c)\,b \;=\; \Theta\!\left(\frac{N^2 d^2}{M}\right) \text{ for } M \text{ numbers of SRAM}$$
#
# Example: $N = 4$, $d = 2$, 32 bytes of SRAM, $b = 2$: $B_c = 32 / 16 = 2$, $T_c = 2$, so $(16 + 24 \cdot 2) \cdot 2 = 128$ bytes, against $(32 + 64) \cdot 2 = 192$.
#
# Return an `int`. An SRAM too small for a block of one row makes no sense either. (Dao et al. 2022, Algorithm 1 and Theorem 2; the paper rounds $B_c$ up, we round it down so that the tiles fit.)
#
# <details><summary>Hint 1</summary>
#
# Work out the rows of a block, then the number of blocks, then the sum. Both divisions round, one down and one up.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `-(-n // rows)` is a division that rounds up. Check that there is at least one row before you divide by it.
#
# </details>


# %% solution="flash_hbm_bytes"
def flash_hbm_bytes(n, d, sram_bytes, bytes_per=2):
    """Bytes that FlashAttention's Algorithm 1 moves between HBM and SRAM for one head.

    n: tokens. d: numbers per head. sram_bytes: on-chip memory for the four tiles. bytes_per: bytes per number. All 1
    or more. Returns an int. Raises ValueError otherwise, or where not even a block of one row fits.
    """
    ### BEGIN SOLUTION
    for size in (n, d, sram_bytes, bytes_per):
        if size < 1:
            raise ValueError(f"sizes must be at least 1, got {size}")
    rows = min(n, sram_bytes // (4 * d * bytes_per))
    if rows < 1:
        raise ValueError(f"{sram_bytes} bytes of SRAM do not hold four rows of {d} numbers")
    num_blocks = -(-n // rows)
    return (2 * n * d + 3 * n * d * num_blocks) * bytes_per
    ### END SOLUTION


# %% tryit="flash_hbm_bytes"
lengths = 2 ** np.arange(8, 16)
fig, ax = figure()
ax.loglog(lengths, [(4 * n * 64 + 4 * n * n) * 2 / 1e6 for n in lengths], "o-", label="standard: (4Nd + 4N²)·b")
for sram_kb in (48, 192):
    moved = [flash_hbm_bytes(int(n), 64, sram_kb * 1024) / 1e6 for n in lengths]
    ax.loglog(lengths, moved, "s--", label=f"tiles in {sram_kb} KiB of SRAM")
ax.set(xlabel="tokens", ylabel="HBM traffic of one head (MB)", title="One head of 64 numbers, 16 bits")
ax.legend()
show(
    fig,
    alt="Traffic against tokens, both logarithmic: three lines of the same slope for long prompts; the tiles lie "
    "below the standard line, lower with more SRAM.",
)


# %% test="flash_hbm_bytes" points=1
def test_flash_hbm_bytes():
    got = flash_hbm_bytes(4, 2, 32)
    assert got is not None, "flash_hbm_bytes returned None: is there a return statement?"
    assert got != 64, "64 leaves the bytes per number out"
    assert got == 128, f"4 tokens of 2 numbers, 32 bytes of SRAM: (16 + 24·2)·2 = 128 bytes, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    got = flash_hbm_bytes(5, 2, 32)
    assert got == (20 + 30 * 3) * 2, f"5 tokens in blocks of 2 take 3 blocks, (20 + 30·3)·2 = 220 bytes, not {got}"
    for bad, named in (((0, 2, 32), "0"), ((4, 2, 15), "15")):
        try:
            got = flash_hbm_bytes(*bad)
        except ValueError as error:
            assert named in str(error), f"the ValueError should name the bad value {named}, it says: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(f"flash_hbm_bytes{bad} divided by zero: raise ValueError before that") from error
        else:
            raise AssertionError(f"flash_hbm_bytes{bad} returned {got}: raise ValueError")


test_flash_hbm_bytes()


# %% hidden="flash_hbm_bytes" points=2
def hidden_flash_hbm_bytes():
    import numpy as np

    rng = np.random.default_rng(59)
    for _ in range(25):
        n, d, b = int(rng.integers(1, 40)), int(rng.integers(1, 6)), int(rng.choice([1, 2, 4]))
        sram = 4 * d * b * int(rng.integers(1, 9)) + int(rng.integers(0, 4 * d * b))
        moved, first = 0, 0  # walk through Algorithm 1 and count numbers
        rows = 0
        while (rows + 1) * 4 * d * b <= sram:
            rows += 1
        while first < n:
            block = min(rows, n - first)
            moved += 2 * block * d  # read K and V
            moved += sum(3 * d for _query in range(n))  # read q, read o, write o
            first += block
        got = flash_hbm_bytes(n, d, sram, bytes_per=b)
        case = f"{n} tokens of {d} numbers, {sram} bytes of SRAM, {b} bytes each"
        assert got == moved * b, f"{case}: the loop moves {moved * b} bytes, you returned {got}"
        assert isinstance(got, int), f"{case}: return an int, not {type(got).__name__}"
    long, longer = (flash_hbm_bytes(n, 64, 192 * 1024) for n in (2**17, 2**18))
    assert abs(longer / long - 4) < 0.05, f"twice the tokens move four times the bytes, yours {longer / long:.2f} times"
    more = flash_hbm_bytes(2**17, 64, 2 * 192 * 1024)
    assert abs(long / more - 2) < 0.05, f"twice the SRAM halves the traffic of a long prompt, yours {long / more:.2f}"
    assert flash_hbm_bytes(10, 8, 10**9) == (20 + 30) * 8 * 2, "with SRAM for everything there is one block"
    good = {"n": 6, "d": 4, "sram_bytes": 64, "bytes_per": 2}
    for name in good:
        for value in (0, -3):
            try:
                got = flash_hbm_bytes(**{**good, name: value})
            except ValueError as error:
                assert str(value) in str(error), f"{name}={value}: the message should hold the bad value: {error}"
                continue
            raise AssertionError(f"{name}={value} was accepted and gave {got}")
    try:
        got = flash_hbm_bytes(6, 4, 31)
    except ValueError as error:
        assert "31" in str(error), f"the message should hold the 31 bytes that are too few: {error}"
    else:
        raise AssertionError(f"31 bytes do not hold four rows of 4 numbers, but you returned {got}")


hidden_flash_hbm_bytes()

# %% [markdown] task="sliding_window_mask" stars=1 minutes=10
# ## 9. A window that slides
#
# With sliding-window attention a token looks at itself and the `window - 1` tokens before it, and at nothing older. Write `sliding_window_mask(n, window)`, a new boolean array `[n, n]` that is True where query $i$ (row) may look at key $j$ (column):
#
# $$i - \text{window} < j \le i$$
#
# Example, `sliding_window_mask(4, 2)`:
#
# | | 0 | 1 | 2 | 3 |
# |---|---|---|---|---|
# | **0** | 1 | 0 | 0 | 0 |
# | **1** | 1 | 1 | 0 | 0 |
# | **2** | 0 | 1 | 1 | 0 |
# | **3** | 0 | 0 | 1 | 1 |
#
# With `window >= n` it is the plain causal mask. (Beltagy et al. 2020; Jiang et al. 2023 use 4096 in Mistral 7B. Some texts let the window count the past only, one more than here.)
#
# <details><summary>Hint 1</summary>
#
# Two conditions that both must hold: not in the future, not too old.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.arange(n)[:, None]` is a column of row numbers; compared with `np.arange(n)` it gives the whole square. `&` joins two boolean arrays; mind the brackets.
#
# </details>


# %% solution="sliding_window_mask"
def sliding_window_mask(n, window):
    """Boolean mask [n, n]: True where query i may look at key j, itself and window - 1 tokens before it.

    n: tokens. window: tokens seen, the own one included. Both 1 or more, else ValueError.
    """
    ### BEGIN SOLUTION
    for count in (n, window):
        if count < 1:
            raise ValueError(f"n and window must be at least 1, got {count}")
    query, key = np.arange(n)[:, None], np.arange(n)
    return (key <= query) & (query - window < key)
    ### END SOLUTION


# %% tryit="sliding_window_mask"
print(sliding_window_mask(6, 3).astype(int))


# %% test="sliding_window_mask" points=1
def test_sliding_window_mask():
    import numpy as np

    got = sliding_window_mask(4, 2)
    assert got is not None, "sliding_window_mask returned None: is there a return statement?"
    assert np.asarray(got).dtype == bool, f"return booleans, not {np.asarray(got).dtype}"
    want = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]], dtype=bool)
    assert not np.array_equal(got, want.T), "rows are queries and columns are keys: yours looks into the future"
    wide = np.tri(4, dtype=bool) & ~np.tri(4, k=-3, dtype=bool)
    assert not np.array_equal(got, wide), "window 2 is the token itself and one before; yours sees two before"
    np.testing.assert_array_equal(got, want, err_msg="sliding_window_mask(4, 2) differs from the table above")
    for bad in ((4, 0), (0, 2)):
        try:
            sliding_window_mask(*bad)
        except ValueError as error:
            assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
        else:
            raise AssertionError(f"sliding_window_mask{bad} was accepted: raise ValueError")


test_sliding_window_mask()


# %% hidden="sliding_window_mask" points=1
def hidden_sliding_window_mask():
    import numpy as np

    kind = np.asarray(sliding_window_mask(3, 5)).dtype.name
    assert kind == "bool", f"booleans also where the window covers all, not {kind}"
    for n in (1, 2, 5, 9):
        for window in (1, 2, 3, 8, 9, 20):
            got = sliding_window_mask(n, window)
            assert got.shape == (n, n), f"n={n}: expected shape {(n, n)}, got {got.shape}"
            for i in range(n):
                seen = [j for j in range(n) if got[i, j]]
                want = list(range(max(0, i - window + 1), i + 1))
                assert seen == want, f"n={n}, window={window}: token {i} should see {want}, yours sees {seen}"
    got = sliding_window_mask(300, 100)
    wrong = np.argwhere(np.asarray(got) != np.tri(300, dtype=bool) ^ np.tri(300, k=-100, dtype=bool))
    assert not len(wrong), f"300 tokens, window 100: positions above 127 go wrong, (token, key) {wrong[0]} first"
    got[:] = True
    again = sliding_window_mask(300, 100)
    assert not again.all(), "who writes into one mask changes the next one of the same size: make a new array each time"
    for bad in ((4, -1), (-3, 2)):
        try:
            sliding_window_mask(*bad)
        except ValueError as error:
            assert str(min(bad)) in str(error), f"the message should hold the bad value {min(bad)}: {error}"
            continue
        raise AssertionError(f"sliding_window_mask{bad} was accepted")


hidden_sliding_window_mask()

# %% [markdown] task="RollingKVCache" stars=3 minutes=35
# ## 10. A cache that forgets
#
# Keys and values that no query will look at again need not be stored. Write `class RollingKVCache(n_layers, n_kv_heads, head_dim, window, batch=1, dtype=np.float32)`: a KV cache whose memory is `window` slots per layer, however long the text. The token at position $p$ lives in slot $p \bmod \text{window}$, where it overwrites the token that just left the window.
#
# - `append(layer, k, v)` takes the $n$ new tokens of a layer, `[batch, n_kv_heads, n, head_dim]` (with `batch=1` the batch axis may be left out), and returns `(keys, values)`: all that these tokens may look at, **in the order of the text**. That is the last `window - 1` older tokens, or as many as there are, and then the new ones, as copies that later tokens do not change. So one new token gets at most `window` keys; a chunk gets more, and the mask of exercise 9 sorts out which of its tokens sees what.
# - `length` is the number of tokens that every layer has *seen*, not the number kept. It is what RoPE needs.
# - Use NumPy alone: the checks measure your memory, and the measure sees no other library.
# - Nothing is ever full. A `k` or `v` of another shape than the cache raises `ValueError` and writes nothing; a layer that does not exist raises `IndexError`.
#
# Example, `window=3`, one token at a time:
#
# | token | returned positions | slots after it |
# |---|---|---|
# | 0 | 0 | 0, –, – |
# | 1 | 0, 1 | 0, 1, – |
# | 2 | 0, 1, 2 | 0, 1, 2 |
# | 3 | 1, 2, 3 | 3, 1, 2 |
#
# (Jiang et al. 2023, section 2, call it a rolling buffer cache.)
#
# <details><summary>Hint 1</summary>
#
# Read before you write: collect the older tokens that are still needed, then overwrite. A chunk longer than the window overwrites itself, so only its last `window` tokens are stored at all.
#
# </details>
# <details><summary>Hint 2</summary>
#
# An array of positions taken modulo `window` is an array of slots, and NumPy indexes with it on both sides of an assignment. The older positions are those from `count - window + 1` (never below 0) to `count`.
#
# </details>


# %% solution="RollingKVCache"
class RollingKVCache:
    """Keys and values of the last `window` tokens of all layers, in memory reserved once.

    n_layers, n_kv_heads, head_dim, window, batch: sizes, 1 or more (else ValueError). dtype: of the stored numbers.
    """

    def __init__(self, n_layers, n_kv_heads, head_dim, window, batch=1, dtype=np.float32):
        ### BEGIN SOLUTION
        self.shape = (n_layers, batch, n_kv_heads, window, head_dim)
        for size in self.shape:
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size} in {self.shape}")
        self.keys = np.empty(self.shape, dtype)
        self.values = np.empty(self.shape, dtype)
        self.counts = [0] * n_layers
        ### END SOLUTION

    @property
    def length(self):
        """Tokens that every layer has seen, kept or not."""
        ### BEGIN SOLUTION
        return min(self.counts)
        ### END SOLUTION

    def append(self, layer, k, v):
        """Store the new tokens of one layer; returns (keys, values) of all that these tokens may look at.

        k, v: [batch, n_kv_heads, n, head_dim], or without the first axis where batch is 1 (the results then lack it
        too). The results hold the last window - 1 older tokens, or as many as there are, and then the n new ones.
        Raises ValueError for a wrong shape, IndexError for a layer that does not exist; nothing is written then.
        """
        ### BEGIN SOLUTION
        n_layers, batch, n_kv_heads, window, head_dim = self.shape
        if not 0 <= layer < n_layers:
            raise IndexError(f"layer {layer} of a cache with {n_layers} layers")
        num_new = k.shape[-2]
        want = (batch, n_kv_heads, num_new, head_dim)
        has_batch = batch > 1 or k.ndim == 4
        if k.shape != want[not has_batch :] or v.shape != want[not has_batch :]:
            raise ValueError(f"k and v must be {want}, got {k.shape} and {v.shape}")
        count = self.counts[layer]
        old = np.arange(max(0, count - window + 1), count) % window
        kept = min(num_new, window)
        slots = np.arange(count + num_new - kept, count + num_new) % window
        seen = []
        for store, new in ((self.keys[layer], k), (self.values[layer], v)):
            new = new.reshape(want).astype(store.dtype)
            seen.append(np.concatenate([store[:, :, old], new], axis=2))
            store[:, :, slots] = new[:, :, num_new - kept :]
        self.counts[layer] = count + num_new
        return tuple(seen) if has_batch else (seen[0][0], seen[1][0])
        ### END SOLUTION


# %% tryit="RollingKVCache"
rng = np.random.default_rng(2)
q, k, v = rng.standard_normal((3, 2, 12, 8))  # 2 heads, 12 tokens of 8 numbers
cache, rows = RollingKVCache(1, 2, 8, window=4, dtype=np.float64), []
for i in range(12):
    keys, values = cache.append(0, k[:, i : i + 1], v[:, i : i + 1])
    rows.append(full_attention(q[:, i : i + 1], keys, values))
with_mask = full_attention(q, k, v, sliding_window_mask(12, 4))
print(
    f"12 tokens, {keys.shape[1]} kept; against masked full attention: {np.abs(np.concatenate(rows, 1) - with_mask).max():.1e}"
)


# %% test="RollingKVCache" points=2
def test_RollingKVCache():
    import numpy as np

    rng = np.random.default_rng(60)
    k, v = rng.standard_normal((2, 1, 2, 6, 4)).astype(np.float32)  # 6 tokens of 2 KV heads
    cache = RollingKVCache(n_layers=2, n_kv_heads=2, head_dim=4, window=3)
    assert cache.length == 0, f"a new cache has seen 0 tokens, length is {cache.length}"
    for i in range(6):
        for layer in range(2):
            got = cache.append(layer, k[:, :, i : i + 1], v[:, :, i : i + 1])
            assert got is not None and len(got) == 2, "append must return two things: keys and values"
            first = max(0, i - 2)
            case = f"token {i} with window 3, layer {layer}"
            many = got[0].shape[2]
            assert many <= 3, f"{case}: {many} keys came back, more than the window"
            assert many == i + 1 - first, (
                f"{case}: it sees {i + 1 - first} keys, the own one included; you returned {many}"
            )
            message = f"{case}: it sees positions {list(range(first, i + 1))}, in the order of the text"
            np.testing.assert_array_equal(got[0], k[:, :, first : i + 1], err_msg=f"keys, {message}")
            np.testing.assert_array_equal(got[1], v[:, :, first : i + 1], err_msg=f"values, {message}")
        assert cache.length == i + 1, (
            f"after {i + 1} tokens length is {i + 1} (seen, not kept), yours is {cache.length}"
        )


test_RollingKVCache()


# %% hidden="RollingKVCache" points=4
def hidden_RollingKVCache():
    import tracemalloc

    import numpy as np
    import torch

    rng = np.random.default_rng(61)

    def refused(kind, what, call):
        try:
            call()
        except kind as error:
            return str(error)
        raise AssertionError(f"{what} was accepted: raise {kind.__name__}")

    for trial in range(14):
        layers, heads, half, batch = (int(n) for n in rng.integers(1, 4, 4))
        window = int(rng.integers(1, 7))
        dtype = (np.float32, np.float64)[trial % 2]
        chunks = [int(n) for n in rng.integers(0, 9, 6)] if trial % 3 else [1] * 12
        case = f"{layers} layers, batch {batch}, {heads} heads of {2 * half}, window {window}, chunks {chunks}"
        data = rng.standard_normal((2, layers, batch, heads, sum(chunks), 2 * half)).astype(dtype)
        options = {"batch": batch, "dtype": dtype} if trial else {}
        data = data if trial else data[:, :, :1].astype(np.float32)
        cache = RollingKVCache(layers, heads, 2 * half, window, **options)
        start = 0
        for chunk in chunks:
            for layer in range(layers):
                got = cache.length
                assert got == start, f"{case}: before layer {layer} appends, length should be {start}, it is {got}"
                new = data[:, layer, :, :, start : start + chunk].copy()
                pair = cache.append(layer, *new)
                new[:] = 77
                first = max(0, start - window + 1)
                for name, have, all_rows in zip("kv", pair, data[:, layer], strict=True):
                    want = all_rows[:, :, first : start + chunk]
                    assert have.dtype == dtype, f"{case}: {name} came back as {have.dtype}"
                    np.testing.assert_array_equal(have, want, err_msg=f"{case}: {name} of layer {layer} from {start}")
            start += chunk
        assert cache.length == start, f"{case}: at the end length should be {start}, it is {cache.length}"

    # Chunks through the cache, masked, give what full attention with a sliding window gives.
    q, k, v = rng.standard_normal((3, 2, 20, 4))
    distance = np.arange(20)[:, None] - np.arange(20)
    mask = torch.from_numpy((distance >= 0) & (distance < 5))
    tensors = [torch.from_numpy(x)[None] for x in (q, k, v)]
    want = torch.nn.functional.scaled_dot_product_attention(*tensors, attn_mask=mask)[0].numpy()
    cache = RollingKVCache(2, 2, 4, window=5)
    cache.append(1, k[:, :3], v[:, :3])
    assert cache.length == 0, f"layer 0 has seen nothing yet: length should be 0, it is {cache.length}"
    cache, start = RollingKVCache(1, 2, 4, window=5, dtype=np.float64), 0
    for chunk in (3, 1, 7, 1, 6, 2):
        keys, values = cache.append(0, k[:, start : start + chunk], v[:, start : start + chunk])
        assert keys.ndim == 3, f"k without a batch axis: the keys lack it too, yours have shape {keys.shape}"
        end = start + chunk
        part = mask[start:end, end - keys.shape[1] : end]
        parts = [torch.from_numpy(np.ascontiguousarray(x))[None] for x in (q[:, start:end], keys, values)]
        got = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=part)[0].numpy()
        message = f"window 5, tokens {start} to {end - 1}: attention over the cache differs from masked full attention"
        np.testing.assert_allclose(got, want[:, start:end], atol=1e-10, err_msg=message)
        start = end

    # Memory does not grow with the text.
    cache = RollingKVCache(1, 4, 64, window=8)
    token = np.ones((1, 4, 1, 64), np.float32)
    tracemalloc.start()
    for _ in range(1000):
        cache.append(0, token, token)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 300_000, f"1000 tokens with a window of 8 left {grown / 1e6:.1f} MB behind: drop what is too old"
    cache = RollingKVCache(64, 1, 16, window=4)
    chunk = np.ones((1, 1, 200, 16), np.float32)
    tracemalloc.start()
    for layer in range(64):
        cache.append(layer, chunk, chunk)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 400_000, (
        f"chunks of 200 tokens with a window of 4 left {grown / 1e6:.1f} MB behind: a slice keeps its whole array alive"
    )

    cache = RollingKVCache(2, 2, 6, 4, dtype=np.float64)
    keep = rng.standard_normal((1, 2, 6, 6))
    for layer in range(2):
        cache.append(layer, keep, -keep)
    two = np.full((1, 2, 2, 6), 9.0)
    turned = np.full((1, 6, 2, 2), 9.0)  # as many numbers, in another shape
    for what, k, v in (
        ("one head where the cache has 2", two[:, :1], two[:, :1]),
        ("v with fewer heads than k", two, two[:, :1]),
        ("k with fewer heads than v", two[:, :1], two),
        ("v with fewer tokens than k", two, two[:, :, :1]),
        ("heads of 1 number where the cache has 6", two[..., :1], two[..., :1]),
        ("6 heads of 2 numbers where the cache has 2 of 6", turned, turned),
        ("v with 6 heads of 2 numbers", two, turned),
        ("k with 6 heads of 2 numbers", turned, two),
        ("a batch of 2 in a cache for 1", np.repeat(two, 2, 0), np.repeat(two, 2, 0)),
    ):
        refused(ValueError, what, lambda k=k, v=v: cache.append(1, k, v))
    for layer in (-1, 2):
        refused(IndexError, f"layer {layer} of 2", lambda layer=layer: cache.append(layer, two, two))
    assert cache.length == 6, f"rejected appends change nothing: length should be 6, it is {cache.length}"
    keys, values = cache.append(1, two, two)
    np.testing.assert_array_equal(keys[:, :, :3], keep[:, :, 3:], err_msg="keys were changed by rejected appends")
    np.testing.assert_array_equal(values[:, :, :3], -keep[:, :, 3:], err_msg="values were changed by rejected appends")
    keys, _ = RollingKVCache(1, 2, 6, 4).append(0, keep, keep)
    assert keys.dtype == np.float32, (
        f"a float32 cache gives float32 keys, also for float64 input; yours are {keys.dtype}"
    )
    pair = np.zeros((2, 1, 6))
    refused(
        ValueError,
        "k without a batch axis in a cache for 2",
        lambda: RollingKVCache(1, 2, 6, 4, 2).append(0, pair, pair),
    )
    good = {"n_layers": 1, "n_kv_heads": 1, "head_dim": 2, "window": 3, "batch": 1}
    for name in good:
        for value in (0, -2):
            make = lambda name=name, value=value: RollingKVCache(**{**good, name: value})
            text = refused(ValueError, f"{name}={value}", make)
            assert str(value) in text, f"{name}={value}: the message should hold the bad value: {text}"
    cache, pairs = RollingKVCache(1, 1, 1, 2), []
    for token in range(4):
        pairs.append(cache.append(0, np.full((1, 1, 1), token), np.full((1, 1, 1), -token)))
    for name, sign, have in (("keys", 1, [k for k, _ in pairs]), ("values", -1, [v for _, v in pairs])):
        have = [np.asarray(rows).ravel().tolist() for rows in have]
        want = [[0], [0, sign], [sign, 2 * sign], [2 * sign, 3 * sign]]
        assert have == want, f"the {name} that were returned changed when more tokens came: hand out copies: {have}"
    first, second = RollingKVCache(1, 1, 2, 3), RollingKVCache(1, 1, 2, 3)
    one = np.ones((1, 1, 2))
    token = (3 * one).astype(">f4")  # in a byte order that only NumPy reads
    first.append(0, one, one)
    second.append(0, 2 * one, 2 * one)
    try:
        keys, values = first.append(0, token, token)
    except (TypeError, ValueError) as error:
        raise AssertionError(
            f"use NumPy alone: the measure of memory does not see other libraries ({error})"
        ) from error
    for name, have in (("keys", keys), ("values", values)):
        assert np.asarray(have)[0, :, 0].tolist() == [1, 3], f"two caches of one size share their {name}"


hidden_RollingKVCache()

# %% [markdown]
# **Before you close this.** Tiles and unrepeated heads give the numbers of plain attention to rounding, and a rolling cache those of a masked one; a pooled checkpoint and a window are *other models*, which is why they need training. And you measured what you saved: bytes at the peak, not only in a formula.
