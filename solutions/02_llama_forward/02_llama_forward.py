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
# # 02 · The whole LLaMA forward pass
#
# In this notebook you write the inside of a language model, from token ids to logits, in NumPy. It is the architecture of Llama 2 and 3, of SmolLM2 and, with small changes, of most open models: RMSNorm, rotary positions, causal attention with grouped heads, a gated MLP, two residuals per layer. At the end your functions run a real model with 135 million parameters. The chapter *The LLaMA forward pass* of the book walks through the shapes.
#
# Arrays are `[tokens, features]`, heads are `[heads, tokens, head_dim]`, every weight matrix is `[in, out]` and is applied as `x @ W`. The letters: $N$ tokens, $d$ model size, $H_q$ query heads, $H_{kv}$ KV heads, $d_h$ head size, $d_{ff}$ inner size of the MLP.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError` (an id that does not exist: `IndexError`), and the message holds the value. The docstring says which arguments are meant.

# %% setup=True
import numpy as np

from mini_engine.config import LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_8B, SMOLLM2_135M
from mini_engine.weights import load_tiny, load_tiny_expected

# A 2-layer checkpoint of the LLaMA architecture with random weights, and the logits that transformers computes with it.
TINY, TINY_WEIGHTS = load_tiny()
EXPECTED = load_tiny_expected()

# %% [markdown] task="rms_norm" stars=2 minutes=15
# ## 1. RMSNorm
#
# Each sub-layer first brings its input to a common size. RMSNorm (Zhang and Sennrich 2019, arXiv 1910.07467, equation 4) divides each token's vector by its root mean square and multiplies by a learned gain:
#
# $$y = \frac{x}{\sqrt{\frac{1}{d}\sum_i x_i^2 + \epsilon}} \odot w$$
#
# Write `rms_norm(x, weight, eps)` for `x` `[..., d]` and `weight` `[d]`, over the last axis. No mean is subtracted and no bias is added. `eps` stands inside the root.
#
# The result has the dtype of `x`. Compute in float32 at least, even when `x` is float16: the largest float16 is 65504, so the square of 256 is already infinite, and everything divided by it is 0. A wider `x` stays as wide. LLaMA's own code does the same.
#
# Example: `rms_norm([3, 4], [1, 1], 0)` divides by $\sqrt{(9 + 16)/2} = 3.5355$ and gives `[0.8485, 1.1314]`.
#
# <details><summary>Hint 1</summary>
#
# Each token has its own root mean square: the mean runs over the last axis, and its result must still divide `x` row by row.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.result_type(x, np.float32)` is float32 for float16 and stays float64 for float64. Convert, compute, and convert back as the last step.
#
# </details>


# %% solution="rms_norm"
def rms_norm(x, weight, eps):
    """RMSNorm over the last axis (Zhang and Sennrich 2019), as LLaMA does it: no mean, no bias.

    x: [..., d]. weight: [d]. eps: added to the mean square, inside the root. Computes in float32 or wider.
    Returns a new array [..., d] in the dtype of x if that is a float, else floats.
    """
    ### BEGIN SOLUTION
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    mean_square = np.mean(wide**2, axis=-1, keepdims=True)
    return (wide / np.sqrt(mean_square + eps) * weight).astype(np.result_type(x, np.float16))
    ### END SOLUTION


# %% tryit="rms_norm"
vector = np.array([[3.0, 4.0], [300.0, 400.0]])
print(rms_norm(vector, np.ones(2), 1e-5), "the size of the input is gone")
print(rms_norm(vector.astype(np.float16), np.ones(2), 1e-5), "float16 in, float16 out")


# %% test="rms_norm" points=1
def test_rms_norm():
    import numpy as np

    x = np.array([[3.0, 4.0], [-6.0, 8.0]])
    got = rms_norm(x, np.ones(2), 0.0)
    assert got is not None, "rms_norm returned None: is there a return statement?"
    assert not np.allclose(got[0], [-1, 1]), "[3, 4] became [-1, 1]: that is LayerNorm; RMSNorm subtracts no mean"
    want = [[0.848528137, 1.131370850], [-0.848528137, 1.131370850]]
    np.testing.assert_allclose(
        got, want, rtol=1e-8, err_msg="[3, 4] has the root mean square sqrt(12.5), each row its own"
    )
    got = rms_norm(x, np.array([1.0, 10.0]), 0.0)
    np.testing.assert_allclose(
        got[:, 1], [11.3137085, 11.3137085], rtol=1e-8, err_msg="the gain multiplies feature by feature"
    )
    got = rms_norm(np.array([[3.0, 4.0]]), np.ones(2), 12.5)
    np.testing.assert_allclose(
        got, [[0.6, 0.8]], rtol=1e-8, err_msg="eps=12.5: sqrt(12.5 + 12.5) = 5; eps is inside the root"
    )
    assert np.array_equal(x, [[3, 4], [-6, 8]]), "rms_norm changed its input: work on a new array"


test_rms_norm()


# %% hidden="rms_norm" points=2
def hidden_rms_norm():
    import numpy as np
    import torch

    rng = np.random.default_rng(21)
    for shape in ((1, 4), (5, 8), (2, 3, 6), (7,)):
        x = rng.normal(0.5, 2, shape)
        weight = rng.normal(1, 0.5, shape[-1])
        for eps in (1e-5, 0.3):
            want = torch.nn.functional.rms_norm(torch.tensor(x), shape[-1:], torch.tensor(weight), eps).numpy()
            got = rms_norm(x, weight, eps)
            np.testing.assert_allclose(
                got, want, rtol=1e-10, err_msg=f"shape {shape}, eps {eps}: differs from torch's rms_norm"
            )
    got = rms_norm(np.zeros((2, 4)), np.ones(4), 1e-5)
    np.testing.assert_allclose(got, np.zeros((2, 4)), err_msg="a vector of zeros should stay zero (eps keeps 0/0 away)")
    # float16 holds three digits, so 2e-3
    for size in (300.0, 1e-4):
        x = (size * rng.uniform(0.5, 1.5, (3, 16))).astype(np.float16)
        wide = x.astype(np.float64)
        want = wide / np.sqrt((wide**2).mean(axis=-1, keepdims=True) + 1e-12)
        got = rms_norm(x, np.ones(16, dtype=np.float16), 1e-12)
        assert got.dtype == np.float16, f"float16 in should give float16 out, you returned {got.dtype}"
        np.testing.assert_allclose(
            got.astype(float),
            want,
            rtol=2e-3,
            err_msg=f"float16 of size {size}: the square does not fit; compute in float32",
        )
    got = rms_norm(np.ones((2, 4), dtype=np.float32), np.ones(4), 1e-5)
    assert got.dtype == np.float32, f"float32 in should give float32 out, you returned {got.dtype}"
    for x in (np.array([3, 4]), [3.0, 4.0]):
        got = rms_norm(x, [1, 1], 0.0)
        message = f"{x} should give floats, as the same numbers in a float array do"
        np.testing.assert_allclose(got, [0.848528137, 1.131370850], rtol=1e-6, err_msg=message)
    weight = np.array([1.0, 2, 3])
    rms_norm(np.array([[1.0, 5, 2]]), weight, 1e-5)
    assert weight.tolist() == [1, 2, 3], "rms_norm changed the weight"


hidden_rms_norm()

# %% [markdown] task="layer_norm" stars=1 minutes=10
# ## 2. LayerNorm, to compare
#
# GPT-2 and BERT use the older LayerNorm (Ba et al. 2016, arXiv 1607.06450, section 3). It subtracts the mean, divides by the standard deviation, and has a bias beside the gain:
#
# $$y = \frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} \odot w + b,\qquad \mu = \frac{1}{d}\sum_i x_i,\quad \sigma^2 = \frac{1}{d}\sum_i (x_i - \mu)^2$$
#
# Write `layer_norm(x, weight, bias, eps)` under the same rules as `rms_norm`: last axis, dtype of `x`, float32 at least inside. The variance divides by $d$, not by $d - 1$.
#
# Example: `layer_norm([3, 4], [1, 1], [0, 0], 0)` is `[-1, 1]`, and so is `layer_norm([103, 104], …)`: LayerNorm does not see a shift of all features. RMSNorm does.
#
# <details><summary>Hint 1</summary>
#
# The variance is the mean square of what is left after the mean is gone.
#
# </details>
# <details><summary>Hint 2</summary>
#
# With `keepdims=True` both the mean and the variance keep a last axis of length 1. NumPy's `var` divides by $d$ unless you give it `ddof`.
#
# </details>


# %% solution="layer_norm"
def layer_norm(x, weight, bias, eps):
    """LayerNorm over the last axis (Ba et al. 2016): mean and variance removed, gain and bias applied.

    x: [..., d]. weight, bias: [d]. eps: added to the variance (which divides by d). Computes in float32 or wider.
    Returns a new array [..., d] in the dtype of x if that is a float, else floats.
    """
    ### BEGIN SOLUTION
    x = np.asarray(x)
    wide = x.astype(np.result_type(x, np.float32))
    centred = wide - wide.mean(axis=-1, keepdims=True)
    variance = np.mean(centred**2, axis=-1, keepdims=True)
    return (centred / np.sqrt(variance + eps) * weight + bias).astype(np.result_type(x, np.float16))
    ### END SOLUTION


# %% tryit="layer_norm"
for shift in (0, 100):
    row = np.array([3.0, 4.0]) + shift
    print(f"{row}: layer_norm {layer_norm(row, np.ones(2), np.zeros(2), 0)}, rms_norm {rms_norm(row, np.ones(2), 0)}")


# %% test="layer_norm" points=1
def test_layer_norm():
    import numpy as np

    x = np.array([[3.0, 4.0], [10.0, 30.0]])
    got = layer_norm(x, np.ones(2), np.zeros(2), 0.0)
    assert got is not None, "layer_norm returned None: is there a return statement?"
    assert not np.allclose(got, [[-(0.5**0.5), 0.5**0.5]] * 2), (
        "the variance of [3, 4] is 1/4: divide by d, not by d - 1"
    )
    np.testing.assert_allclose(got, [[-1, 1], [-1, 1]], rtol=1e-8, err_msg="mean away, then divided by the deviation")
    got = layer_norm(x, np.array([2.0, 3.0]), np.array([10.0, 20.0]), 0.0)
    np.testing.assert_allclose(
        got, [[8, 23], [8, 23]], rtol=1e-8, err_msg="the gain multiplies first, then the bias is added"
    )
    got = layer_norm(np.array([[3.0, 4.0]]), np.ones(2), np.zeros(2), 0.75)
    np.testing.assert_allclose(
        got, [[-0.5, 0.5]], rtol=1e-8, err_msg="eps=0.75: sqrt(1/4 + 3/4) = 1; eps is inside the root"
    )


test_layer_norm()


# %% hidden="layer_norm" points=1
def hidden_layer_norm():
    import numpy as np
    import torch

    rng = np.random.default_rng(22)
    for shape in ((1, 4), (5, 8), (2, 3, 6), (7,)):
        x = rng.normal(1, 2, shape)
        weight, bias = rng.normal(1, 0.5, shape[-1]), rng.normal(0, 1, shape[-1])
        for eps in (1e-5, 0.3):
            given = (torch.tensor(x), shape[-1:], torch.tensor(weight), torch.tensor(bias), eps)
            want = torch.nn.functional.layer_norm(*given).numpy()
            before = x.copy()
            got = layer_norm(x, weight, bias, eps)
            message = f"shape {shape}, eps {eps}: differs from torch's layer_norm"
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=message)
            assert np.array_equal(x, before), "layer_norm changed its input: work on a new array"
    x = (rng.uniform(-1, 1, (3, 16)) * 500).astype(np.float16)
    wide = x.astype(np.float64)
    want = (wide - wide.mean(axis=-1, keepdims=True)) / wide.std(axis=-1, keepdims=True)
    got = layer_norm(x, np.ones(16, dtype=np.float16), np.zeros(16, dtype=np.float16), 1e-5)
    assert got.dtype == np.float16, f"float16 in should give float16 out, you returned {got.dtype}"
    # float16 holds three digits, so 2e-3
    message = "float16 of size 500: the square does not fit; compute in float32"
    np.testing.assert_allclose(got.astype(float), want, rtol=2e-3, atol=2e-3, err_msg=message)
    x = (2000 + np.arange(16)).astype(np.float16)  # float16 has no halves up there, and the mean is 2007.5
    got = layer_norm(x, np.ones(16, dtype=np.float16), np.zeros(16, dtype=np.float16), 0.0)
    want = (np.arange(16) - 7.5) / np.arange(16).std()
    message = "float16 around 2000: form the mean and the differences in float32 too"
    np.testing.assert_allclose(got.astype(float), want, rtol=2e-3, atol=2e-3, err_msg=message)
    x = (1000 + rng.standard_normal((3, 16))).astype(np.float32)
    wide = x.astype(np.float64)
    want = (wide - wide.mean(axis=-1, keepdims=True)) / wide.std(axis=-1, keepdims=True)
    got = layer_norm(x, np.ones(16, np.float32), np.zeros(16, np.float32), 0.0)
    message = "float32 around 1000: subtract the mean before you square; mean of squares minus square of mean cancels"
    np.testing.assert_allclose(got, want, atol=5e-3, err_msg=message)
    got = layer_norm(np.ones((2, 4), dtype=np.float32), np.ones(4), np.zeros(4), 1e-5)
    assert got.dtype == np.float32, f"float32 in should give float32 out, you returned {got.dtype}"
    for x in (np.array([1, 2, 2, 1, 4]), [1.0, 2.0, 2.0, 1.0, 4.0]):
        got = layer_norm(x, [1] * 5, [0] * 5, 0.0)
        want = np.array([-1, 0, 0, -1, 2]) / 1.2**0.5
        np.testing.assert_allclose(got, want, rtol=1e-6, err_msg=f"{x} should give floats, as a float array does")
    weight, bias = np.array([1.0, 2, 3]), np.array([3.0, 2, 1])
    layer_norm(np.array([[1.0, 5, 2]]), weight, bias, 1e-5)
    assert weight.tolist() == [1, 2, 3] and bias.tolist() == [3, 2, 1], "layer_norm changed the weight or the bias"


hidden_layer_norm()

# %% [markdown] task="split_heads" stars=1 minutes=10
# ## 3. Into heads
#
# Attention works on $H$ heads side by side, each with its own slice of the features. Write `split_heads(x, n_heads)` that turns `[N, d]` into `[H, N, d/H]`: head $h$ of token $n$ is the slice `x[n, h * d/H : (h + 1) * d/H]`.
#
# Example: with 2 heads the row `[1, 2, 3, 4]` gives head 0 `[1, 2]` and head 1 `[3, 4]`.
#
# `n_heads` must be at least 1 and divide $d$; name both numbers otherwise.
#
# <details><summary>Hint 1</summary>
#
# Memory holds token after token. A reshape cannot move the head axis in front of the tokens; it only cuts what is there into other pieces.
#
# </details>
# <details><summary>Hint 2</summary>
#
# First cut each row into heads, `[N, H, d/H]`, then swap the first two axes.
#
# </details>


# %% solution="split_heads"
def split_heads(x, n_heads):
    """Cut the features into heads: [N, d] -> [H, N, d/H].

    x: [N, d]. n_heads: H, at least 1, divides d. Raises ValueError otherwise.
    """
    ### BEGIN SOLUTION
    n, d = x.shape
    if n_heads < 1 or d % n_heads:
        raise ValueError(f"n_heads={n_heads} does not divide {d} features")
    return x.reshape(n, n_heads, d // n_heads).swapaxes(0, 1)
    ### END SOLUTION


# %% tryit="split_heads"
rows = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
print(split_heads(rows, 2))


# %% test="split_heads" points=1
def test_split_heads():
    import numpy as np

    x = np.array([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]])
    got = split_heads(x, 2)
    assert got is not None, "split_heads returned None: is there a return statement?"
    assert np.shape(got) == (2, 3, 2), f"[3, 4] in 2 heads should be (2, 3, 2), you returned {np.shape(got)}"
    assert np.asarray(got)[0].tolist() != [[1, 2], [3, 4], [5, 6]], (
        "head 0 holds [3, 4], features of head 1: a reshape alone does not bring the heads to the front"
    )
    assert np.asarray(got).tolist() == [[[1, 2], [5, 6], [9, 10]], [[3, 4], [7, 8], [11, 12]]], (
        f"head 0 should be [[1, 2], [5, 6], [9, 10]], you returned {np.asarray(got)[0].tolist()}"
    )
    try:
        split_heads(x, 3)
    except ValueError as error:
        assert "3" in str(error) and "4" in str(error), f"the ValueError should name 3 and 4, it says: {error}"
    else:
        raise AssertionError("4 features in 3 heads were accepted: raise ValueError")


test_split_heads()


# %% hidden="split_heads" points=1
def hidden_split_heads():
    import numpy as np

    assert hasattr(split_heads(np.zeros((3, 6)), 2), "shape"), "return one array [H, N, d/H], not a list of arrays"
    rng = np.random.default_rng(23)
    for _ in range(10):
        n, heads, dh = (int(i) for i in rng.integers(1, 7, 3))
        x = rng.standard_normal((n, heads * dh))
        got = np.asarray(split_heads(x.copy(), heads))
        assert got.shape == (heads, n, dh), f"[{n}, {heads * dh}] in {heads} heads: you returned shape {got.shape}"
        for h in range(heads):
            for i in range(n):
                for j in range(dh):
                    assert got[h, i, j] == x[i, h * dh + j], f"head {h} of token {i} does not hold its slice of the row"
    x = rng.standard_normal((3, 6))
    assert np.array_equal(split_heads(x, 1), x[None]), "one head is x itself with an axis of length 1 in front"
    for bad in (0, -2, 5, 12):
        try:
            split_heads(np.zeros((3, 6)), bad)
        except ValueError as error:
            assert str(bad) in str(error) and "6" in str(error), f"the message should name {bad} and 6: {error}"
            continue
        raise AssertionError(f"6 features in {bad} heads were accepted")
    for sign in (1, -1):
        got = split_heads(sign * x, 2)
        assert np.array_equal(got[1], sign * x[:, 3:]), "other numbers of the same shape give other heads"


hidden_split_heads()

# %% [markdown] task="merge_heads" stars=1 minutes=5
# ## 4. Out of heads
#
# Write `merge_heads(x)`, the way back: `[H, N, d_h]` to `[N, H · d_h]`, the heads of a token side by side again. It must undo `split_heads`.
#
# Example: heads `[[[1, 2]], [[3, 4]]]` (2 heads, 1 token) give `[[1, 2, 3, 4]]`.
#
# <details><summary>Hint 1</summary>
#
# The same two steps in the opposite order.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Bring the tokens to the front first; only then may the last two axes become one.
#
# </details>


# %% solution="merge_heads"
def merge_heads(x):
    """Put the heads of each token side by side: [H, N, d_h] -> [N, H * d_h]. The inverse of split_heads."""
    ### BEGIN SOLUTION
    heads, n, head_dim = x.shape
    return x.swapaxes(0, 1).reshape(n, heads * head_dim)
    ### END SOLUTION


# %% tryit="merge_heads"
print(merge_heads(split_heads(rows, 2)))


# %% test="merge_heads" points=1
def test_merge_heads():
    import numpy as np

    x = np.array([[[1, 2], [5, 6], [9, 10]], [[3, 4], [7, 8], [11, 12]]])
    got = merge_heads(x)
    assert got is not None, "merge_heads returned None: is there a return statement?"
    assert np.shape(got) == (3, 4), f"2 heads of [3, 2] should be (3, 4), you returned {np.shape(got)}"
    assert np.asarray(got).tolist()[0] != [1, 2, 5, 6], (
        "row 0 holds [1, 2, 5, 6], two tokens of head 0: bring the tokens to the front before you reshape"
    )
    assert np.asarray(got).tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], f"you returned {got}"


test_merge_heads()


# %% hidden="merge_heads" points=1
def hidden_merge_heads():
    import numpy as np

    rng = np.random.default_rng(24)
    for _ in range(10):
        heads, n, dh = (int(i) for i in rng.integers(1, 7, 3))
        x = rng.standard_normal((heads, n, dh))
        got = np.asarray(merge_heads(x.copy()))
        assert got.shape == (n, heads * dh), f"{heads} heads of [{n}, {dh}]: you returned shape {got.shape}"
        for h in range(heads):
            for i in range(n):
                for j in range(dh):
                    assert got[i, h * dh + j] == x[h, i, j], f"token {i}: head {h} is not at its place in the row"
    x = rng.standard_normal((2, 3, 4))
    kept = x.copy()
    merge_heads(x)
    assert np.array_equal(x, kept), "merge_heads changed its input"


hidden_merge_heads()

# %% [markdown] task="causal_attention" stars=3 minutes=30
# ## 5. Causal attention
#
# Every head compares its queries with its keys and averages its values (Vaswani et al. 2017, arXiv 1706.03762, section 3.2.1):
#
# $$\text{out} = \text{softmax}\left(\frac{q k^T}{\sqrt{d_h}} + M\right) v$$
#
# $M$ is 0 where a query may look and $-\infty$ where it may not. Write `causal_attention(q, k, v)` for `q` `[H, N, d_h]` and `k`, `v` `[H, T, d_h]`; the result is `[H, N, d_h]`.
#
# There can be more keys than queries. With a cache the $T - N$ older tokens come back as keys and values only, and the $N$ queries are the **last** $N$ of the $T$ tokens. So query $i$ stands at position $T - N + i$ and sees the keys $0 \ldots T - N + i$.
#
# Example: $N = 2$, $T = 4$. Query 0 is the third token and sees keys 0, 1, 2; query 1 sees all four.
#
# Fewer keys than queries make no sense: name both counts. Scores can be in the hundreds: subtract each row's maximum before `exp`.
#
# <details><summary>Hint 1</summary>
#
# What may be seen is a question of two positions: the query's and the key's. Write both as numbers from the start of the text and compare.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.tri(N, T, T - N, dtype=bool)` is the mask. `np.where(mask, scores, -np.inf)` applies it before the softmax; multiplying by 0 would leave a weight of $e^0$, and setting weights to 0 after the softmax would leave rows that do not sum to 1.
#
# </details>


# %% solution="causal_attention"
def causal_attention(q, k, v):
    """Scaled dot-product attention in which the N queries are the last N of T tokens and look back only.

    q: [H, N, d_h]. k, v: [H, T, d_h], T at least N. Returns [H, N, d_h].
    Raises ValueError when there are fewer keys than queries.
    """
    ### BEGIN SOLUTION
    num_queries, num_keys = q.shape[-2], k.shape[-2]
    if num_keys < num_queries:
        raise ValueError(f"{num_queries} queries, but only {num_keys} keys: every query needs its own key at least")
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5
    visible = np.tri(num_queries, num_keys, num_keys - num_queries, dtype=bool)
    scores = np.where(visible, scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v
    ### END SOLUTION


# %% tryit="causal_attention"
# All scores are equal here, so each query averages what it sees: with values 0, 1, 2, 3 that shows how far it looks.
values = np.arange(4.0).reshape(1, 4, 1)
print(causal_attention(np.zeros((1, 4, 1)), np.zeros((1, 4, 1)), values)[0, :, 0], "4 queries, 4 keys")
print(causal_attention(np.zeros((1, 2, 1)), np.zeros((1, 4, 1)), values)[0, :, 0], "2 queries after a cache of 2")


# %% test="causal_attention" points=1
def test_causal_attention():
    import numpy as np

    v = np.arange(4.0).reshape(1, 4, 1)
    got = causal_attention(np.zeros((1, 4, 1)), np.zeros((1, 4, 1)), v)
    assert got is not None, "causal_attention returned None: is there a return statement?"
    assert got.shape == (1, 4, 1), f"4 queries of 1 head with d_h = 1: (1, 4, 1), you returned {got.shape}"
    assert not np.allclose(got[0, :, 0], [1.5] * 4), "every query averages all 4 values: the causal mask is missing"
    assert not np.allclose(got[0, :, 0], [0, 0.25, 0.75, 1.5]), (
        "the weights of the first queries do not sum to 1: the mask must act before the softmax"
    )
    np.testing.assert_allclose(got[0, :, 0], [0, 0.5, 1, 1.5], err_msg="query i should average the values 0 to i")
    got = causal_attention(np.zeros((1, 2, 1)), np.zeros((1, 4, 1)), v)
    assert not np.allclose(got[0, :, 0], [0, 0.5]), (
        "2 queries, 4 keys gave [0, 0.5]: the queries are the last two tokens; align the mask to the end"
    )
    np.testing.assert_allclose(got[0, :, 0], [1, 1.5], err_msg="2 queries after 2 cached tokens see 3 and 4 keys")
    q = np.array([[[2.0, 0.0, 0.0, 0.0]]])
    k = np.zeros((1, 1, 4))
    k = np.concatenate([k, q * np.log(3.0) / 2], axis=1)
    got = causal_attention(q, k, np.eye(4)[None, :2])
    np.testing.assert_allclose(
        got[0, 0, :2],
        [0.25, 0.75],
        rtol=1e-8,
        err_msg="q·k = 0 and 2 ln 3, d_h = 4: weights 1/4 and 3/4 after / sqrt(4)",
    )
    try:
        causal_attention(np.zeros((1, 3, 2)), np.zeros((1, 2, 2)), np.zeros((1, 2, 2)))
    except ValueError as error:
        assert "3" in str(error) and "2" in str(error), f"the ValueError should name 3 and 2, it says: {error}"
    else:
        raise AssertionError("3 queries with 2 keys were accepted: raise ValueError")


test_causal_attention()


# %% hidden="causal_attention" points=3
def hidden_causal_attention():
    import numpy as np
    import torch

    rng = np.random.default_rng(27)
    for heads, n, s, dh in ((1, 1, 1, 1), (2, 3, 3, 4), (3, 5, 5, 8), (2, 1, 6, 4), (4, 3, 7, 2), (1, 6, 40, 16)):
        for size in (1.0, 30.0):
            q, k = size * rng.standard_normal((heads, n, dh)), rng.standard_normal((heads, s, dh))
            v = rng.standard_normal((heads, s, dh))
            before = [q.copy(), k.copy(), v.copy()]
            mask = torch.ones(n, s, dtype=torch.bool).tril(s - n)
            want = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), attn_mask=mask)
            got = causal_attention(q, k, v)
            assert got.shape == (heads, n, dh), f"queries {q.shape}, keys {k.shape}: you returned shape {got.shape}"
            np.testing.assert_allclose(
                got,
                want.numpy(),
                rtol=1e-8,
                atol=1e-10,
                err_msg=f"{heads} heads, {n} queries, {s} keys of {dh}: differs from torch's attention "
                "(scale 1/sqrt(d_h)? mask aligned to the end, before the softmax?)",
            )
            same = all(np.array_equal(a, b) for a, b in zip(before, (q, k, v), strict=True))
            assert same, "causal_attention changed its input: work on new arrays"
            whole = causal_attention(k, k, v)
            part = causal_attention(k[:, s - n :], k, v)
            np.testing.assert_allclose(
                part, whole[:, s - n :], rtol=1e-8, atol=1e-10, err_msg="the last queries alone must give the last rows"
            )
    q = np.full((1, 2, 4), 1e3)
    got = causal_attention(q, np.stack([q[0], -q[0]])[:1], np.ones((1, 2, 4)))
    assert np.isfinite(got).all(), "scores of 2e6 gave nan: subtract each row's maximum before exp"
    q = np.array([[[500.0], [-500.0]], [[1.0], [2.0]]])
    got = causal_attention(q, np.full((2, 2, 1), 2.0), np.array([[[1.0], [3.0]]] * 2))
    np.testing.assert_allclose(
        got[:, :, 0],
        [[1, 2], [1, 2]],
        rtol=1e-8,
        err_msg="rows with scores of 1000 and of -1000: each has its own maximum",
    )
    got = causal_attention(np.ones((1, 2, 1)), np.array([[[1.0], [5000.0]]]), np.array([[[1.0], [3.0]]]))
    np.testing.assert_allclose(
        got[0, :, 0],
        [1, 3],
        err_msg="a key of the future has by far the largest score: take the maximum after the mask, of what is visible",
    )
    try:
        causal_attention(np.zeros((2, 5, 4)), np.zeros((2, 4, 4)), np.zeros((2, 4, 4)))
    except ValueError:
        return
    raise AssertionError("5 queries with 4 keys were accepted")


hidden_causal_attention()

# %% [markdown] task="rope_tables" stars=2 minutes=20
# ## 6. Rotary positions: the tables
#
# Attention compares a query with a key by a dot product, which knows nothing of where the two stand. RoPE (Su et al. 2021, arXiv 2104.09864, section 3.2) rotates pairs of features by an angle that grows with the position; the dot product of two rotated vectors then depends on the *distance* of their positions. Pair $i$ of $d_h/2$ turns by
#
# $$\text{angle}(p, i) = p \cdot \theta^{-2i/d_h},\qquad i = 0 \ldots d_h/2 - 1$$
#
# so pair 0 turns by one radian per position and the last pair very slowly.
#
# Write `rope_tables(head_dim, positions, theta)` for $N$ integer positions. It returns the pair `(cos, sin)`, both `[N, head_dim]`, in the **half-split** layout of transformers: feature $i$ and feature $i + d_h/2$ form pair $i$, so the table holds the $d_h/2$ angles twice, one block after the other.
#
# Example: `head_dim=4`, `theta=100`: the frequencies are $1$ and $100^{-2/4} = 0.1$. Position 3 has the angles `[3, 0.3, 3, 0.3]`.
#
# `positions` need not start at 0 nor be in order: with a cache, one new token stands at position 57. An odd `head_dim`, or one below 2, raises `ValueError`.
#
# <details><summary>Hint 1</summary>
#
# A column of positions times a row of frequencies gives all angles at once.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.arange(0, head_dim, 2)` is $2i$. `np.concatenate([a, a], axis=-1)` puts the block twice; `np.repeat` would put each angle twice in a row, which is the other convention.
#
# </details>


# %% solution="rope_tables"
def rope_tables(head_dim, positions, theta):
    """Cosines and sines of the rotary angles (Su et al. 2021, section 3.2), half-split layout as in transformers.

    head_dim: even. positions: N integers in any order. theta: the base.
    Returns (cos, sin), each [N, head_dim] float32 or wider, the head_dim/2 angles twice. Raises ValueError for an odd head_dim.
    """
    ### BEGIN SOLUTION
    if head_dim < 2 or head_dim % 2:
        raise ValueError(f"head_dim must be even and at least 2, got {head_dim}")
    frequencies = theta ** (-np.arange(0, head_dim, 2) / head_dim)
    angles = np.asarray(positions)[:, None] * frequencies
    angles = np.concatenate([angles, angles], axis=-1)
    return np.cos(angles), np.sin(angles)
    ### END SOLUTION


# %% tryit="rope_tables"
cos, sin = rope_tables(4, [0, 1, 3], 100.0)
print(np.round(np.arctan2(sin, cos), 3), "the angles, one row per position")


# %% test="rope_tables" points=1
def test_rope_tables():
    import numpy as np

    got = rope_tables(4, np.array([0, 3]), 100.0)
    assert got is not None, "rope_tables returned None: is there a return statement?"
    cos, sin = got
    assert np.shape(cos) == np.shape(sin) == (2, 4), (
        f"2 positions, head_dim 4: (2, 4) each, you returned {np.shape(cos)}"
    )
    np.testing.assert_allclose(cos[0], np.ones(4), err_msg="at position 0 nothing turns: cos is 1")
    np.testing.assert_allclose(sin[0], np.zeros(4), err_msg="at position 0 nothing turns: sin is 0")
    assert not np.allclose(sin[1], np.sin([3, 3, 0.3, 0.3])), (
        "each angle stands twice in a row: that is the interleaved layout; half-split has [3, 0.3, 3, 0.3]"
    )
    np.testing.assert_allclose(
        sin[1], np.sin([3, 0.3, 3, 0.3]), rtol=1e-6, err_msg="position 3 has the angles 3 and 0.3"
    )
    np.testing.assert_allclose(
        cos[1], np.cos([3, 0.3, 3, 0.3]), rtol=1e-6, err_msg="position 3 has the angles 3 and 0.3"
    )
    try:
        rope_tables(5, np.array([0]), 100.0)
    except ValueError as error:
        assert "5" in str(error), f"the ValueError should name head_dim 5, it says: {error}"
    else:
        raise AssertionError("head_dim=5 was accepted: features are rotated in pairs, so it must be even")


test_rope_tables()


# %% hidden="rope_tables" points=2
def hidden_rope_tables():
    import math

    import numpy as np

    rng = np.random.default_rng(25)
    for head_dim, theta in ((2, 10000.0), (8, 10000.0), (16, 500000.0), (6, 17.0)):
        positions = rng.integers(0, 300, 5)
        cos, sin = rope_tables(head_dim, positions.copy(), theta)
        assert np.shape(cos) == np.shape(sin) == (5, head_dim), f"head_dim {head_dim}: you returned {np.shape(cos)}"
        for n in range(5):
            for i in range(head_dim // 2):
                angle = int(positions[n]) / math.pow(theta, 2 * i / head_dim)
                for j in (i, i + head_dim // 2):
                    # 1e-4 leaves room for tables in float32, whose angles of up to 300 are off by 1e-5
                    off = max(abs(cos[n][j] - math.cos(angle)), abs(sin[n][j] - math.sin(angle)))
                    assert off < 1e-4, (
                        f"theta {theta}, position {positions[n]}, feature {j} of {head_dim}: off by {off:.2g}; "
                        "pair i turns by position / theta**(2 i / head_dim), the block of angles stands twice"
                    )
    positions = [4001, 8191, 2049]
    cos, sin = rope_tables(8, np.array(positions), 10000.0)
    for n, position in enumerate(positions):
        off = abs(sin[n][1] - math.sin(position * 0.1))
        # float32 is off by 1e-4 at such angles; float16 knows no odd number above 2048
        assert off < 5e-3, f"position {position}, pair 1: off by {off:.2g} (angles in too few bits?)"
    for theta in (10000.0, 500000.0):
        _, sin = rope_tables(8, [21], theta)
        off = abs(sin[0][1] - math.sin(21 * theta**-0.25))
        assert off < 1e-4, f"theta {theta} after another theta: off by {off:.2g}; nothing may be kept between calls"
    cos, sin = rope_tables(4, [57], 10000.0)
    assert np.shape(cos) == (1, 4) and abs(sin[0][0] - math.sin(57)) < 1e-4, (
        "a list with the one position 57 should work"
    )
    for bad in (0, -2, 7):
        try:
            rope_tables(bad, np.array([0, 1]), 10000.0)
        except ValueError:
            continue
        raise AssertionError(f"head_dim={bad} was accepted")
    positions = np.array([3, 1])
    first, _ = rope_tables(4, positions, 100.0)
    assert positions.tolist() == [3, 1], "rope_tables changed the positions"
    second, _ = rope_tables(4, np.array([1, 3]), 100.0)
    assert np.allclose(second, np.asarray(first)[::-1], atol=1e-4), (
        "positions 1, 3 give the rows of 3, 1 in turned order"
    )


hidden_rope_tables()

# %% [markdown] task="apply_rope" stars=2 minutes=20
# ## 7. Rotary positions: the rotation
#
# Write `apply_rope(x, cos, sin)` for `x` `[..., N, head_dim]` (queries or keys) and the tables of `rope_tables`. Features $a = x_i$ and $b = x_{i + d_h/2}$ form a point in the plane, turned by its angle $\alpha$:
#
# $$a' = a\cos\alpha - b\sin\alpha,\qquad b' = b\cos\alpha + a\sin\alpha$$
#
# Example: `head_dim=2`: the vector `[1, 0]` at position $p$ becomes `[cos p, sin p]`.
#
# The result has the dtype of `x`. Only queries and keys are rotated, never values: a value is what is read, not where it stands.
#
# <details><summary>Hint 1</summary>
#
# Since the tables hold each angle at both places, one line does it if you have a second copy of `x` in which every feature stands at its partner's place, with the right sign.
#
# </details>
# <details><summary>Hint 2</summary>
#
# transformers calls that copy `rotate_half(x)`: the second half, negated, followed by the first half.
#
# </details>


# %% solution="apply_rope"
def apply_rope(x, cos, sin):
    """Rotate each pair of features (i, i + head_dim/2) by its position's angle.

    x: [..., N, head_dim]. cos, sin: [N, head_dim] from rope_tables. Returns a new array of x's shape and dtype.
    """
    ### BEGIN SOLUTION
    first, second = np.split(x, 2, axis=-1)
    rotated_half = np.concatenate([-second, first], axis=-1)
    return (x * cos + rotated_half * sin).astype(x.dtype)
    ### END SOLUTION


# %% tryit="apply_rope"
rng = np.random.default_rng(0)
query, key = rng.standard_normal((2, 1, 8))
for p_query, p_key in ((5, 2), (105, 102), (5, 4)):
    q_turned = apply_rope(query, *rope_tables(8, [p_query], 10000.0))
    k_turned = apply_rope(key, *rope_tables(8, [p_key], 10000.0))
    print(f"query at {p_query:3}, key at {p_key:3}: dot product {(q_turned * k_turned).sum():.6f}")


# %% test="apply_rope" points=1
def test_apply_rope():
    import numpy as np

    def tables(angles):
        return np.cos(angles), np.sin(angles)

    x = np.array([[1.0, 2.0, 3.0, 4.0]])
    got = apply_rope(x, *tables(np.zeros((1, 4))))
    assert got is not None, "apply_rope returned None: is there a return statement?"
    np.testing.assert_allclose(got, x, err_msg="with angle 0 nothing turns")
    got = apply_rope(x, *tables(np.full((1, 4), np.pi / 2)))
    assert not np.allclose(got, [[-2, 1, -4, 3]]), (
        "a quarter turn gave [-2, 1, -4, 3]: you pair neighbours (interleaved); here feature i goes with i + 2"
    )
    assert not np.allclose(got, [[3, 4, -1, -2]]), "a quarter turn gave [3, 4, -1, -2]: you turn the other way round"
    np.testing.assert_allclose(
        got,
        [[-3, -4, 1, 2]],
        atol=1e-12,
        err_msg="a quarter turn takes the point (1, 3) to (-3, 1) and (2, 4) to (-4, 2)",
    )
    heads = np.broadcast_to(x, (3, 1, 4))
    got = apply_rope(heads, *tables(np.full((1, 4), np.pi / 2)))
    assert got.shape == (3, 1, 4), f"3 heads in should be 3 heads out, you returned shape {got.shape}"


test_apply_rope()


# %% hidden="apply_rope" points=2
def hidden_apply_rope():
    import numpy as np

    def tables(head_dim, positions, theta=10000.0):
        angles = np.outer(positions, theta ** (-np.arange(0, head_dim, 2) / head_dim))
        return np.cos(np.tile(angles, 2)), np.sin(np.tile(angles, 2))

    rng = np.random.default_rng(26)
    for heads, n, head_dim in ((1, 1, 2), (3, 5, 8), (2, 4, 6)):
        x = rng.standard_normal((heads, n, head_dim))
        positions = rng.integers(0, 100, n)
        # a rotation of the plane is a product of complex numbers
        z = x[..., : head_dim // 2] + 1j * x[..., head_dim // 2 :]
        z = z * np.exp(1j * np.outer(positions, 10000.0 ** (-np.arange(0, head_dim, 2) / head_dim)))
        want = np.concatenate([z.real, z.imag], axis=-1)
        before = x.copy()
        got = apply_rope(x, *tables(head_dim, positions))
        message = (
            f"{heads} heads, positions {positions.tolist()}: differs from the rotation of each pair (i, i + head_dim/2)"
        )
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12, err_msg=message)
        assert np.array_equal(x, before), "apply_rope changed its input: work on a new array"
        plain = apply_rope(x[0], *tables(head_dim, positions))
        np.testing.assert_allclose(
            plain, want[0], rtol=1e-10, atol=1e-12, err_msg="x without a head axis should work too"
        )
    q, k = rng.standard_normal((2, 1, 16))

    def score(at_query, at_key):
        return float((apply_rope(q, *tables(16, [at_query])) * apply_rope(k, *tables(16, [at_key]))).sum())

    for distance in (0, 1, 7):
        first = score(distance, 0)
        for shift in (1, 30, 400):
            got = score(distance + shift, shift)
            assert abs(got - first) < 1e-9, (
                f"query and key {distance} apart: {first:.6f} at positions ({distance}, 0), {got:.6f} after moving "
                f"both by {shift}; the dot product must depend on the distance alone"
            )
    assert abs(score(9, 2) - score(2, 9)) > 1e-3, "ahead and behind must differ: the two features turn the same way"
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    got = apply_rope(x, *tables(4, [0, 1, 2]))
    assert got.dtype == np.float32, f"float32 in should give float32 out, you returned {got.dtype}"
    still = x.copy()
    got = apply_rope(still, *tables(4, [0, 0, 0]))
    assert not np.shares_memory(got, still), "an angle of 0 turns nothing, and yet the result is a new array"
    cos, sin = tables(4, [0, 1, 2])
    kept = cos.copy(), sin.copy()
    apply_rope(x, cos, sin)
    assert np.array_equal(cos, kept[0]) and np.array_equal(sin, kept[1]), "apply_rope changed the tables"


hidden_apply_rope()

# %% [markdown] task="to_half_split" stars=3 minutes=25
# ## 8. Weights for the other kind of RoPE
#
# There are two ways to pair the features of a head. The released LLaMA code pairs neighbours, $(0, 1), (2, 3), \ldots$: the *interleaved* kind. transformers, and your `apply_rope`, pair $(i, i + d_h/2)$: the *half-split* kind. A model can be run with either, if the columns of $W_q$ and $W_k$ stand in the matching order. GGUF files hold them for the interleaved kind. A loader that forgets to reorder gets no error and a model that answers short questions well and everything else badly.
#
# Write `to_half_split(w, head_dim)`. `w` is $W_q$ or $W_k$, `[in, heads * head_dim]`, with columns in interleaved order: in each head, the two features of pair $i$ are columns $2i$ and $2i + 1$. Return the same columns in half-split order: in each head, the two features of pair $i$ are columns $i$ and $i + d_h/2$. The first feature of a pair stays the first. Return a new array of the same dtype.
#
# Example: with `head_dim` 4 and two heads the columns `0 1 2 3 | 4 5 6 7` become `0 2 1 3 | 4 6 5 7`.
#
# A `head_dim` that is odd or below 2 makes no sense, nor does one that does not divide the number of columns.
#
# <details><summary>Hint 1</summary>
#
# Within a head: first all the columns with even numbers, then all with odd numbers. No column leaves its head.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Either make a list of the column numbers in the new order and index with it, or reshape the columns to `[heads, head_dim / 2, 2]` and exchange the last two axes.
#
# </details>


# %% solution="to_half_split"
def to_half_split(w, head_dim):
    """Columns of W_q or W_k from interleaved pairs (2i, 2i + 1) to half-split pairs (i, i + head_dim/2), head by head.

    w: [in, heads * head_dim]. head_dim: even, at least 2, divides the number of columns. Returns a new array of w's shape
    and dtype. Raises ValueError with head_dim for any other.
    """
    ### BEGIN SOLUTION
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    pairs = w.reshape(num_rows, -1, head_dim // 2, 2)
    return pairs.swapaxes(2, 3).reshape(num_rows, num_columns).copy()
    ### END SOLUTION


# %% tryit="to_half_split"
print(to_half_split(np.arange(8)[None], 4))


# %% test="to_half_split" points=1
def test_to_half_split():
    import numpy as np

    w = np.arange(16.0).reshape(2, 8)
    got = to_half_split(w, 4)
    assert got is not None, "to_half_split returned None: is there a return statement?"
    assert np.shape(got) == (2, 8), f"the shape stays (2, 8), you returned {np.shape(got)}"
    first = np.asarray(got)[0].astype(int).tolist()
    assert first != [0, 2, 4, 6, 1, 3, 5, 7], f"you returned {first}: columns left their head; reorder within each head"
    assert first != [0, 1, 4, 5, 2, 3, 6, 7], f"you returned {first}: reorder features within a head, not the heads"
    assert first == [0, 2, 1, 3, 4, 6, 5, 7], f"0 1 2 3 | 4 5 6 7 should become 0 2 1 3 | 4 6 5 7, you returned {first}"
    eight = to_half_split(np.arange(8)[None], 8)[0].tolist()
    assert eight != [0, 4, 1, 5, 2, 6, 3, 7], f"you returned {eight}: that is the way from half-split to interleaved"
    assert eight == [0, 2, 4, 6, 1, 3, 5, 7], f"one head of 8: evens first, then odds, you returned {eight}"
    for bad in (3, 0, 6):
        try:
            to_half_split(w, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name head_dim {bad}, it says: {error}"
        else:
            raise AssertionError(f"head_dim {bad} was accepted for 8 columns")


test_to_half_split()


# %% hidden="to_half_split" points=2
def hidden_to_half_split():
    import numpy as np

    rng = np.random.default_rng(31)
    for rows, heads, head_dim in ((1, 1, 2), (3, 2, 4), (5, 3, 6), (4, 1, 16), (2, 4, 10)):
        w = rng.standard_normal((rows, heads * head_dim))
        before, got = w.copy(), np.asarray(to_half_split(w, head_dim))
        for head in range(heads):
            for pair in range(head_dim // 2):
                for part in (0, 1):
                    new = head * head_dim + pair + part * head_dim // 2
                    old = head * head_dim + 2 * pair + part
                    assert np.array_equal(got[:, new], before[:, old]), (
                        f"{heads} heads of {head_dim}: part {part} of pair {pair} of head {head} is in the wrong column"
                    )
        assert np.array_equal(w, before), "to_half_split changed its input: return a new array"
        got[...] = 0
        assert np.array_equal(w, before), "writing into the result changed the input: return a new array"

    def turned(x, positions, head_dim, interleaved):
        half = head_dim // 2
        first, second = (x[:, 0::2], x[:, 1::2]) if interleaved else (x[:, :half], x[:, half:])
        return (first + 1j * second) * np.exp(1j * np.outer(positions, 10000.0 ** (-np.arange(half) / half)))

    head_dim, positions = 8, np.array([0, 3, 7, 50])
    x, w_q, w_k = rng.standard_normal((4, 6)), rng.standard_normal((6, 8)), rng.standard_normal((6, 8))
    q, k = (turned(x @ w, positions, head_dim, True) for w in (w_q, w_k))
    want = (q @ k.conj().T).real
    q, k = (turned(x @ to_half_split(w, head_dim), positions, head_dim, False) for w in (w_q, w_k))
    np.testing.assert_allclose(
        (q @ k.conj().T).real, want, rtol=1e-10, err_msg="half-split RoPE on the new weights gives other scores"
    )
    for dtype in (np.float16, np.float32, np.int8):
        got = to_half_split(np.ones((2, 4), dtype=dtype), 2)
        assert got.dtype == dtype, f"{np.dtype(dtype)} in should give {np.dtype(dtype)} out, you returned {got.dtype}"
    for bad in (-2, 1, 11, 13, 26, 44):
        try:
            to_half_split(np.ones((2, 22)), bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name head_dim {bad}, it says: {error}"
            continue
        raise AssertionError(f"head_dim {bad} was accepted for 22 columns")


hidden_to_half_split()

# %% [markdown] task="swiglu" stars=2 minutes=15
# ## 9. The gated MLP
#
# After attention each token goes through an MLP on its own. LLaMA's is SwiGLU (Shazeer 2020, arXiv 2002.05202, section 2): two matrices of the same shape read the input, one result passes through SiLU and gates the other, and a third matrix leads back:
#
# $$\text{out} = \left(\text{silu}(x W_{gate}) \odot (x W_{up})\right) W_{down},\qquad \text{silu}(z) = \frac{z}{1 + e^{-z}}$$
#
# Write `swiglu(x, w_gate, w_up, w_down)` for `x` `[N, d]` (or with more axes in front), `w_gate` and `w_up` `[d, d_ff]`, `w_down` `[d_ff, d]`. The result has the dtype of `x`, also where the weights have another, and no gate, however large, gives NaN. There are three full matrices. Some explanations cut one result in halves, which is another layer: it would leave half of the gates.
#
# Example: with all matrices `[[1]]` and $x = 2$: $\text{silu}(2) \cdot 2 = 1.7616 \cdot 2 = 3.5232$.
#
# <details><summary>Hint 1</summary>
#
# SiLU is not symmetric in its branches: only the gate goes through it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.exp(-z)` overflows with a warning when `z` is very negative. The sigmoid is also `np.exp(-np.logaddexp(0, -z))`, which does not.
#
# </details>


# %% solution="swiglu"
def swiglu(x, w_gate, w_up, w_down):
    """LLaMA's MLP: down(silu(gate(x)) * up(x)) (Shazeer 2020).

    x: [..., d]. w_gate, w_up: [d, d_ff]. w_down: [d_ff, d]. Returns [..., d].
    """
    ### BEGIN SOLUTION
    gate = x @ w_gate
    return ((gate * np.exp(-np.logaddexp(0, -gate)) * (x @ w_up)) @ w_down).astype(x.dtype)
    ### END SOLUTION


# %% tryit="swiglu"
one = np.ones((1, 1))
for number in (-20.0, -1.0, 0.0, 2.0, 20.0):
    print(f"x = {number:5}: {swiglu(number * one, one, one, one)[0, 0]:.4f}")


# %% test="swiglu" points=1
def test_swiglu():
    import numpy as np

    one = np.ones((1, 1))
    got = swiglu(2 * one, one, one, one)
    assert got is not None, "swiglu returned None: is there a return statement?"
    silu2 = 2 / (1 + np.exp(-2.0))
    assert not np.allclose(got, silu2), "the up branch is missing: silu(gate) is multiplied by x @ w_up"
    assert not np.allclose(got, 3.9090, atol=1e-3), "that is GELU: LLaMA's gate uses SiLU, z / (1 + exp(-z))"
    np.testing.assert_allclose(got, [[2 * silu2]], rtol=1e-8, err_msg="with all weights 1, x = 2 gives silu(2) · 2")
    got = swiglu(one, 2 * one, 5 * one, one)
    assert not np.allclose(got, 2 * 5 / (1 + np.exp(-5.0))), "SiLU stands on the gate branch, not on the up branch"
    np.testing.assert_allclose(got, [[5 * silu2]], rtol=1e-8, err_msg="gate 2, up 5 gives silu(2) · 5")
    x, w = np.ones((3, 2)), np.ones((2, 4))
    got = swiglu(x, w, w, np.ones((4, 2)))
    assert got.shape == (3, 2), f"x [3, 2] should give (3, 2), you returned {got.shape}"


test_swiglu()


# %% hidden="swiglu" points=2
def hidden_swiglu():
    import numpy as np
    import torch

    rng = np.random.default_rng(28)
    for n, d, f in ((1, 1, 1), (3, 4, 8), (5, 6, 2), (2, 3, 11)):
        for size in (1.0, 40.0):
            x = size * rng.standard_normal((n, d))
            gate, up, down = rng.standard_normal((d, f)), rng.standard_normal((d, f)), rng.standard_normal((f, d))
            t = [torch.tensor(a) for a in (x, gate, up, down)]
            want = ((torch.nn.functional.silu(t[0] @ t[1]) * (t[0] @ t[2])) @ t[3]).numpy()
            got = swiglu(x, gate, up, down)
            message = f"x {x.shape}, gate and up {gate.shape}, down {down.shape}: differs from down(silu(gate) * up)"
            np.testing.assert_allclose(got, want, rtol=1e-8, atol=1e-9, err_msg=message)
    with np.errstate(all="ignore"):
        got = swiglu(np.full((1, 2), -1000.0), np.eye(2), np.eye(2), np.eye(2))
        wide_open = swiglu(np.full((1, 2), 1000.0), np.eye(2), np.eye(2), np.eye(2))
    assert np.isfinite(got).all() and np.allclose(got, 0), f"a gate of -1000 is shut: expected 0, you returned {got}"
    assert np.allclose(wide_open, 1e6), f"a gate of 1000 lets through 1000 times: expected 1e6, got {wide_open}"
    x, square = rng.standard_normal((2, 3, 4)), rng.standard_normal((3, 4, 4))
    got = swiglu(x, *square)
    assert np.shape(got) == (2, 3, 4), f"x of [2, 3, 4] keeps its leading axes, you returned {np.shape(got)}"
    np.testing.assert_allclose(got[1], swiglu(x[1], *square), err_msg="each leading index is a sequence of its own")
    x = np.ones((2, 3), dtype=np.float32)
    w = np.ones((3, 3), dtype=np.float32)
    got = swiglu(x, w, w, w)
    assert got.dtype == np.float32, f"float32 in should give float32 out, you returned {got.dtype}"
    x = np.array([[1.0, -2, 3]])
    swiglu(x, *np.ones((3, 3, 3)))
    assert x.tolist() == [[1, -2, 3]], "swiglu changed its input"
    for dtype, other in ((np.float16, np.float32), (np.float32, np.float64)):
        got = swiglu(np.ones((2, 3), dtype), *np.ones((3, 3, 3), other))
        assert got.dtype == dtype, (
            f"x in {np.dtype(dtype)}, weights in {np.dtype(other)}: you returned {got.dtype}, not the dtype of x"
        )


hidden_swiglu()

# %% [markdown] task="transformer_block" stars=3 minutes=35
# ## 10. One layer
#
# A layer is two sub-layers. Each **first** normalises, then works, then **adds** its result to what came in (pre-norm, two residuals):
#
# $$h = x + \text{attention}(\text{norm}_1(x)),\qquad y = h + \text{mlp}(\text{norm}_2(h))$$
#
# Write `transformer_block(x, weights, config)` for `x` `[N, d]` at the positions $0 \ldots N - 1$. Put it together from your `rms_norm`, `split_heads`, `merge_heads`, `rope_tables`, `apply_rope`, `causal_attention` and `swiglu`. `weights` is the dict of one layer:
#
# | key | shape |
# |---|---|
# | `attn_norm`, `mlp_norm` | `[d]`, the two gains |
# | `w_q` | `[d, H_q · d_h]` |
# | `w_k`, `w_v` | `[d, H_kv · d_h]` |
# | `w_o` | `[H_q · d_h, d]` |
# | `w_gate`, `w_up` | `[d, d_ff]` |
# | `w_down` | `[d_ff, d]` |
#
# `config` gives `num_attention_heads` ($H_q$), `num_key_value_heads` ($H_{kv}$), `head_dim`, `rope_theta` and `rms_norm_eps`. Queries and keys are rotated, values are not. When $H_{kv} < H_q$ (grouped-query attention), $H_q / H_{kv}$ neighbouring query heads share one KV head: with 4 query and 2 KV heads, queries 0 and 1 read KV head 0, queries 2 and 3 KV head 1.
#
# There are no biases anywhere. `H_q · d_h` need not equal `d`.
#
# Example: if `w_o` and `w_down` are all zero, both sub-layers add nothing and the output is `x` itself.
#
# <details><summary>Hint 1</summary>
#
# The residual carries `x` as it came in, not its normalised form. Two sub-layers, two norms, two additions.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.repeat(k, n, axis=0)` puts every KV head `n` times next to itself, which is the order wanted; `np.tile` would give 0, 1, 0, 1. Rotate before you repeat and you rotate less.
#
# </details>


# %% solution="transformer_block"
def transformer_block(x, weights, config):
    """One pre-norm LLaMA layer without a cache.

    x: [N, d], the tokens at positions 0 to N - 1. weights: dict of one layer (see the table above), matrices [in, out].
    config: num_attention_heads, num_key_value_heads, head_dim, rope_theta, rms_norm_eps. Returns [N, d].
    """
    ### BEGIN SOLUTION
    normed = rms_norm(x, weights["attn_norm"], config.rms_norm_eps)
    q = split_heads(normed @ weights["w_q"], config.num_attention_heads)
    k = split_heads(normed @ weights["w_k"], config.num_key_value_heads)
    v = split_heads(normed @ weights["w_v"], config.num_key_value_heads)
    cos, sin = rope_tables(config.head_dim, np.arange(len(x)), config.rope_theta)
    q, k = apply_rope(q, cos, sin), apply_rope(k, cos, sin)
    group = config.num_attention_heads // config.num_key_value_heads
    heads = causal_attention(q, np.repeat(k, group, axis=0), np.repeat(v, group, axis=0))
    x = x + merge_heads(heads) @ weights["w_o"]
    normed = rms_norm(x, weights["mlp_norm"], config.rms_norm_eps)
    return x + swiglu(normed, weights["w_gate"], weights["w_up"], weights["w_down"])
    ### END SOLUTION


# %% tryit="transformer_block"
hidden = TINY_WEIGHTS["embedding"][[3, 1, 4, 1, 5]]
out = transformer_block(hidden, TINY_WEIGHTS["layers"][0], TINY)
print("in", hidden.shape, "out", out.shape)
print("tokens 1 and 3 have the same id, so their rows were equal:", np.array_equal(hidden[1], hidden[3]))
print("after one layer they differ by up to", np.abs(out[1] - out[3]).max().round(2))


# %% test="transformer_block" points=1
def test_transformer_block():
    import numpy as np

    from mini_engine.config import TINY
    from mini_engine.weights import load_tiny

    layer = load_tiny()[1]["layers"][0]
    x = np.random.default_rng(9).normal(0, 3, (4, 64))
    silent = {**layer, "w_o": np.zeros_like(layer["w_o"]), "w_down": np.zeros_like(layer["w_down"])}
    got = transformer_block(x, silent, TINY)
    assert got is not None, "transformer_block returned None: is there a return statement?"
    assert got.shape == x.shape, f"x {x.shape} should give the same shape, you returned {got.shape}"
    np.testing.assert_allclose(
        got,
        x,
        rtol=1e-6,
        atol=1e-6,
        err_msg="w_o and w_down are 0, so x must come through unchanged: "
        "add the result to x itself, not to its normalised form, and do not normalise after the addition",
    )
    # a single token attends to itself alone: attention gives its value
    one = x[:1]

    def norm(a, gain):
        return a / np.sqrt((a**2).mean() + TINY.rms_norm_eps) * gain

    value = np.repeat((norm(one, layer["attn_norm"]) @ layer["w_v"]).reshape(2, 16), 2, axis=0).reshape(1, 64)
    h = one + value @ layer["w_o"]
    gate = norm(h, layer["mlp_norm"]) @ layer["w_gate"]
    want = h + (gate / (1 + np.exp(-gate)) * (norm(h, layer["mlp_norm"]) @ layer["w_up"])) @ layer["w_down"]
    got = transformer_block(one, layer, TINY)
    np.testing.assert_allclose(
        got,
        want,
        rtol=1e-4,
        atol=1e-4,
        err_msg="one token: attention returns its value; check the two norms with their own "
        "gains, the values (never rotated), the order of repeated KV heads, and the second residual",
    )
    got = transformer_block(x, layer, TINY)
    changed = x.copy()
    changed[3] = 1.0
    np.testing.assert_allclose(
        transformer_block(changed, layer, TINY)[:3],
        got[:3],
        rtol=1e-6,
        atol=1e-6,
        err_msg="changing the last token changed the ones before it: the causal mask is missing",
    )
    swapped = transformer_block(x[[1, 0, 2, 3]], layer, TINY)
    assert not np.allclose(swapped[3], got[3], atol=1e-4), (
        "exchanging the first two tokens did not change the last one: without RoPE attention cannot tell their order"
    )


test_transformer_block()


# %% hidden="transformer_block" points=3
def hidden_transformer_block():
    import numpy as np
    import torch
    from torch.nn import functional as F

    from mini_engine.config import ModelConfig

    def oracle(x, w, c):
        # torch throughout: complex numbers for RoPE, torch's attention with its own handling of grouped heads
        x, w = torch.tensor(x), {name: torch.tensor(array) for name, array in w.items()}
        n, half = len(x), c.head_dim // 2
        h = F.rms_norm(x, (x.shape[1],), w["attn_norm"], c.rms_norm_eps)
        q, k, v = ((h @ w[name]).view(n, -1, c.head_dim).transpose(0, 1) for name in ("w_q", "w_k", "w_v"))
        angles = torch.outer(torch.arange(n).double(), c.rope_theta ** (-torch.arange(half).double() / half))
        turn = torch.polar(torch.ones_like(angles), angles)
        q, k = (torch.complex(t[..., :half].contiguous(), t[..., half:].contiguous()) * turn for t in (q, k))
        q, k = (torch.cat([t.real, t.imag], dim=-1) for t in (q, k))
        out = F.scaled_dot_product_attention(q[None], k[None], v[None], is_causal=True, enable_gqa=True)[0]
        x = x + out.transpose(0, 1).reshape(n, -1) @ w["w_o"]
        h = F.rms_norm(x, (x.shape[1],), w["mlp_norm"], c.rms_norm_eps)
        return (x + (F.silu(h @ w["w_gate"]) * (h @ w["w_up"])) @ w["w_down"]).numpy()

    rng = np.random.default_rng(29)
    for heads, kv, dh, d, f, theta, eps in (
        (4, 4, 4, 16, 24, 10000.0, 1e-5),
        (4, 2, 6, 16, 20, 500.0, 1e-5),
        (6, 1, 4, 10, 14, 100000.0, 0.2),
        (1, 1, 8, 8, 8, 10000.0, 0.05),
    ):
        config = ModelConfig("block", 1, d, heads, kv, f, 32, dh, rope_theta=theta, rms_norm_eps=eps)
        shapes = {"w_q": (d, heads * dh), "w_k": (d, kv * dh), "w_v": (d, kv * dh), "w_o": (heads * dh, d)}
        shapes |= {"w_gate": (d, f), "w_up": (d, f), "w_down": (f, d)}
        weights = {name: rng.standard_normal(shape) / shape[0] ** 0.5 * 1.5 for name, shape in shapes.items()}
        weights |= {name: rng.uniform(0.5, 1.5, d) for name in ("attn_norm", "mlp_norm")}
        for n in (1, 2, 7):
            x = rng.normal(0, 2, (n, d))
            before = x.copy()
            got = transformer_block(x, weights, config)
            np.testing.assert_allclose(
                got,
                oracle(x, weights, config),
                rtol=1e-6,
                atol=1e-6,
                err_msg=f"{n} tokens, {heads} query and {kv} KV heads of {dh}, d={d}, theta={theta}, eps={eps}: "
                "differs from the same layer in torch",
            )
            assert np.array_equal(x, before), "transformer_block changed its input: work on new arrays"


hidden_transformer_block()

# %% [markdown] task="llama_forward" stars=3 minutes=20
# ## 11. The model
#
# Write `llama_forward(token_ids, weights, config)`: embedding, all layers, the final norm, the LM head. It returns the logits `[N, vocab]`, one row per position.
#
# `token_ids` is a list, a tuple or an integer array of N ids. `weights` is a dict: `embedding` `[vocab, d]`, `layers` (a list of dicts as in exercise 10), `final_norm` `[d]`, and `lm_head` `[d, vocab]`. When `config.tie_word_embeddings` is true there is no `lm_head`: the embedding matrix is used a second time, transposed. Use your `transformer_block` and `rms_norm`.
#
# An id below 0 or at least `vocab` raises `IndexError` with the id in the message.
#
# The numbers must be those of the real thing. `EXPECTED` of the set-up cell holds what transformers' `LlamaForCausalLM` computes on the shipped checkpoint, and your logits have to agree to 1e-4.
#
# Example: 8 ids and the shipped checkpoint with 512 vocabulary entries give logits of shape `(8, 512)`.
#
# <details><summary>Hint 1</summary>
#
# Four steps, and the layers are a loop. What leaves the last layer has not been normalised yet.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `embedding.T` is `[d, vocab]`, the shape of a head. Look at the smallest and largest id before you index: NumPy takes `-1` for the last row.
#
# </details>


# %% solution="llama_forward"
def llama_forward(token_ids, weights, config):
    """Logits of a LLaMA-style decoder for one prompt, without a cache.

    token_ids: N ids. weights: dict with embedding [vocab, d], layers, final_norm [d], lm_head [d, vocab] unless tied.
    config: as for transformer_block, with tie_word_embeddings. Returns [N, vocab], row i scores the token after token i.
    Raises IndexError when an id is not in the vocabulary.
    """
    ### BEGIN SOLUTION
    embedding = weights["embedding"]
    for i in token_ids:
        if not 0 <= i < len(embedding):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(embedding)}")
    x = embedding[np.asarray(token_ids)]
    for layer in weights["layers"]:
        x = transformer_block(x, layer, config)
    x = rms_norm(x, weights["final_norm"], config.rms_norm_eps)
    return x @ (embedding.T if config.tie_word_embeddings else weights["lm_head"])
    ### END SOLUTION


# %% tryit="llama_forward"
for case in EXPECTED:
    logits = llama_forward(case["ids"], TINY_WEIGHTS, TINY)
    off = np.abs(logits - case["logits"]).max()
    print(f"{len(case['ids']):2} tokens: logits {logits.shape}, largest difference to transformers {off:.1e}")


# %% test="llama_forward" points=1
def test_llama_forward():
    import numpy as np

    from mini_engine.weights import load_tiny, load_tiny_expected

    config, weights = load_tiny()
    case = load_tiny_expected()[1]
    got = llama_forward(case["ids"].tolist(), weights, config)
    assert got is not None, "llama_forward returned None: is there a return statement?"
    assert got.shape == (5, 512), f"5 ids and 512 vocabulary entries: (5, 512), you returned {got.shape}"
    off = np.abs(got - case["logits"]).max(axis=1)
    assert off[0] < 1e-4, (
        f"the first position is off by {off[0]:.2g}; it sees itself alone, so positions and mask do not matter: "
        "look at the final norm, the LM head, and that every layer is run once"
    )
    assert off.max() < 1e-4, (
        f"the first position is right, later ones are off by up to {off.max():.2g}: look at RoPE and the mask"
    )
    for bad in (512, -1):
        try:
            llama_forward([3, bad], weights, config)
        except IndexError as error:
            assert str(bad) in str(error), f"the IndexError should name the id {bad}, it says: {error}"
        else:
            raise AssertionError(f"id {bad} was accepted for a vocabulary of 512")


test_llama_forward()


# %% hidden="llama_forward" points=4
def hidden_llama_forward():
    import numpy as np
    import torch
    from torch.nn import functional as F

    from mini_engine.config import ModelConfig
    from mini_engine.weights import load_tiny, load_tiny_expected

    config, weights = load_tiny()
    for case in load_tiny_expected():
        got = llama_forward(case["ids"], weights, config)
        off = np.abs(got - case["logits"]).max()
        assert off < 1e-4, f"{len(case['ids'])} tokens of the shipped checkpoint: off by {off:.2g} from transformers"

    def oracle(ids, weights, c):
        half = c.head_dim // 2
        angles = torch.outer(torch.arange(len(ids)).double(), c.rope_theta ** (-torch.arange(half).double() / half))
        turn = torch.polar(torch.ones_like(angles), angles)

        def rotate(t):
            t = torch.complex(t[..., :half].contiguous(), t[..., half:].contiguous()) * turn
            return torch.cat([t.real, t.imag], dim=-1)

        embedding = torch.tensor(weights["embedding"])
        x = F.embedding(torch.tensor(ids), embedding)
        for layer in weights["layers"]:
            w = {name: torch.tensor(array) for name, array in layer.items()}
            h = F.rms_norm(x, x.shape[1:], w["attn_norm"], c.rms_norm_eps)
            q, k, v = ((h @ w[name]).view(len(ids), -1, c.head_dim).transpose(0, 1) for name in ("w_q", "w_k", "w_v"))
            h = F.scaled_dot_product_attention(
                rotate(q)[None], rotate(k)[None], v[None], is_causal=True, enable_gqa=True
            )
            x = x + h[0].transpose(0, 1).reshape(len(ids), -1) @ w["w_o"]
            h = F.rms_norm(x, x.shape[1:], w["mlp_norm"], c.rms_norm_eps)
            x = x + (F.silu(h @ w["w_gate"]) * (h @ w["w_up"])) @ w["w_down"]
        x = F.rms_norm(x, x.shape[1:], torch.tensor(weights["final_norm"]), c.rms_norm_eps)
        return (x @ (embedding.T if c.tie_word_embeddings else torch.tensor(weights["lm_head"]))).numpy()

    rng = np.random.default_rng(30)
    d, f, vocab = 12, 20, 40
    for tied in (False, True):
        for layers, heads, kv, dh, theta in ((3, 4, 4, 4, 10000.0), (2, 4, 2, 6, 300.0), (1, 2, 1, 4, 10000.0)):
            config = ModelConfig(
                "small",
                layers,
                d,
                heads,
                kv,
                f,
                vocab,
                dh,
                rope_theta=theta,
                tie_word_embeddings=tied,
                rms_norm_eps=0.01,
            )
            shapes = {"w_q": (d, heads * dh), "w_k": (d, kv * dh), "w_v": (d, kv * dh), "w_o": (heads * dh, d)}
            shapes |= {"w_gate": (d, f), "w_up": (d, f), "w_down": (f, d)}
            weights = {
                "embedding": rng.standard_normal((vocab, d)),
                "final_norm": rng.uniform(0.5, 1.5, d),
                "layers": [
                    {name: rng.standard_normal(shape) / shape[0] ** 0.5 for name, shape in shapes.items()}
                    | {name: rng.uniform(0.5, 1.5, d) for name in ("attn_norm", "mlp_norm")}
                    for _ in range(layers)
                ],
            }
            if not tied:
                weights["lm_head"] = rng.standard_normal((d, vocab))
            ids = [int(i) for i in rng.integers(0, vocab, 6)]
            ids[0] = ids[3]
            try:
                got = llama_forward(ids, weights, config)
            except KeyError as error:
                raise AssertionError(f"KeyError {error}: with a tied head there is no lm_head in weights") from None
            kind = f"{layers} layers, {heads} query and {kv} KV heads, {'tied' if tied else 'untied'} head"
            np.testing.assert_allclose(
                got,
                oracle(ids, weights, config),
                rtol=1e-6,
                atol=1e-6,
                err_msg=f"{kind}: differs from the same model in torch",
            )
            table = weights["embedding"].copy()
            again = llama_forward(tuple(ids), weights, config)
            assert np.array_equal(again, got), "a tuple of ids should give what the list gives"
            assert np.array_equal(weights["embedding"], table), "llama_forward changed the weights: work on new arrays"
            for bad in ([vocab], [0, -1], [-vocab, 0]):
                try:
                    llama_forward(bad, weights, config)
                except IndexError:
                    continue
                raise AssertionError(f"ids {bad} were accepted for a vocabulary of {vocab}")
    from dataclasses import replace

    many = 40_000 // vocab + 1
    tall = weights | {"embedding": np.tile(weights["embedding"], (many, 1))}  # row i is also row i + vocab
    first, far = ids[0], ids[0] + vocab * (many - 1)
    got, want = (llama_forward([i], tall, replace(config, vocab_size=vocab * many)) for i in (far, first))
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg="an id above 32,767 has the row of another id")


hidden_llama_forward()

# %% [markdown] task="parameter_count" stars=2 minutes=15
# ## 12. Counting parameters
#
# Every array of exercise 11 is now known to you, so the size of a model is a sum. Write `parameter_count(config)`: the exact number of parameters, as an `int`, from `vocab_size`, `hidden_size` ($d$), `num_hidden_layers`, `num_attention_heads`, `num_key_value_heads`, `head_dim`, `intermediate_size` ($d_{ff}$) and `tie_word_embeddings`. A tied head is the embedding again and is counted once.
#
# Example: vocabulary 10, $d = 4$, one layer, 2 query heads and 1 KV head of 2, $d_{ff} = 6$, tied: $40$ for the embedding, $4 \cdot 4 + 2 \cdot 4 \cdot 2 + 4 \cdot 4 = 48$ for attention, $3 \cdot 4 \cdot 6 = 72$ for the MLP, $8$ for two norms and $4$ for the last: $172$.
#
# Llama-2-7B has 6,738,415,616: the "7B" is rounded up.
#
# <details><summary>Hint 1</summary>
#
# Go through the table of exercise 10 and write down rows times columns. Then multiply by the number of layers and add what stands outside of them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Five shapes per layer are in play: `w_q` and `w_o` share one, `w_k` and `w_v` one, the three MLP matrices one, and the two norms one. Use `head_dim`, not `hidden_size / num_attention_heads`.
#
# </details>


# %% solution="parameter_count"
def parameter_count(config):
    """Exact number of parameters of a LLaMA-style decoder, norms included; a tied head is counted once.

    config: a model spec (see above). Returns an int.
    """
    ### BEGIN SOLUTION
    d = config.hidden_size
    q_size = config.num_attention_heads * config.head_dim
    kv_size = config.num_key_value_heads * config.head_dim
    layer = 2 * d * q_size + 2 * d * kv_size + 3 * d * config.intermediate_size + 2 * d
    tables = 1 if config.tie_word_embeddings else 2
    return tables * config.vocab_size * d + config.num_hidden_layers * layer + d
    ### END SOLUTION


# %% tryit="parameter_count"
for spec in (SMOLLM2_135M, LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_8B):
    print(f"{spec.name:14} {parameter_count(spec):>16,}")


# %% test="parameter_count" points=1
def test_parameter_count():
    from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, SMOLLM2_135M

    got = parameter_count(LLAMA_2_7B)
    assert got is not None, "parameter_count returned None: is there a return statement?"
    assert got != 5_295_575_040, "Llama-2-7B: there are three MLP matrices (gate, up, down), not two"
    assert got != 6_607_343_616, "Llama-2-7B: the LM head is not tied, it is a matrix of its own"
    assert got == 6_738_415_616, (
        f"Llama-2-7B has 6,738,415,616 parameters, you returned {got:,} ({got - 6_738_415_616:+,})"
    )
    got = parameter_count(LLAMA_3_8B)
    assert got != 8_835_567_616, "Llama-3-8B: keys and values have 8 heads only, not 32"
    assert got == 8_030_261_248, (
        f"Llama-3-8B has 8,030,261,248 parameters, you returned {got:,} ({got - 8_030_261_248:+,})"
    )
    got = parameter_count(SMOLLM2_135M)
    assert got != 162_826_560, "SmolLM2-135M: the head is tied, so the embedding is counted once"
    assert got == 134_515_008, f"SmolLM2-135M has 134,515,008 parameters, you returned {got:,} ({got - 134_515_008:+,})"
    assert isinstance(got, int), f"return an int, not {type(got).__name__}"


test_parameter_count()


# %% hidden="parameter_count" points=2
def hidden_parameter_count():
    import numpy as np

    from mini_engine.config import LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_70B, ModelConfig

    for config, want in ((LLAMA_2_13B, 13_015_864_320), (LLAMA_2_70B, 68_976_648_192), (LLAMA_3_70B, 70_553_706_496)):
        got = parameter_count(config)
        assert got == want, f"{config.name} has {want:,} parameters, you returned {got:,} ({got - want:+,})"
    rng = np.random.default_rng(31)
    for trial in range(20):
        layers, d, kv, group, half, f, vocab = (int(i) for i in rng.integers(1, 9, 7))
        config = ModelConfig(
            "random", layers, d, kv * group, kv, f, vocab, 2 * half, tie_word_embeddings=trial % 2 == 0
        )
        q, k = kv * group * 2 * half, kv * 2 * half
        shapes = [(vocab, d), (d,)]
        for _ in range(layers):
            shapes += [(d, q), (d, k), (d, k), (q, d), (d, f), (d, f), (f, d), (d,), (d,)]
        if trial % 2:
            shapes.append((d, vocab))
        want = sum(np.zeros(shape).size for shape in shapes)
        got = parameter_count(config)
        assert got == want, f"{config}: counted {want}, you returned {got} (head_dim is its own field)"
    config = ModelConfig("odd", 41, 5121, 41, 41, 13823, 100_003, 126, tie_word_embeddings=False)
    want = 2 * 100_003 * 5121 + 41 * (4 * 5121 * 41 * 126 + 3 * 5121 * 13823 + 2 * 5121) + 5121
    got = parameter_count(config)
    assert got == want, f"{want:,} parameters, you returned {got:,} ({got - want:+,}): floats round such numbers"


hidden_parameter_count()

# %% [markdown]
# ## Bonus: your code runs a real model
#
# This cell is not graded. It takes the weights of SmolLM2-135M-Instruct, hands them to *your* `llama_forward`, and lets it write ten tokens with the loop of chapter 1. Every step computes the whole text anew, since there is no cache yet; chapter 3 mends that.

# %%
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2, smollm2_is_cached

if smollm2_is_cached():
    config, weights = load_smollm2()
    tokenizer = load_smollm2_tokenizer()
    ids = tokenizer.apply_chat_template([{"role": "user", "content": "What is the capital of France?"}])
    for _ in range(10):
        ids.append(int(llama_forward(ids, weights, config)[-1].argmax()))
        print(tokenizer.decode(ids[-1:]), end="", flush=True)
        if ids[-1] == tokenizer.eos_token_id:
            break
else:
    print('Skipped: SmolLM2-135M is not cached here. Fetch it once: python -m mini_engine generate "Hello"')

# %% [markdown]
# ## What must stay true, what you measured
#
# Whatever makes this pass faster in later chapters must give the same logits up to rounding, and the same greedy tokens. What you measured here: your logits against those of transformers, on a checkpoint where every part moves the result.
