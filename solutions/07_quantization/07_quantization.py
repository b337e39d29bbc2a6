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
# # 07 · Quantization
#
# In this notebook you store a weight matrix in 8 and in 4 bits, multiply with it without unpacking it, and measure what was lost: in the weights, in a layer's output, and in the probabilities of a model. Then you write the two best-known ways to lose less, AWQ and GPTQ. The chapter *Quantization* of the book tells the story; here you write the parts.
#
# Weights are `[in, out]` and applied as `x @ W`, and a group is a run of neighbouring **inputs** of one output: that is what a dot product sums over.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant. And whatever you are given (arrays, lists, dicts) stays as it is, unless the exercise says otherwise.

# %% setup=True
import numpy as np

from mini_engine.plotting import figure, show
from mini_engine.quant.arrays import fake_quantize, pack_nibbles, unpack_nibbles
from mini_engine.quant.fp4 import E4M3

# A layer to try things on: like those of real models, a few input channels carry activations far above the rest.
rng = np.random.default_rng(7)
layer_w = (rng.standard_t(5, (256, 64)) * 0.05).astype(np.float32)
layer_x = (rng.normal(size=(384, 256)) @ (np.eye(256) + 0.1 * rng.normal(size=(256, 256)))).astype(np.float32)
layer_x[:, [3, 40, 77, 150, 201]] *= 25

# %% [markdown] task="quantize_absmax" stars=2 minutes=25
# ## 1. One scale for a whole array, and the way back
#
# An 8-bit number can take 256 values, a weight any value at all. The simplest way from one to the other is a single step size, the *scale*, chosen so that the largest absolute weight lands on the last step:
#
# $$\text{scale} = \frac{\max |w|}{2^{b-1} - 1}, \qquad q = \text{round}\!\left(\frac{w}{\text{scale}}\right)$$
#
# Write `quantize_absmax(w, bits=8)`. It returns `(q, scale)`: `q` is an `int8` array of `w`'s shape with values from $-(2^{b-1}-1)$ to $2^{b-1}-1$, and `scale` a Python `float`. `w` may also hold integers. Halves round to the even neighbour, as `np.rint` does. *Symmetric* means that the steps below zero mirror those above, so −128 is never used.
#
# Example with 8 bits: `[-2.54, 0.03, 1.0]` has scale $2.54 / 127 = 0.02$ and becomes `[-127, 2, 50]` (0.03 is 1.5 steps, and 2 is the even neighbour).
#
# An all-zero array becomes zeros, with any finite scale above 0, so that dividing by it is harmless. The formula is "symmetric, per tensor" quantization (Jacob et al. 2018, [arXiv:1712.05877](https://arxiv.org/abs/1712.05877), section 2).
#
# **The way back.** Write `dequantize(q, scale, zero=None)`, which returns float32 weights. It must serve this exercise and the next:
#
# - `scale` is one number: $w = q \cdot \text{scale}$.
# - `scale` is an array `[groups, out]` and `q` is `[in, out]`: the inputs fall into `groups` runs of equal length `in / groups`, and run `g` of column `o` uses `scale[g, o]`.
# - `zero`, of the same form as `scale`, is the *zero point*: the integer that stands for 0. Then $w = (q - \text{zero}) \cdot \text{scale}$.
#
# Example: `q = [[1], [2], [3], [4]]` and `scale = [[10], [100]]` are two groups of two inputs: the answer is `[[10], [20], [300], [400]]`.
#
# Watch the types: with a zero point `q` is `uint8`, and `3 - 5` in `uint8` is 254. Scales arrive in float16; compute in float32.
#
# <details><summary>Hint 1</summary>
#
# What is the largest integer you may use with `bits` bits, if the smallest is to be its negative? Truncation (`astype` alone) is not rounding: 1.9 would become 1. On the way back, either stretch `scale` from `[groups, out]` to `[in, out]` (each row repeated next to itself), or look at `q` as `[groups, in / groups, out]` and let broadcasting do it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Compute the scale, replace it where it is zero, divide, `np.rint`, convert to `int8`. Since the largest weight lands on the last step, nothing can fall outside. For the way back `np.repeat(scale, run, axis=0)` stretches; convert `q`, `scale` and `zero` to float32 before any arithmetic. A single number has `np.ndim(scale) == 0`.
#
# </details>


# %% solution="quantize_absmax"
def quantize_absmax(w, bits=8):
    """Symmetric integers for a float array, with one scale for all of it.

    w: float array of any shape. bits: 2 to 8.
    Returns (q, scale): q int8 of w's shape, |q| <= 2**(bits-1) - 1, and a float scale with w ≈ q * scale.
    Raises ValueError for bits outside 2..8, with the value in the message.
    """
    ### BEGIN SOLUTION
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    w = np.asarray(w, dtype=np.float64)
    scale = float(np.abs(w).max()) / (2 ** (bits - 1) - 1)
    if scale == 0:
        scale = 1.0
    return np.rint(w / scale).astype(np.int8), scale
    ### END SOLUTION


def dequantize(q, scale, zero=None):
    """Float32 weights from integers: (q - zero) * scale.

    q: int8 or uint8, any shape with a single scale, [in, out] with scales [groups, out] (in / groups inputs each).
    scale: a number, or float16 or float32 [groups, out]. zero: None (no zero point), or the same form as scale.
    Returns float32 of q's shape. Raises ValueError when the groups do not divide the inputs.
    """
    ### BEGIN SOLUTION
    w = q.astype(np.float32)
    scale = np.asarray(scale, dtype=np.float32)
    zero = np.asarray(0 if zero is None else zero, dtype=np.float32)
    if scale.ndim == 0:
        return (w - zero) * scale
    grouped = w.reshape(scale.shape[0], -1, w.shape[1])
    if zero.ndim:
        zero = zero[:, None]
    return ((grouped - zero) * scale[:, None]).reshape(w.shape)
    ### END SOLUTION


# %% tryit="quantize_absmax"
for bits in (8, 4, 2):
    q, scale = quantize_absmax(np.array([-2.54, 0.03, 1.0]), bits)
    print(f"{bits} bits: q = {q}, scale = {scale:.4f}, back to {np.round(q * scale, 3)}")
print(dequantize(np.array([[1], [2], [3], [4]], np.int8), np.array([[10], [100]], np.float16)).T)


# %% test="quantize_absmax" points=2
def test_quantize_absmax():
    import numpy as np

    w = np.array([-2.54, 0.03, 1.0])
    answer = quantize_absmax(w)
    assert answer is not None, "quantize_absmax returned None: is there a return statement?"
    q, scale = answer
    assert np.array_equal(w, [-2.54, 0.03, 1.0]), "your function changed its input"
    assert abs(scale - 0.02) < 1e-9, f"scale should be 2.54 / 127 = 0.02, you returned {scale}"
    assert q.dtype == np.int8, f"q should be int8 (one byte each), it is {q.dtype}"
    assert q[0] != -128, "-2.54 became -128: symmetric quantization divides by 127, its smallest integer is -127"
    assert q[1] != 1, "0.03 is 1.5 steps and became 1: round to the nearest (even on ties), do not truncate"
    assert q.tolist() == [-127, 2, 50], f"expected [-127, 2, 50], got {q.tolist()}"
    zero_q, zero_scale = quantize_absmax(np.zeros(4))
    assert 0 < zero_scale < np.inf, f"an all-zero array gave the scale {zero_scale}: take any number above 0"
    assert not zero_q.any(), "an all-zero array must become zeros: the division 0 / 0 needs care"
    try:
        quantize_absmax(w, 1)
    except ValueError as error:
        assert "1" in str(error), f"the ValueError should name the bad value 1, it says: {error}"
    else:
        raise AssertionError("bits=1 was accepted: one bit leaves no step above zero, raise ValueError")

    got = dequantize(np.array([-127, 2, 50], np.int8), 0.02)
    assert got is not None, "dequantize returned None: is there a return statement?"
    assert got.dtype == np.float32, f"the weights should be float32, they are {got.dtype}"
    assert np.allclose(got, [-2.54, 0.04, 1.0], atol=1e-6), f"q * 0.02 should be [-2.54, 0.04, 1.0], got {got}"
    q = np.array([[1], [2], [3], [4]], np.int8)
    got = dequantize(q, np.array([[10], [100]], np.float16))
    assert got.shape == (4, 1), f"four inputs, one output: expected shape (4, 1), got {got.shape}"
    assert got.ravel().tolist() != [10, 200, 30, 400], (
        "groups are runs of neighbours: rows 0 and 1 share the first scale"
    )
    assert got.ravel().tolist() == [10, 20, 300, 400], f"expected [10, 20, 300, 400], got {got.ravel().tolist()}"
    got = dequantize(np.array([[3], [9]], np.uint8), np.array([[0.5]], np.float16), np.array([[5]], np.uint8))
    assert got[0, 0] != 127, "3 - 5 wrapped round to 254: convert to float32 before you subtract"
    assert got.ravel().tolist() == [-1, 2], f"(3 - 5) * 0.5 and (9 - 5) * 0.5 are [-1, 2], got {got.ravel().tolist()}"
    try:
        dequantize(q, np.ones((3, 1), np.float16))
    except ValueError:
        pass
    else:
        raise AssertionError("4 inputs in 3 groups were accepted: raise ValueError")


test_quantize_absmax()


# %% hidden="quantize_absmax" points=4
def hidden_quantize_absmax():
    import numpy as np

    q, scale = quantize_absmax(np.array([127.0, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 0.75]))
    assert scale == 1 and q.tolist() == [127, 0, 2, 2, 0, -2, -2, 1], f"ties go to the even neighbour, got {q.tolist()}"
    rng = np.random.default_rng(71)
    for bits in range(2, 9):
        last = 2 ** (bits - 1) - 1
        for shape in ((50,), (7, 9), (2, 3, 4)):
            w = (rng.normal(size=shape) * 10.0 ** rng.integers(-6, 6)).astype(np.float32)
            w.flat[rng.integers(w.size)] = -2 * float(np.abs(w).max())
            q, scale = quantize_absmax(w, bits)
            assert q.shape == w.shape, f"q has shape {q.shape}, w has {w.shape}"
            assert q.dtype == np.int8, f"q is {q.dtype}"
            assert isinstance(scale, float), f"the scale should be a Python float, it is {type(scale).__name__}"
            largest = max(abs(float(v)) for v in w.flat)
            assert abs(scale * last - largest) <= 1e-5 * largest, (
                f"{bits} bits: scale {scale} does not map {largest} to {last}"
            )
            assert int(q.min()) == -last, (
                f"{bits} bits: the largest weight is negative and must become {-last}, got {q.min()}"
            )
            for value, step in zip(w.flat, q.flat, strict=True):
                exact = float(value) / scale
                assert abs(exact - int(step)) <= 0.5 + 1e-4, f"{exact:.3f} steps became {step}: not the nearest step"
            other, _ = quantize_absmax(-w, bits)
            assert np.array_equal(other, -q), "the same shape with the other signs must give the other signs"
    assert quantize_absmax(np.array([3, -6]), 4)[0].tolist() in ([4, -7], [3, -7]), "integer input must work too"
    assert quantize_absmax(np.array([-128, 64], np.int8))[0].tolist() == [-127, 64], (
        "in int8 abs(-128) is -128: convert first"
    )
    assert quantize_absmax(np.zeros((2, 3)))[0].shape == (2, 3), "an all-zero array keeps its shape"
    for bad in (0, 9, -4):
        try:
            quantize_absmax(np.ones(3), bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should name {bad}: {error}"
            continue
        raise AssertionError(f"bits={bad} was accepted")

    rng = np.random.default_rng(72)
    for _ in range(12):
        groups, run, num_out = (int(n) for n in rng.integers(1, 7, 3))
        q = rng.integers(0, 256, (groups * run, num_out)).astype(np.uint8)
        scale = rng.uniform(0.01, 40, (groups, num_out)).astype(np.float16)
        zero = rng.integers(0, 256, (groups, num_out)).astype(np.uint8)
        signed = (q.astype(int) - 128).astype(np.int8)
        kept = q.copy()
        got, plain = dequantize(q, scale, zero), dequantize(signed, scale)
        assert np.array_equal(q, kept), "your function changed q"
        assert got.dtype == np.float32 and plain.dtype == np.float32, (
            f"expected float32, got {got.dtype}, {plain.dtype}"
        )
        assert got.shape == q.shape, f"shape {got.shape} instead of {q.shape}"
        for i in range(groups * run):
            for o in range(num_out):
                s, z = float(scale[i // run, o]), int(zero[i // run, o])
                exact = (int(q[i, o]) - z) * s
                assert abs(got[i, o] - exact) <= 1e-6 * abs(exact) + 1e-9, f"({q[i, o]} - {z}) * {s} gave {got[i, o]}"
                exact = int(signed[i, o]) * s
                assert abs(plain[i, o] - exact) <= 1e-6 * abs(exact) + 1e-9, f"{signed[i, o]} * {s} gave {plain[i, o]}"
    cube = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.testing.assert_allclose(
        dequantize(cube, 0.5, 3),
        (np.arange(24).reshape(2, 3, 4) - 3) / 2,
        err_msg="one scale and one zero point must work for any shape",
    )
    for groups in (4, 5):
        try:
            dequantize(np.ones((6, 2), np.int8), np.ones((groups, 2), np.float16))
        except ValueError:
            continue
        raise AssertionError(f"6 inputs in {groups} groups were accepted")


hidden_quantize_absmax()


# %% [markdown] task="quantize_groups" stars=3 minutes=30
# ## 2. A scale per group
#
# A single large weight makes the step large for all the others. So real formats give every run of `group_size` inputs of every output its own scale. Write `quantize_groups(w, bits, group_size, symmetric=True)` for `w` `[in, out]`. It returns `(q, scales, zeros)`:
#
# | | `q` | `scales` | `zeros` |
# |---|---|---|---|
# | symmetric | `int8` `[in, out]`, $\pm(2^{b-1}-1)$ | `float16` `[in / group_size, out]` | `None` |
# | asymmetric | `uint8` `[in, out]`, $0$ to $2^b-1$ | the same | `uint8` `[in / group_size, out]` |
#
# Symmetric is exercise 1 in each group. Asymmetric spends its steps between the smallest and the largest weight of the group. The range is first widened to hold 0, so that 0 has an exact integer of its own, the zero point:
#
# $$\text{scale} = \frac{\max(w, 0) - \min(w, 0)}{2^b - 1}, \qquad \text{zero} = \text{round}\!\left(\frac{-\min(w, 0)}{\text{scale}}\right), \qquad q = \text{round}\!\left(\frac{w}{\text{scale}}\right) + \text{zero}$$
#
# **Round the scale to float16 first**, then divide by the rounded scale: the reader of the file has only the float16 one. After that, clip `q` (and `zero`) into their range.
#
# Example, 4 bits, one group `[-1, 0, 2]`: scale $3 / 15 = 0.2$, zero 5, `q = [0, 5, 15]`. The symmetric form has scale $2 / 7 = 0.286$: `q = [-4, 0, 7]` (−3.5 is a tie, −4 is even).
#
# All-zero groups, also beside others, and groups so small that their scale is 0 in float16, become the integer of 0 with a finite scale above 0. Ties go to the even integer, before the zero point is added. Asymmetric integers with a zero point are what GPTQ and AWQ files store; the Q4_1 blocks of GGUF keep the group's minimum in float16 instead.
#
# <details><summary>Hint 1</summary>
#
# `w.reshape(in // group_size, group_size, out)` puts each group on axis 1. Every maximum is then over axis 1 and has shape `[in / group_size, out]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In order: group the rows; the largest by the last step, `.astype(np.float16)`; replace zero scales by one; `scales[:, None, :]` broadcasts against the groups; `np.rint`, add the zero point, `np.clip`, convert, reshape back.
#
# </details>


# %% solution="quantize_groups"
def quantize_groups(w, bits, group_size, symmetric=True):
    """Integers with one float16 scale (and zero point) per group of inputs.

    w: float [in, out]. bits: 2 to 8. group_size: inputs per group, divides in.
    Returns (q, scales, zeros): q int8 (symmetric) or uint8 (asymmetric) [in, out], scales float16 [in / group_size, out],
    zeros None (symmetric) or uint8 [in / group_size, out], with w ≈ (q - zeros) * scales.
    Raises ValueError for bits outside 2..8 or groups that do not divide the inputs, with the value in the message.
    """
    ### BEGIN SOLUTION
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size={group_size} does not divide {w.shape[0]} inputs")
    groups = w.reshape(-1, group_size, w.shape[1])
    if symmetric:
        last = 2 ** (bits - 1) - 1
        scales = (np.abs(groups).max(axis=1) / last).astype(np.float16)
    else:
        last = 2**bits - 1
        lowest = np.minimum(groups.min(axis=1), 0)
        scales = ((np.maximum(groups.max(axis=1), 0) - lowest) / last).astype(np.float16)
    scales[scales == 0] = 1
    steps = np.rint(groups / scales[:, None])
    if symmetric:
        return np.clip(steps, -last, last).astype(np.int8).reshape(w.shape), scales, None
    zeros = np.minimum(np.rint(-lowest / scales), last).astype(np.uint8)
    q = np.clip(steps + zeros[:, None], 0, last).astype(np.uint8)
    return q.reshape(w.shape), scales, zeros
    ### END SOLUTION


# %% tryit="quantize_groups"
column = np.array([[-1.0], [0.0], [2.0], [0.01], [0.02], [0.03]])
for symmetric in (True, False):
    q, scales, zeros = quantize_groups(column, 4, 3, symmetric)
    print(
        f"symmetric={symmetric}: q = {q.ravel()}, scales = {scales.ravel()}, zeros = {zeros if zeros is None else zeros.ravel()}"
    )


# %% test="quantize_groups" points=2
def test_quantize_groups():
    import numpy as np

    w = np.array([[-1.0], [0.0], [2.0]])
    answer = quantize_groups(w, 4, 3)
    assert answer is not None, "quantize_groups returned None: is there a return statement?"
    assert len(answer) == 3, f"return (q, scales, zeros), three things; you returned {len(answer)}"
    q, scales, zeros = answer
    assert zeros is None, "the symmetric form has no zero point: return None as the third"
    assert scales.dtype == np.float16, f"scales should be float16, they are {scales.dtype}"
    assert q.dtype == np.int8, f"symmetric integers should be int8, they are {q.dtype}"
    assert q.ravel().tolist() == [-4, 0, 7], (
        f"4 bits, one group [-1, 0, 2]: expected [-4, 0, 7], got {q.ravel().tolist()}"
    )
    q, scales, zeros = quantize_groups(w, 4, 3, symmetric=False)
    assert q.dtype == np.uint8 and zeros.dtype == np.uint8, (
        f"asymmetric q and zeros should be uint8: {q.dtype}, {zeros.dtype}"
    )
    assert zeros.tolist() == [[5]], f"the zero point of [-1, 0, 2] is 1 / 0.2 = 5, got {zeros.tolist()}"
    assert q.ravel().tolist() == [0, 5, 15], f"expected [0, 5, 15], got {q.ravel().tolist()}"
    w = np.array([[127.0, 254.0], [64.0, 2.0], [508.0, 0.25], [4.0, -63.5]])
    q, scales, zeros = quantize_groups(w, 8, 2)
    assert scales.shape == (2, 2), f"4 inputs in groups of 2 and 2 outputs: scales should be (2, 2), got {scales.shape}"
    assert scales.tolist() == [[1, 2], [4, 0.5]], (
        f"the group of inputs 0 and 1 of output 0 holds 127 and 64: its scale is 1; the four scales are [[1, 2], [4, 0.5]], "
        f"yours are {scales.tolist()} (groups run along the inputs, axis 0, and every output has its own)"
    )
    assert q.tolist() == [[127, 127], [64, 1], [127, 0], [1, -127]], (
        f"expected [[127, 127], [64, 1], [127, 0], [1, -127]], got {q.tolist()}"
    )
    for bits, group_size in ((8, 3), (8, 0), (9, 2)):
        try:
            quantize_groups(w, bits, group_size)
        except ValueError:
            continue
        raise AssertionError(f"bits={bits}, group_size={group_size} with 4 inputs was accepted: raise ValueError")


test_quantize_groups()


# %% hidden="quantize_groups" points=4
def hidden_quantize_groups():
    import numpy as np

    rng = np.random.default_rng(73)
    for trial in range(16):
        bits, symmetric = int(rng.integers(2, 9)), trial % 2 == 0
        groups, run, num_out = (int(n) for n in rng.integers(1, 6, 3))
        w = (rng.normal(size=(groups * run, num_out)) + rng.choice([0, 3, -3])).astype(np.float32)
        w *= (10.0 ** rng.integers(-3, 3, (groups, 1))).repeat(run, 0)
        w[:run, 0] = 0
        kept = w.copy()
        q, scales, zeros = quantize_groups(w, bits, run, symmetric)
        assert np.array_equal(w, kept), "your function changed w"
        assert q.shape == w.shape and scales.shape == (groups, num_out), (
            f"shapes {q.shape}, {scales.shape} for w {w.shape}"
        )
        assert scales.dtype == np.float16, f"scales are {scales.dtype}"
        assert q.dtype == (np.int8 if symmetric else np.uint8), f"q is {q.dtype}"
        assert (zeros is None) if symmetric else zeros.dtype == np.uint8, "zeros: None when symmetric, uint8 otherwise"
        least, last = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1) if symmetric else (0, 2**bits - 1)
        for g in range(groups):
            for o in range(num_out):
                column = [float(v) for v in w[g * run : (g + 1) * run, o]]
                s = float(scales[g, o])
                assert np.isfinite(s) and s > 0, f"the group {column} got the scale {s}"
                if any(column):
                    span = max(abs(v) for v in column) if symmetric else max(column + [0.0]) - min(column + [0.0])
                    # float16 keeps 11 bits, so the stored scale is within 2**-11 of the exact one
                    assert abs(s * last - span) <= 6e-4 * span, f"{column}: scale {s}, expected {span / last}"
                z = 0 if symmetric else int(zeros[g, o])
                if not symmetric:
                    wanted = min(max(round(-min(column + [0.0]) / s), 0), last)
                    assert abs(z - wanted) <= (abs(-min(column + [0.0]) / s % 1 - 0.5) < 1e-3), (
                        f"{column}: zero {z}, not {wanted}"
                    )
                for v, step in zip(column, q[g * run : (g + 1) * run, o], strict=True):
                    exact = min(max(v / s + z, least), last)
                    # a tie of w / scale may round either way once the zero point is added before rounding
                    assert abs(int(step) - exact) <= 0.5 + 1e-3, (
                        f"{v} is step {exact:.3f} of scale {s} (zero {z}), you stored {step}"
                    )
        if symmetric:
            other = quantize_groups(-w, bits, run, symmetric)[0]
            assert np.array_equal(other, -q), "the same shape with the other signs must give the other signs"
    one_big = np.full((8, 2), 0.01, np.float32)
    one_big[6, 0] = 100
    q, scales, _zeros = quantize_groups(one_big, 8, 4)
    assert float(scales[0, 0]) < 1e-3 < 0.5 < float(scales[1, 0]), (
        "a large weight must not change the scale of other groups"
    )
    assert float(scales[1, 1]) < 1e-3, "a large weight must not change the scale of other outputs"
    # 1e-7 / 127 is below the smallest float16: the scale underflows to zero and must not divide by it
    for symmetric in (True, False):
        tiny = np.array([[1e-7], [-1e-7]], np.float32)
        q, scales, zeros = quantize_groups(tiny, 8, 2, symmetric)
        back = (q.astype(float) - (0 if symmetric else zeros)) * scales
        assert np.isfinite(back).all() and np.abs(back).max() < 1e-5, f"weights of 1e-7 came back as {back.ravel()}"
        assert (scales > 0).all(), f"weights of 1e-7 got the scale {scales.ravel()}: look for zeros after float16"
        # 1.05e-5 needs steps of 8e-8, float16 has only 6e-8 or 12e-8: the integers overshoot and must be clipped
        coarse = np.array([[1.05e-5], [-1.05e-5], [-2.1e-5], [-2e-5]], np.float32)
        q, scales, zeros = quantize_groups(coarse, 8, 2, symmetric)
        back = (q.astype(float) - (0 if symmetric else zeros.repeat(2, 0).astype(float))) * scales.repeat(2, 0)
        assert np.abs(back - coarse).max() < 8e-6, (
            f"1e-5 came back as {back.ravel()}: a float16 scale is coarse here, clip"
        )
    assert quantize_groups(np.array([[3.0], [3.0]]), 4, 2, False)[0].ravel().tolist() == [15, 15], (
        "a constant group is its own maximum"
    )
    # 100 / 127 is 0.78740 and float16 stores 0.78760: 78.354 is step 99.51 of the first and 99.48 of the second
    q, scales, _zeros = quantize_groups(np.array([[100.0], [78.354]], np.float32), 8, 2)
    assert int(q[1, 0]) == 99, "divide by the float16 scale, the one that is stored"
    mixed = rng.normal(size=(64, 4)).astype(np.float32)  # every group has both signs
    q, scales, zeros = quantize_groups(mixed, 4, 16, False)
    exact = mixed / scales.repeat(16, 0).astype(float) + zeros.repeat(16, 0)
    worst = np.abs(q - np.clip(exact, 0, 15)).max()
    assert worst <= 0.5 + 1e-3, (
        f"groups of 16 with both signs: an integer is {worst:.2f} steps from w / scale + zero "
        "(was the minimum subtracted before rounding, so that 0 has no integer of its own?)"
    )
    for bits, group_size in ((8, -2), (1, 2), (0, 2), (8, 8), (4, 3)):
        try:
            quantize_groups(np.ones((4, 2)), bits, group_size)
        except ValueError as error:
            assert str(group_size) in str(error) or str(bits) in str(error), (
                f"name the bad value in the message: {error}"
            )
            continue
        raise AssertionError(f"bits={bits}, group_size={group_size} with 4 inputs was accepted")
    ties = np.array([[-1.0], [254.0], [0.5], [1.5], [100.5]])  # a scale of 1 and a zero point of 1
    got = quantize_groups(ties, 8, 5, False)[0].ravel().tolist()
    assert got == [0, 255, 1, 3, 101], (
        f"ties go to the even integer before the zero point is added: [0, 255, 1, 3, 101], yours {got}"
    )


hidden_quantize_groups()

# %% [markdown] task="pack_int4" stars=2 minutes=25
# ## 3. Two numbers in a byte
#
# NumPy's smallest integer has 8 bits, so 4-bit weights in an `int8` array save nothing. Write `pack_int4(q)`: it takes integers from −8 to 7 and puts two neighbours along the **last** axis into one byte, the first in the low four bits (the low *nibble*). `[..., n]` becomes `uint8` `[..., n / 2]`.
#
# A negative number is stored as its low four bits in two's complement: −1 is `1111`, −8 is `1000`.
#
# Example: `[3, -1]` is `0011` and `1111`, low nibble first: the byte `1111 0011`, 243. `[-8, 7]` is `0111 1000`, 120.
#
# And its inverse, `unpack_int4(packed)`: `uint8` `[..., m]` becomes `int8` `[..., 2m]` with values from −8 to 7. The sign must come back: the nibble `1111` is −1, not 15. `[243, 120]` becomes `[3, -1, -8, 7]`.
#
# <details><summary>Hint 1</summary>
#
# `number & 0xF` keeps the low four bits, also of a negative number. The second number has to move up by four bits before the two are joined. On the way out the two nibbles of a byte are `byte & 0xF` and `byte >> 4`, numbers from 0 to 15. Which of these stand for negative numbers, and what do you subtract from them?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `q[..., 0::2]` are the first of each pair. Convert to `uint8` before you shift: in `int8` a shift by four overflows. To unpack, fill a new array of twice the length at `[..., 0::2]` and `[..., 1::2]`; nibbles of 8 and above lose 16. Leave `uint8` before you subtract.
#
# </details>


# %% solution="pack_int4"
def pack_int4(q):
    """Two 4-bit integers per byte along the last axis, the first in the low nibble.

    q: integers [..., n] from -8 to 7, n even. Returns uint8 [..., n / 2].
    Raises ValueError when n is odd or a value does not fit.
    """
    ### BEGIN SOLUTION
    if q.shape[-1] % 2:
        raise ValueError(f"the last axis holds {q.shape[-1]} numbers, which do not pair up")
    if q.size and (q.min() < -8 or q.max() > 7):
        raise ValueError(f"values must lie in -8..7, got {q.min()} to {q.max()}")
    nibbles = (q & 0xF).astype(np.uint8)
    return nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)
    ### END SOLUTION


def unpack_int4(packed):
    """The 4-bit integers of packed bytes, sign restored.

    packed: uint8 [..., m]. Returns int8 [..., 2m] from -8 to 7, low nibble first.
    """
    ### BEGIN SOLUTION
    q = np.empty((*packed.shape[:-1], 2 * packed.shape[-1]), dtype=np.int8)
    q[..., 0::2] = packed & 0xF
    q[..., 1::2] = packed >> 4
    q[q > 7] -= 16
    return q
    ### END SOLUTION


# %% tryit="pack_int4"
for pair in ([3, -1], [-8, 7], [0, 0]):
    print(f"{pair} -> {int(pack_int4(np.array(pair, np.int8))[0]):08b}")
numbers = np.arange(-8, 8, dtype=np.int8)
print(numbers.nbytes, "bytes ->", pack_int4(numbers).nbytes, "bytes ->", unpack_int4(pack_int4(numbers)))


# %% test="pack_int4" points=2
def test_pack_int4():
    import numpy as np

    got = pack_int4(np.array([3, -1, -8, 7], np.int8))
    assert got is not None, "pack_int4 returned None: is there a return statement?"
    assert got.dtype == np.uint8, f"packed bytes should be uint8, they are {got.dtype}"
    assert got.shape == (2,), f"four numbers fill two bytes, you returned shape {got.shape}"
    assert got[0] != 63, "[3, -1] gave 63: the first number of a pair belongs in the low nibble"
    assert got.tolist() == [243, 120], f"expected [243, 120], got {got.tolist()}"
    rows = pack_int4(np.array([[1, 2], [3, 4], [5, 6]], np.int8))
    assert rows.tolist() == [[33], [67], [101]], (
        f"neighbours along the last axis pair up: expected [[33], [67], [101]], got {rows.tolist()}"
    )
    for bad in ([1, 2, 3], [0, 8], [-9, 0]):
        try:
            pack_int4(np.array(bad))
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted: raise ValueError for an odd count or a value outside -8..7")

    got = unpack_int4(np.array([243, 120], np.uint8))
    assert got is not None, "unpack_int4 returned None: is there a return statement?"
    assert got.dtype == np.int8, f"the numbers have a sign: expected int8, got {got.dtype}"
    assert got.tolist() != [3, 15, 8, 7], "15 and 8 came out where -1 and -8 went in: restore the sign"
    assert got.tolist() != [-1, 3, 7, -8], "the low nibble is the first number of a pair"
    assert got.tolist() == [3, -1, -8, 7], f"expected [3, -1, -8, 7], got {got.tolist()}"
    got = unpack_int4(np.array([[33], [67]], np.uint8))
    assert got.tolist() == [[1, 2], [3, 4]], f"[[33], [67]] holds [[1, 2], [3, 4]], you returned {got.tolist()}"


test_pack_int4()


# %% hidden="pack_int4" points=4
def hidden_pack_int4():
    import numpy as np

    rng = np.random.default_rng(74)
    for shape in ((2,), (16,), (3, 4), (2, 5, 6), (0,)):
        for dtype in (np.int8, np.int64):
            q = rng.integers(-8, 8, shape).astype(dtype)
            kept = q.copy()
            packed = pack_int4(q)
            assert np.array_equal(q, kept), "your function changed q"
            assert packed.dtype == np.uint8, f"{packed.dtype} is not uint8"
            assert packed.shape == (*shape[:-1], shape[-1] // 2), f"{shape} packs to {packed.shape}"
            for low, high, byte in zip(q[..., 0::2].ravel(), q[..., 1::2].ravel(), packed.ravel(), strict=True):
                exact = int(low) % 16 + 16 * (int(high) % 16)
                assert int(byte) == exact, f"({low}, {high}) is the byte {exact}, you stored {byte}"
    for low in range(-8, 8):
        for high in range(-8, 8):
            assert int(pack_int4(np.array([low, high]))[0]) == low % 16 + 16 * (high % 16), (
                f"the pair ({low}, {high}) is wrong"
            )
    for bad in ([7, 7, 8, 0], [0, -9], [100, 0], [259, 0], [0, -260], [0], [[1, 2, 3], [4, 5, 6]]):
        try:
            pack_int4(np.array(bad))
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted")

    every = np.arange(256, dtype=np.uint8)
    got = unpack_int4(every)
    assert np.array_equal(every, np.arange(256)), "your function changed its input"
    assert got.shape == (512,) and got.dtype == np.int8, f"256 bytes hold 512 int8 numbers, got {got.shape} {got.dtype}"
    for byte in range(256):
        low, high = (n - 16 if n > 7 else n for n in (byte % 16, byte // 16))
        assert (int(got[2 * byte]), int(got[2 * byte + 1])) == (low, high), f"the byte {byte} holds {low} and {high}"
    for shape in ((2, 3), (2, 1, 4), (0,)):
        packed = np.random.default_rng(75).integers(0, 256, shape).astype(np.uint8)
        got = unpack_int4(packed)
        assert got.shape == (*shape[:-1], 2 * shape[-1]), f"{shape} unpacks to {got.shape}"
        again = (got[..., 0::2].astype(int) % 16 + 16 * (got[..., 1::2].astype(int) % 16)).astype(np.uint8)
        assert np.array_equal(again, packed), f"packing the answer again does not give the {shape} bytes back"


hidden_pack_int4()


# %% [markdown] task="quantized_bytes" stars=1 minutes=15
# ## 4. What it weighs, and the most it can bring
#
# "4-bit" is not 4 bits: the scales are stored too. Write `quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0)`, the whole bytes of `n_params` weights:
#
# $$\left\lceil \frac{n \cdot b}{8} \right\rceil + \left\lceil \frac{n}{\text{group}} \right\rceil \cdot (\text{scale bytes} + \text{zero bytes})$$
#
# Return an `int`. A last group that is not full still has a scale. `group_size=None` means no groups, hence no scales: plain float16 is `bits=16, group_size=None`. `n_params` may come as the float `7e9`.
#
# Example: $7 \cdot 10^9$ parameters in int8 with groups of 128: $7 \cdot 10^9 + 54{,}687{,}500 \cdot 2 = 7{,}109{,}375{,}000$ bytes, 7.109 GB.
#
# **The most it can bring.** A decode step for one user reads every weight once and does little with it, so at best its time falls as its bytes do (chapter 4). Write `decode_speedup_bound(bytes_before, bytes_after)`, the largest speed-up that reading fewer bytes can give: 2.0 means twice as fast. Example: 14 GB of float16 against 3.609 GB of int4: $14 / 3.609375 = 3.88$, not 4. The bytes must be **all** bytes the step reads: with a long context the KV cache is read too, and quantizing weights does not make it smaller.
#
# <details><summary>Hint 1</summary>
#
# Two parts: the integers, and one scale (and zero point) for each group. For the bound: at a bandwidth of $B$ bytes per second the step takes at least $\text{bytes} / B$ seconds, before and after. $B$ cancels.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `-(-a // b)` divides integers and rounds up, exact at any size; make `n_params` an `int` first. The bound is one division: which of the two is on top if fewer bytes are to give more than 1?
#
# </details>


# %% solution="quantized_bytes"
def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    """Bytes of n_params weights of `bits` bits each, with their scales and zero points.

    group_size: weights per scale; None for no scales at all. scale_bytes, zero_bytes: per group.
    Returns an int. Raises ValueError for negative sizes, bits < 1 or group_size < 1, with the value in the message.
    """
    ### BEGIN SOLUTION
    if min(n_params, scale_bytes, zero_bytes) < 0 or bits < 1:
        raise ValueError(f"sizes make no sense: {n_params} parameters, {bits} bits, {scale_bytes} + {zero_bytes} bytes")
    if group_size is not None and group_size < 1:
        raise ValueError(f"group_size must be at least 1, got {group_size}")
    n_params = int(n_params)
    payload = -(-n_params * bits // 8)
    groups = 0 if group_size is None else -(-n_params // group_size)
    return payload + groups * (scale_bytes + zero_bytes)
    ### END SOLUTION


def decode_speedup_bound(bytes_before, bytes_after):
    """Largest factor by which a bandwidth-bound step can get faster when it reads fewer bytes.

    bytes_before, bytes_after: bytes one step reads, above 0. Returns a float. Raises ValueError when not positive.
    """
    ### BEGIN SOLUTION
    if bytes_before <= 0 or bytes_after <= 0:
        raise ValueError(f"bytes must be positive, got {bytes_before} and {bytes_after}")
    return bytes_before / bytes_after
    ### END SOLUTION


# %% tryit="quantized_bytes"
for label, args in {
    "float16": (16, None),
    "int8, groups of 128": (8, 128),
    "int4, groups of 128": (4, 128),
    "int4, groups of 32 with a float16 zero": (4, 32, 2, 2),
}.items():
    n_bytes = quantized_bytes(7e9, *args)
    print(f"7B in {label:40} {n_bytes / 1e9:7.3f} GB, {8 * n_bytes / 7e9:6.3f} bits per weight")
kv_bytes = 4096 * 524_288
for context, extra in (("no context", 0), ("4096 tokens of context", kv_bytes)):
    bound = decode_speedup_bound(14e9 + extra, 3_609_375_000 + extra)
    print(f"Llama-2-7B, float16 to int4, {context}: at most {bound:.2f} times faster")


# %% test="quantized_bytes" points=2
def test_quantized_bytes():
    got = quantized_bytes(7e9, 8, 128)
    assert got is not None, "quantized_bytes returned None: is there a return statement?"
    assert got != 7_000_000_000, "7000000000 leaves out the scales: one for each group of 128"
    assert got == 7_109_375_000, f"7e9 parameters in int8, groups of 128: 7109375000 bytes, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    got = quantized_bytes(7e9, 4, 128)
    assert got == 3_609_375_000, f"int4, groups of 128: 3609375000 bytes, you returned {got}"
    got = quantized_bytes(7e9, 4, 32, zero_bytes=2)
    assert got == 4_375_000_000, (
        f"int4, groups of 32 with a zero point of 2 bytes: 4375000000 bytes, you returned {got}"
    )
    assert quantized_bytes(7e9, 16, None) == 14_000_000_000, "float16 without groups: 14000000000 bytes"
    try:
        quantized_bytes(100, 4, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("group_size=0 was accepted: raise ValueError")

    got = decode_speedup_bound(14e9, 7e9)
    assert got is not None, "decode_speedup_bound returned None: is there a return statement?"
    assert got != 0.5, "half the bytes should give 2.0: before over after"
    assert got == 2.0, f"half the bytes give at most 2.0, you returned {got}"
    assert abs(decode_speedup_bound(14e9, 3_609_375_000) - 3.8788) < 1e-3, "14 GB to 3.609 GB should give 3.879"
    for args in ((0, 1), (1, 0), (-1, 1)):
        try:
            decode_speedup_bound(*args)
        except ValueError:
            continue
        raise AssertionError(f"decode_speedup_bound{args} was accepted: raise ValueError")


test_quantized_bytes()


# %% hidden="quantized_bytes" points=3
def hidden_quantized_bytes():
    import numpy as np

    assert quantized_bytes(5, 4, 4) == 3 + 2 * 2, (
        "5 weights of 4 bits fill 3 bytes; a group of 4 and a group of 1 need 2 scales"
    )
    assert quantized_bytes(0, 4, 32) == 0, "no weights, no bytes"
    assert quantized_bytes(1, 1, 1, 0, 0) == 1, "one bit still takes a byte"
    assert quantized_bytes(70_553_706_496, 4, 128) == 36_379_254_912, "Llama-3-70B in int4, groups of 128"
    assert quantized_bytes(2**60 + 1, 8, None) == 2**60 + 1, "large counts must stay exact: divide integers, not floats"
    assert quantized_bytes(2**55 + 1, 8, 2, 1) == 2**55 + 1 + 2**54 + 1, (
        "large counts must stay exact: divide integers, not floats"
    )
    rng = np.random.default_rng(76)
    for _ in range(30):
        n, bits, group, scale, zero = (int(v) for v in rng.integers((1, 1, 1, 0, 0), (200, 17, 40, 5, 5)))
        bytes_counted = len(range(0, n * bits, 8)) + sum(scale + zero for _start in range(0, n, group))
        got = quantized_bytes(n, bits, group, scale, zero)
        assert got == bytes_counted, (
            f"{n} weights, {bits} bits, groups of {group}, {scale}+{zero} bytes: counted {bytes_counted}, you returned {got}"
        )
        assert isinstance(got, int), f"return an int, not {type(got).__name__}"
    for args in ((-1, 4, 32), (10, 0, 32), (10, 4, -1), (10, 4, 32, -1), (10, 4, 32, 2, -2), (10, 4, 0)):
        try:
            quantized_bytes(*args)
        except ValueError:
            continue
        raise AssertionError(f"quantized_bytes{args} was accepted")

    rng = np.random.default_rng(77)
    for before, after in rng.integers(1, 10**12, (20, 2)).tolist():
        got = decode_speedup_bound(before, after)
        assert abs(got * after - before) <= 1e-9 * before, f"{before} bytes to {after} bytes gave {got}"
    assert decode_speedup_bound(1, 2) == 0.5, "more bytes make it slower: below 1 is a true answer"
    assert decode_speedup_bound(0.5, 0.25) == 2, "fractions of a byte per weight must work too"
    for args in ((1, -1), (0, 0), (-2, -1)):
        try:
            decode_speedup_bound(*args)
        except ValueError:
            continue
        raise AssertionError(f"decode_speedup_bound{args} was accepted")
    for args, value in (((-77, 4, 32), -77), ((10, 4, 32, -88), -88), ((10, 4, 32, 2, -99), -99)):
        try:
            quantized_bytes(*args)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold the negative size {value}: {error}"


hidden_quantized_bytes()


# %% [markdown] task="int8_linear" stars=3 minutes=25
# ## 5. Multiply without unpacking
#
# If a layer first turns all its integers back into floats, it writes and reads the very bytes that quantization was meant to save. Write `int8_linear(x, q, scales, group_size)`, which never holds the whole float matrix:
#
# $$y_{no} = \sum_{g} \text{scales}_{go} \sum_{i \in g} x_{ni} \, q_{io}$$
#
# The inner sum uses the integers as they are; the scale comes afterwards, once for each group and output. `x` is float32 `[N, in]`, `q` int8 `[in, out]`, `scales` float16 `[in / group_size, out]`; return float32 `[N, out]`. This is *weight-only* quantization: `x` stays float.
#
# Example: `x = [[1, 1, 1, 1]]`, `q = [[1], [2], [3], [4]]`, `scales = [[10], [100]]`, groups of 2: $(1 + 2) \cdot 10 + (3 + 4) \cdot 100 = 730$.
#
# The checks measure peak memory: it must stay well under that of the float32 matrix. Use NumPy alone; the measure sees no other library. A GPU kernel does the same with smaller pieces: it converts in registers, on the way from memory to the multiplier.
#
# <details><summary>Hint 1</summary>
#
# Convert one group of rows at a time. Note that `x @ q` with an int8 `q` makes NumPy convert all of `q` to float behind your back.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Start from zeros `[N, out]` and add, for each group, the product of the group's columns of `x` with its rows of `q`, times its row of `scales`.
#
# </details>


# %% solution="int8_linear"
def int8_linear(x, q, scales, group_size):
    """x @ W for a W stored as int8 with a scale per group, never building W in float.

    x: float32 [N, in]. q: int8 [in, out]. scales: float16 [in / group_size, out]. Returns float32 [N, out].
    Raises ValueError when group_size does not divide in, or x or scales do not fit q.
    """
    ### BEGIN SOLUTION
    num_in, num_out = q.shape
    if group_size < 1 or num_in % group_size:
        raise ValueError(f"group_size={group_size} does not divide {num_in} inputs")
    if x.shape[-1] != num_in or scales.shape != (num_in // group_size, num_out):
        raise ValueError(f"x {x.shape}, q {q.shape} and scales {scales.shape} do not fit together")
    y = np.zeros((x.shape[0], num_out), dtype=np.float32)
    for g, scale in enumerate(scales):
        rows = slice(g * group_size, (g + 1) * group_size)
        y += (x[:, rows] @ q[rows]) * scale
    return y
    ### END SOLUTION


# %% tryit="int8_linear"
y_float = layer_x @ layer_w
y_int8 = int8_linear(layer_x, *quantize_groups(layer_w, 8, 64)[:2], 64)
print(
    f"output error of int8, groups of 64: {np.linalg.norm(y_int8 - y_float) / np.linalg.norm(y_float):.4f} of the output"
)


# %% test="int8_linear" points=1
def test_int8_linear():
    import tracemalloc

    import numpy as np

    q = np.array([[1], [2], [3], [4]], np.int8)
    scales = np.array([[10], [100]], np.float16)
    got = int8_linear(np.ones((1, 4), np.float32), q, scales, 2)
    assert got is not None, "int8_linear returned None: is there a return statement?"
    assert got.shape == (1, 1), f"one row, one output: expected shape (1, 1), got {got.shape}"
    assert got[0, 0] == 730, f"(1 + 2) * 10 + (3 + 4) * 100 is 730, you returned {got[0, 0]}"
    assert got.dtype == np.float32, f"the output should be float32, it is {got.dtype}"
    rng = np.random.default_rng(8)
    q = rng.integers(-127, 128, (2048, 256)).astype(np.int8)
    scales = rng.uniform(0.001, 0.01, (32, 256)).astype(np.float16)
    x = rng.normal(size=(1, 2048)).astype(np.float32)
    int8_linear(x, q, scales, 64)
    tracemalloc.start()
    int8_linear(x, q, scales, 64)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    limit = 4 * q.size // 4
    assert peak < limit, (
        f"peak memory was {peak} bytes, the float32 matrix alone has {4 * q.size}: convert one group at a time"
    )
    try:
        int8_linear(x, q, scales, 96)
    except ValueError:
        pass
    else:
        raise AssertionError("2048 inputs in groups of 96 were accepted: raise ValueError")


test_int8_linear()


# %% hidden="int8_linear" points=3
def hidden_int8_linear():
    import tracemalloc

    import numpy as np

    rng = np.random.default_rng(78)
    for _ in range(8):
        groups, run, num_out, rows = (int(n) for n in rng.integers(1, 9, 4))
        q = rng.integers(-127, 128, (groups * run, num_out)).astype(np.int8)
        scales = rng.uniform(0.01, 4, (groups, num_out)).astype(np.float16)
        x = rng.normal(size=(rows, groups * run)).astype(np.float32)
        got = int8_linear(x.copy(), q.copy(), scales.copy(), run)
        w = [[int(q[i, o]) * float(scales[i // run, o]) for o in range(num_out)] for i in range(groups * run)]
        exact = x.astype(float) @ np.array(w)
        # float32 sums of up to 64 products of about 500: 1e-4 of the row's size is far above rounding
        np.testing.assert_allclose(
            got, exact, atol=1e-4 * (1 + np.abs(exact).max()), err_msg=f"q {q.shape} in groups of {run}"
        )
        assert got.dtype == np.float32, f"the output is {got.dtype}"
        small = int8_linear(np.float32(2**-20) * x, q, scales, run)
        message = "activations a million times smaller give outputs a million times smaller: nothing is rounded away"
        np.testing.assert_allclose(2.0**20 * small, exact, atol=1e-4 * (1 + np.abs(exact).max()), err_msg=message)
    from mini_engine.quant.arrays import quantize

    w = rng.normal(size=(512, 64)).astype(np.float32)
    stored = quantize(w, 8, 128)
    x = rng.normal(size=(5, 512)).astype(np.float32)
    want = x @ stored.dequantize()
    np.testing.assert_allclose(
        int8_linear(x, stored.q, stored.scales, 128),
        want,
        atol=1e-3,
        err_msg="against the engine's dequantized weights",
    )
    for rows in (1, 3):
        q = rng.integers(-127, 128, (4096, 192)).astype(np.int8)
        scales = np.ones((64, 192), np.float16)
        x = np.ones((rows, 4096), np.float32)
        want = np.tile(q.sum(0, dtype=np.int64), (rows, 1))
        tracemalloc.start()
        got = int8_linear(x, q, scales, 64)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < q.size, f"peak memory was {peak} bytes for {q.size} weights: the whole matrix was converted"
        assert np.array_equal(got, want), "with x and scales of 1 the answer is the column sums"
    try:
        swapped = int8_linear(x.astype(">f4"), q, scales.astype(">f2"), 64)  # only NumPy reads this byte order
    except (TypeError, ValueError) as error:
        raise AssertionError(f"use NumPy alone: the measure of memory does not see other libraries ({error})") from None
    assert np.array_equal(swapped, want), "the same numbers in another byte order give another answer"
    q, scales, x = np.ones((8, 3), np.int8), np.ones((2, 3), np.float16), np.ones((2, 8), np.float32)
    for args in (
        (x, q, scales, 0),
        (x, q, scales, 3),
        (x, q, scales, 2),
        (x[:, :4], q, scales, 4),
        (np.ones((2, 12), np.float32), q, scales, 4),
        (x, q, scales[:, :2], 4),
        (x, q, scales[:, :1], 4),
        (x, q, np.ones((3, 3), np.float16), 3),
        (x, q, np.ones((3, 3), np.float16), 4),
        (x, q, scales, -4),
    ):
        try:
            int8_linear(*args)
        except ValueError:
            continue
        raise AssertionError(
            f"x {args[0].shape}, q {args[1].shape}, scales {args[2].shape}, groups of {args[3]} were accepted"
        )


hidden_int8_linear()

# %% [markdown] task="quantize_mxfp4" stars=3 minutes=20
# ## 6. Four bits as a float
#
# Integers have equal steps. Most weights of a group are small, so a 4-bit *float* may spend its codes better: near zero its steps are short. The format E2M1 has a sign, two bits of exponent and one of mantissa. Code by code, from 0 to 7, its values are
#
# $$0,\ 0.5,\ 1,\ 1.5,\ 2,\ 3,\ 4,\ 6$$
#
# and codes 8 to 15 are the same with a minus sign. Write three functions.
#
# **`fp4_codes(x, scale)`** returns the codes, `uint8` of `x`'s shape, of the values nearest to `x / scale`. A number halfway between two values goes to the one nearer to zero, what lies beyond 6 becomes 6, and what becomes zero has code 0, never 8. With scale 1, `[5.0, -0.2, 0.3, -2.6]` becomes 4, 0, 0.5 and −3: codes `[6, 0, 1, 13]`.
#
# **`quantize_mxfp4(x)`** quantizes a block of 32 numbers as MXFP4 does. Its scale is a power of two, $2^e$, stored as one byte: no mantissa, only the exponent
#
# $$e = \lfloor \log_2 \max |x| \rfloor - 2$$
#
# The 2 is the exponent of E2M1's largest value, $6 = 1.5 \cdot 2^2$. Return `(e, codes)`, `e` a Python `int`. The byte reaches down to $e = -127$: take that where the formula gives less, and for a block of zeros. A block whose largest number is 5 has $e = 0$, so the 5 comes back as 4. One whose largest is 7.9 has the same scale: 7.9 comes back as 6.
#
# **`quantize_nvfp4(x, tensor_scale=1.0)`** quantizes a block of 16 as NVFP4 does. Here the largest number is to become 6, so the wanted scale is $\max |x| / (6 \cdot \text{tensor scale})$; but it is stored in 8 bits, as the nearest value of the format E4M3. Those values are given: the array `E4M3`, from 0 to 448 in order. Return `(scale, codes)`: `scale` the E4M3 value as a Python `float`, `codes` for $x / (\text{scale} \cdot \text{tensor scale})$. Where the nearest value is 0, all codes are 0. With `tensor_scale=1` and 5 as the largest number, $5 / 6 = 0.833$, the nearest E4M3 value is 0.8125, and the 5 comes back as 4.875.
#
# The formats are those of the OCP Microscaling Formats 1.0 and of NVIDIA's Blackwell GPUs; [NVIDIA's documentation](https://docs.nvidia.com/nemo/automodel/nemo-automodel/nemo_automodel/components/quantization/nvfp4) describes the second. Halves go to zero as in llama.cpp.
#
# <details><summary>Hint 1</summary>
#
# There are only 16 values: for each number, compute its distance to all eight magnitudes and take the nearest. Which of two equal distances does `np.argmin` return? The sign comes afterwards.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.abs(np.abs(x)[..., None] - scale * values).argmin(-1)` are the codes without a sign; add 8 where `x < 0` and the code is not 0. Take the maximum of the block before you take its logarithm, and look at 0 first. For E4M3 the same `argmin` over distances works.
#
# </details>


# %% solution="quantize_mxfp4"
def fp4_codes(x, scale):
    """Codes of the E2M1 values nearest to x / scale, halves towards zero.

    x: float array. scale: a number from 0 on; with 0 every code is 0. Returns uint8 of x's shape, 0 to 15, never 8.
    """
    ### BEGIN SOLUTION
    values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6])
    codes = np.abs(np.abs(x)[..., None] - scale * values).argmin(axis=-1)
    return np.where((x < 0) & (codes > 0), codes + 8, codes).astype(np.uint8)
    ### END SOLUTION


def quantize_mxfp4(x):
    """A block of 32 numbers as MXFP4.

    x: float [32]. Returns (e, codes): the scale is 2 ** e, e an int of at least -127; codes uint8 [32].
    Raises ValueError for another shape, or for a number that is not finite, with the shape or the number.
    """
    ### BEGIN SOLUTION
    if x.shape != (32,):
        raise ValueError(f"a block of MXFP4 has 32 numbers, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{x[~np.isfinite(x)][0]} has no nearest value")
    largest = np.abs(x).max()
    e = max(int(np.floor(np.log2(largest))) - 2, -127) if largest > 0 else -127
    return e, fp4_codes(x, 2.0**e)
    ### END SOLUTION


def quantize_nvfp4(x, tensor_scale=1.0):
    """A block of 16 numbers as NVFP4.

    x: float [16]. tensor_scale: a number above 0. Returns (scale, codes): a float of E4M3, and uint8 [16].
    Raises ValueError for another shape, or for a tensor_scale that is not above 0, with the shape or the number.
    """
    ### BEGIN SOLUTION
    if x.shape != (16,):
        raise ValueError(f"a block of NVFP4 has 16 numbers, got shape {x.shape}")
    if not tensor_scale > 0:
        raise ValueError(f"tensor_scale must be above 0, got {tensor_scale}")
    scale = float(E4M3[np.abs(E4M3 - np.abs(x).max() / 6 / tensor_scale).argmin()])
    return scale, fp4_codes(x, scale * tensor_scale)
    ### END SOLUTION


# %% tryit="quantize_mxfp4"
fp4_values = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6])
row = layer_w[:, 0]
mx = [quantize_mxfp4(block) for block in row.reshape(-1, 32)]
row_scale = np.abs(row).max() / (6 * 448)
nv = [quantize_nvfp4(block, row_scale) for block in row.reshape(-1, 16)]
back = {
    "MXFP4, 4.25 bits": np.concatenate([fp4_values[codes] * 2.0**e for e, codes in mx]),
    "NVFP4, 4.5 bits": np.concatenate([fp4_values[codes] * scale * row_scale for scale, codes in nv]),
    "int4 in groups of 32, 4.5 bits": fake_quantize(row[:, None], 4, 32)[:, 0],
    "int4 in groups of 16, 5 bits": fake_quantize(row[:, None], 4, 16)[:, 0],
}
for name, weights in back.items():
    print(f"{name:32} relative error {np.linalg.norm(weights - row) / np.linalg.norm(row):.3f}")


# %% test="quantize_mxfp4" points=2
def test_quantize_mxfp4():
    import numpy as np

    codes = fp4_codes(np.array([5.0, -0.2, 0.3, -2.6]), 1.0)
    assert codes is not None, "fp4_codes returned None: is there a return statement?"
    assert codes.dtype == np.uint8, f"codes should be uint8, they are {codes.dtype}"
    assert codes[0] != 7, "5 lies halfway between 4 and 6: it goes to the one nearer to zero"
    assert codes[1] != 8, "-0.2 becomes zero, whose code is 0: minus zero is not used"
    assert codes.tolist() == [6, 0, 1, 13], f"expected codes [6, 0, 1, 13], got {codes.tolist()}"
    codes = fp4_codes(np.array([5.0, -0.2, 0.3, -2.6]) / 8, 0.125)
    assert codes.tolist() == [6, 0, 1, 13], "numbers and scale an eighth as large have the same codes: use the scale"

    x = np.zeros(32)
    x[:3] = 5, -1.1, 0.1
    got = quantize_mxfp4(x)
    assert got is not None, "quantize_mxfp4 returned None: is there a return statement?"
    e, codes = got
    assert isinstance(e, int) and not isinstance(e, bool), f"e should be a Python int, it is a {type(e).__name__}"
    assert e != 2, "5 is 1.25 * 4, but the scale is not 4: E2M1's largest value has the exponent 2, take it off"
    assert (e, codes[:3].tolist()) == (0, [6, 10, 0]), f"expected e 0 and codes 6, 10, 0, got {e} and {codes[:3]}"
    e, codes = quantize_mxfp4(np.full(32, -7.9))
    assert (e, codes[0]) == (0, 15), f"-7.9 has the scale 1 and becomes -6, code 15: you returned {e} and {codes[0]}"
    assert quantize_mxfp4(np.zeros(32))[0] == -127, "a block of zeros has e = -127"

    got = quantize_nvfp4(x[:16])
    assert got is not None, "quantize_nvfp4 returned None: is there a return statement?"
    scale, codes = got
    assert scale == 0.8125, f"5 / 6 is nearest to 0.8125 among the E4M3 values, you returned {scale}"
    assert isinstance(scale, float), f"the scale should be a Python float, it is a {type(scale).__name__}"
    assert codes[:3].tolist() == [7, 11, 0], f"5 / 0.8125 is 6.15 and becomes 6: expected 7, 11, 0, got {codes[:3]}"
    for bad in (np.zeros(16), np.zeros((1, 32)), np.append(np.zeros(31), np.nan), np.append(np.zeros(31), -np.inf)):
        try:
            quantize_mxfp4(bad)
        except ValueError:
            continue
        raise AssertionError(f"a block of shape {bad.shape} with {bad.ravel()[-1]} was accepted: raise ValueError")
    for args in ((np.zeros(32),), (np.zeros(16), 0.0)):
        try:
            quantize_nvfp4(*args)
        except ValueError:
            continue
        raise AssertionError("32 numbers, or a tensor_scale of 0, were accepted by quantize_nvfp4: raise ValueError")


test_quantize_mxfp4()


# %% hidden="quantize_mxfp4" points=3
def hidden_quantize_mxfp4():
    import math

    import numpy as np

    values = [0, 0.5, 1, 1.5, 2, 3, 4, 6]

    def nearest(number, scale):
        best = min(range(8), key=lambda code: (abs(abs(number) - values[code] * scale), code))
        return best + 8 if number < 0 and best else best

    rng = np.random.default_rng(76)
    for scale in (1.0, 2.0**-9, 96.0, 0.4375):
        halves = [(a + b) / 2 for a, b in zip(values, values[1:], strict=False)]
        x = np.array([*values, *halves, *rng.normal(0, 3, 49)]) * scale
        x = np.concatenate([x, -x]).reshape(8, 16)
        kept = x.copy()
        codes = fp4_codes(x, scale)
        assert np.array_equal(x, kept), "your function changed x"
        assert codes.shape == x.shape, f"codes of shape {codes.shape} for numbers of shape {x.shape}"
        for number, code in zip(x.ravel(), codes.ravel(), strict=True):
            assert int(code) == nearest(number, scale), f"{number / scale} scales have another nearest code than {code}"
    assert fp4_codes(np.array([6.1, 1e9, -1e9]), 1.0).tolist() == [7, 7, 15], "beyond 6 everything becomes 6"

    for size in (1.0, 3e-5, 700.0, 2.0**-124, 2.0**-140):
        x = (rng.normal(size=32) * size).astype(np.float32)
        kept = x.copy()
        e, codes = quantize_mxfp4(x)
        assert np.array_equal(x, kept), "quantize_mxfp4 changed its block"
        exact = max(math.frexp(max(abs(float(v)) for v in x))[1] - 1 - 2, -127)
        assert e == exact, f"the block's exponent should be {exact}, you returned {e}: it is never below -127"
        assert codes.tolist() == [nearest(float(v), 2.0**exact) for v in x], "codes of a block of MXFP4 are wrong"
    for power in range(-6, 7):
        e, codes = quantize_mxfp4(np.full(32, 2.0**power))
        assert (e, int(codes[0])) == (power - 2, 6), "a block of equal powers of two: each becomes 4 scales, code 6"
    x = np.zeros(32)
    x[31] = -24.0
    e, codes = quantize_mxfp4(x)
    assert (e, int(codes[31])) == (2, 15), "the largest number may be negative and may stand anywhere in the block"
    assert not quantize_mxfp4(np.zeros(32))[1].any(), "a block of zeros has codes 0"

    table = np.array([(m / 8 + (e > 0)) * 2.0 ** (max(e, 1) - 7) for e in range(16) for m in range(8)][:127])
    for size, tensor_scale in ((1.0, 1.0), (1e-4, 1e-6), (300.0, 1.0), (50.0, 0.02), (1e5, 1.0)):
        x = rng.normal(size=16) * size
        scale, codes = quantize_nvfp4(x, tensor_scale)
        wanted = max(abs(float(v)) for v in x) / 6 / tensor_scale
        exact = min(table.tolist(), key=lambda value: abs(value - wanted))
        assert scale == exact, f"the scale nearest to {wanted} is {exact}, you returned {scale}"
        assert codes.tolist() == [nearest(float(v), exact * tensor_scale) for v in x], (
            f"codes of a block of NVFP4 are wrong with the tensor scale {tensor_scale}"
        )
        scale, codes = quantize_nvfp4(-np.abs(x), tensor_scale)
        assert scale == exact, "a block of negative numbers has the scale of its largest magnitude"
        assert codes.dtype == np.uint8, f"codes should be uint8, they are {codes.dtype}"
    scale, codes = quantize_nvfp4(np.full(16, 1e-9))
    assert scale == 0 and codes.tolist() == [0] * 16, "a scale that rounds to 0 has codes 0"
    for bad in ((np.zeros(17),), (np.zeros((16, 1)),), (np.zeros(16), -1.0)):
        try:
            quantize_nvfp4(*bad)
        except ValueError:
            continue
        raise AssertionError("a wrong shape or a negative tensor_scale was accepted by quantize_nvfp4")
    for bad in (np.zeros(31), np.append(np.zeros(31), np.inf), np.zeros((32, 1))):
        try:
            quantize_mxfp4(bad)
        except ValueError:
            continue
        raise AssertionError("a wrong shape or infinity was accepted by quantize_mxfp4")


hidden_quantize_mxfp4()

# %% [markdown] task="awq_scale_search" stars=3 minutes=35
# ## 7. AWQ: look at the activations
#
# The weights are not what we want to keep; the layer's **output** is. A weight error in an input channel is multiplied by that channel's activation, and a few channels carry activations many times larger than the rest. AWQ (Lin et al. 2023, [arXiv:2306.00978](https://arxiv.org/abs/2306.00978), section 3.2) therefore scales up the rows of $W$ that meet large activations, before rounding, and scales down those activations by the same factor:
#
# $$x W = \left(\frac{x}{s}\right) \left(\operatorname{diag}(s)\, W\right) \approx \left(\frac{x}{s}\right) Q\!\left(\operatorname{diag}(s)\, W\right)$$
#
# Write `awq_scale_search(w, x, bits, group_size)`, which returns the best `s`, a float array `[in]`. `w` is `[in, out]`, `x` is `[N, in]` (calibration activations), $Q$ is the engine's `fake_quantize`, which rounds and gives float32 back. The candidates are, for $\alpha = 0, 0.05, 0.10, \dots, 1$ (21 of them):
#
# $$a_i = \max\!\left(\tfrac{1}{N} \sum_n |x_{ni}|,\ 10^{-4}\right), \qquad s_i = a_i^{\alpha}, \qquad s \leftarrow \frac{s}{\sqrt{\max(s) \cdot \min(s)}}$$
#
# The best is the one with the smallest output error $\lVert x W - (x / s)\, Q(\operatorname{diag}(s) W) \rVert_F$. Since $\alpha = 0$ is plain rounding, the answer is never worse than that on the given data.
#
# Example: activations with means `[100, 1]` and $\alpha = 0.5$: $s = [10, 1]$, divided by $\sqrt{10}$: `[3.16, 0.316]`.
#
# An `x` whose width is not `in` raises `ValueError`, and the message names that width; the product $xW$ does this by itself.
#
# <details><summary>Hint 1</summary>
#
# A loop over α with the best so far. The reference output $xW$ is computed once. Which axis of `w` does `s` belong to?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `w * s[:, None]` scales the rows. The error must be that of the whole detour: the scaled, rounded weights met by the *divided* activations.
#
# </details>


# %% solution="awq_scale_search"
def awq_scale_search(w, x, bits, group_size):
    """The per-input scales that lose least of a layer's output when the scaled weights are rounded.

    w: float [in, out]. x: float [N, in], calibration activations. bits, group_size: as for fake_quantize.
    Returns s, float [in], positive; the layer then computes (x / s) @ fake_quantize(w * s[:, None], bits, group_size).
    Raises ValueError when x does not have `in` columns.
    """
    ### BEGIN SOLUTION
    exact = x @ w
    size = np.maximum(np.abs(x).mean(axis=0), 1e-4)
    best, best_error = None, np.inf
    for alpha in np.arange(21) / 20:
        s = size**alpha
        s = s / np.sqrt(s.max() * s.min())
        error = np.linalg.norm(exact - (x / s) @ fake_quantize(w * s[:, None], bits, group_size))
        if error < best_error:
            best, best_error = s, error
    return best
    ### END SOLUTION


# %% tryit="awq_scale_search"
s = awq_scale_search(layer_w, layer_x, 4, 64)
y = layer_x @ layer_w
for label, scales in (("plain rounding", np.ones(256)), ("AWQ", s)):
    w_hat = fake_quantize(layer_w * scales[:, None], 4, 64) / scales[:, None]
    w_error = np.linalg.norm(w_hat - layer_w) / np.linalg.norm(layer_w)
    print(
        f"{label:15} weight error {w_error:.3f}, output error {np.linalg.norm(layer_x @ w_hat - y) / np.linalg.norm(y):.3f}"
    )


# %% test="awq_scale_search" points=2
def test_awq_scale_search():
    import numpy as np

    from mini_engine.quant.arrays import fake_quantize

    rng = np.random.default_rng(10)
    w = rng.normal(size=(128, 32)).astype(np.float32)
    x = rng.normal(size=(96, 128)).astype(np.float32)
    x[:, [5, 50, 90]] *= 40
    kept_w, kept_x = w.copy(), x.copy()
    s = awq_scale_search(w, x, 4, 32)
    assert s is not None, "awq_scale_search returned None: is there a return statement?"
    assert np.array_equal(w, kept_w) and np.array_equal(x, kept_x), "your function changed its inputs"
    s = np.asarray(s)
    assert s.shape == (128,), f"one scale for each of the 128 inputs: expected shape (128,), got {s.shape}"
    assert np.isfinite(s).all() and (s > 0).all(), "scales must be positive and finite"

    def output_error(scales):
        w_hat = fake_quantize(w * scales[:, None], 4, 32)
        return float(np.linalg.norm(x @ w - (x / scales) @ w_hat))

    plain, found = output_error(np.ones(128)), output_error(s)
    assert found != plain, (
        "your scales are as good as plain rounding: the search found alpha = 0 best. "
        "Is the error that of x / s with the scaled weights (and not of x itself)?"
    )
    assert found < 0.6 * plain, (
        f"output error {found:.1f}, plain rounding has {plain:.1f}: well under 0.6 of it is possible here"
    )
    try:
        awq_scale_search(w, x[:, :63], 4, 32)
    except ValueError as error:
        assert "63" in str(error), f"say in the message that x has 63 columns; it says: {error}"
    else:
        raise AssertionError("x of width 63 for 128 inputs was accepted: raise ValueError")


test_awq_scale_search()


# %% hidden="awq_scale_search" points=3
def hidden_awq_scale_search():
    import numpy as np

    from mini_engine.quant.arrays import fake_quantize

    rng = np.random.default_rng(80)
    for trial in range(8):
        bits, group = (3, 16) if trial % 2 else (4, 8)
        w = (rng.standard_t(4, (48, 12)) * 0.1).astype(np.float32)
        x = rng.normal(size=(40, 48)).astype(np.float32)
        if trial == 6:  # numbers that float32 holds and float16 does not
            bits, w, x = 8, 2e5 * w, 1e5 * x
        x[:, rng.integers(0, 48, 3)] *= float(rng.uniform(5, 60))
        if trial == 3:
            x[:, 7] = 0
        if trial == 4:
            x = np.abs(x)
            x[:20] *= -1
        if trial == 7:  # means a little above the least one
            x *= 3e-4
        errors, candidates = [], []
        for step in range(21):
            mean = [max(sum(abs(float(v)) for v in x[:, i]) / 40, 1e-4) for i in range(48)]
            raw = [m ** (step / 20) for m in mean]
            middle = (max(raw) * min(raw)) ** 0.5
            scale = np.array([r / middle for r in raw])
            candidates.append(scale)
            errors.append(float(np.linalg.norm(x @ w - (x / scale) @ fake_quantize(w * scale[:, None], bits, group))))
        s = np.asarray(awq_scale_search(w.copy(), x.copy(), bits, group), dtype=float)
        assert s.shape == (48,) and np.isfinite(s).all() and (s > 0).all(), "48 positive, finite scales are expected"
        found = float(np.linalg.norm(x @ w - (x / s) @ fake_quantize(w * s[:, None], bits, group)))
        assert found <= 1.002 * min(errors), (
            f"your scales leave the output error {found:.4f}; the best of the 21 leaves {min(errors):.4f}"
        )
        assert abs(s.max() * s.min() - 1) < 1e-5, (
            f"divide s by the root of max * min: yours has max * min = {s.max() * s.min():.3g}"
        )
        assert any(np.allclose(s, each, rtol=1e-3) for each in candidates), (
            "your scales are none of the 21 candidates: the mean is at least 1e-4 before it is raised to alpha"
        )
    # data on which alpha = 1, the last of the grid, is best
    rng = np.random.default_rng(113)
    w = rng.normal(size=(16, 4)).astype(np.float32)
    x = rng.normal(size=(12, 16)).astype(np.float32)
    x[:, 3] *= float(rng.uniform(2, 8))
    x *= np.linspace(0.3, 1, 16)[None]
    last = np.abs(x).mean(0) / np.sqrt(np.abs(x).mean(0).max() * np.abs(x).mean(0).min())
    s = np.asarray(awq_scale_search(w.copy(), x.copy(), 3, 8), dtype=float)
    errors = [float(np.linalg.norm(x @ w - (x / t) @ fake_quantize(w * t[:, None], 3, 8))) for t in (s, last)]
    assert errors[0] <= 1.002 * errors[1], (
        f"alpha = 1 leaves the output error {errors[1]:.4f}, your scales {errors[0]:.4f}: the grid ends at 1"
    )
    for bad in (np.ones((3, 7)), np.ones((3, 9))):
        try:
            awq_scale_search(np.ones((8, 2)), bad, 4, 4)
        except ValueError:
            continue
        raise AssertionError(f"x of width {bad.shape[1]} for 8 inputs was accepted")


hidden_awq_scale_search()

# %% [markdown] task="gptq_quantize" stars=4 minutes=50
# ## 8. GPTQ: let the later weights repair the error
#
# Plain rounding treats every weight by itself. But the inputs of a layer are correlated, so an error made in one row of $W$ can be repaired, in part, by changing rows that are not rounded yet. GPTQ (Frantar et al. 2022, [arXiv:2210.17323](https://arxiv.org/abs/2210.17323), section 3 and algorithm 1) goes through the inputs one by one, rounds that input's row, and moves what was lost into the rows behind it. How much goes where follows from $H = X^\top X$, the second derivative of the output error.
#
# Write `gptq_quantize(w, x, bits, group_size, damp=0.01)`, which returns `(q, scales)` in the symmetric form of exercise 2. In our `[in, out]` layout the paper's columns are rows:
#
# 1. $H = X^\top X$ in float64. An input that is never active ($H_{ii} = 0$) gets $H_{ii} = 1$. Then damping: add $\text{damp} \cdot \text{mean}(\operatorname{diag} H)$ to the diagonal.
# 2. $U$ = the **upper** triangular Cholesky factor of $H^{-1}$: $H^{-1} = U^\top U$ (`np.linalg.cholesky` gives the lower factor; transpose it).
# 3. For $i = 0 \dots \text{in} - 1$:
#     - At the first row of a group, compute the group's `scales` from its rows **as they are now** (float16, as in exercise 2, 1 for an all-zero group).
#     - $q_i$ = row $i$ rounded to the steps of its scales and clipped.
#     - $e = (w_i - q_i \cdot \text{scale}) / U_{ii}$, then $w_j \leftarrow w_j - U_{ij}\, e$ for all $j > i$.
#
# `x` is `[N, in]`; `w` may hold integers, and stays as it is. An `x` of another width raises `ValueError` with that width in the message. The answer has a *larger* weight error than rounding and a *smaller* output error.
#
# Example: $W = [[0.4], [0.4]]$, two inputs that are always equal, and the scale 1. Rounding gives 0 and 0: the output is 0 instead of 0.8. GPTQ rounds the first to 0, hands its 0.4 to the second, which is now 0.8 and becomes 1.
#
# <details><summary>Hint 1</summary>
#
# Work on a float64 copy of `w`. Without step 3's last line you have plain rounding; get that to work first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.linalg.cholesky(np.linalg.inv(H)).T` is $U$. The update of all rows behind `i` is one outer product of `U[i, i+1:]` and `e`.
#
# </details>


# %% solution="gptq_quantize"
def gptq_quantize(w, x, bits, group_size, damp=0.01):
    """Symmetric integers chosen input by input, each row's rounding error moved into the rows behind it.

    w: float [in, out]. x: float [N, in], calibration activations. bits: 2 to 8. group_size divides in.
    damp: share of H's mean diagonal that is added to its diagonal, >= 0.
    Returns (q, scales): int8 [in, out] and float16 [in / group_size, out]. Raises ValueError for sizes that do not fit
    and for a negative damp, with the value in the message.
    """
    ### BEGIN SOLUTION
    num_in, num_out = w.shape
    if not 2 <= bits <= 8:
        raise ValueError(f"bits must be between 2 and 8, got {bits}")
    if group_size < 1 or num_in % group_size:
        raise ValueError(f"group_size={group_size} does not divide {num_in} inputs")
    if x.shape[-1] != num_in or damp < 0:
        raise ValueError(f"x has {x.shape[-1]} columns for {num_in} inputs, damp is {damp}")
    w, x = np.array(w, dtype=np.float64), np.asarray(x, dtype=np.float64)
    hessian = x.T @ x
    diagonal = np.einsum("ii->i", hessian)
    diagonal[diagonal == 0] = 1
    diagonal += damp * diagonal.mean()
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    last = 2 ** (bits - 1) - 1
    q = np.empty((num_in, num_out), dtype=np.int8)
    scales = np.empty((num_in // group_size, num_out), dtype=np.float16)
    for i in range(num_in):
        group = i // group_size
        if i % group_size == 0:
            scales[group] = np.abs(w[i : i + group_size]).max(axis=0) / last
            scales[group][scales[group] == 0] = 1
        steps = scales[group].astype(np.float64)
        q[i] = np.clip(np.rint(w[i] / steps), -last, last)
        error = (w[i] - q[i] * steps) / upper[i, i]
        w[i + 1 :] -= np.outer(upper[i, i + 1 :], error)
    return q, scales
    ### END SOLUTION


# %% tryit="gptq_quantize"
q, scales = gptq_quantize(layer_w, layer_x, 4, 64)
for label, w_hat in (("plain rounding", fake_quantize(layer_w, 4, 64)), ("GPTQ", dequantize(q, scales))):
    w_error = np.linalg.norm(w_hat - layer_w) / np.linalg.norm(layer_w)
    print(
        f"{label:15} weight error {w_error:.3f}, output error {np.linalg.norm(layer_x @ w_hat - y) / np.linalg.norm(y):.3f}"
    )


# %% test="gptq_quantize" points=2
def test_gptq_quantize():
    import numpy as np

    from mini_engine.quant.arrays import fake_quantize

    w = np.array([[0.4, 3.0], [0.4, 3.0], [7.0, 7.0]])
    base = np.array([1.0, -2.0, 0.5, 1.5])
    x = np.stack([base, base, np.array([0.0, 0.0, 0.0, 1e-3])], axis=1)
    answer = gptq_quantize(w, x, 4, 3)
    assert answer is not None, "gptq_quantize returned None: is there a return statement?"
    q, scales = answer
    assert scales.dtype == np.float16 and scales.tolist() == [[1, 1]], (
        f"the largest weight is 7 = 7 steps of 1, your scales are {scales}"
    )
    assert q.dtype == np.int8, f"q should be int8, it is {q.dtype}"
    assert q[:2, 0].tolist() != [0, 0], "0.4 and 0.4 became 0 and 0: hand the first row's error to the rows behind it"
    assert q[:2].tolist() == [[0, 3], [1, 3]], (
        f"two equal inputs: 0.4 + 0.4 should become 0 and 1, and 3, 3 stay; got {q[:2].tolist()}"
    )
    rng = np.random.default_rng(11)
    w = rng.normal(size=(96, 24))
    x = rng.normal(size=(160, 12)) @ rng.normal(size=(12, 96)) + 0.3 * rng.normal(size=(160, 96))
    kept_w, kept_x = w.copy(), x.copy()
    q, scales = gptq_quantize(w, x, 4, 32)
    assert np.array_equal(w, kept_w) and np.array_equal(x, kept_x), "your function changed its inputs: work on a copy"
    assert q.shape == (96, 24) and scales.shape == (3, 24), (
        f"96 inputs in groups of 32: shapes {q.shape}, {scales.shape}"
    )
    w_hat = q * scales.astype(float).repeat(32, 0)
    plain = float(np.linalg.norm(x @ (w - fake_quantize(w, 4, 32))))
    found = float(np.linalg.norm(x @ (w - w_hat)))
    assert found < 0.6 * plain, (
        f"output error {found:.1f}; plain rounding has {plain:.1f}, and GPTQ should halve it here"
    )
    for args, value in (
        ((w, x[:, :50], 4, 32), "50"),
        ((w, x, 4, 36), "36"),
        ((w, x, 4, 32, -0.1), "-0.1"),
        ((w, x, 1, 32), "1"),
    ):
        try:
            gptq_quantize(*args)
        except ValueError as error:
            assert value in str(error), f"the ValueError should name the bad value {value}, it says: {error}"
            continue
        raise AssertionError(
            f"x {args[1].shape}, bits and group {args[2:]} were accepted for w (96, 24): raise ValueError"
        )


test_gptq_quantize()


# %% hidden="gptq_quantize" points=4
def hidden_gptq_quantize():
    import numpy as np

    def slow_gptq(w, x, bits, group, damp):
        # From the definition: after each row, solve for the best change of all rows behind it, with a fresh inverse.
        w, last = w.astype(float).copy(), 2 ** (bits - 1) - 1
        h = np.zeros((len(w), len(w)))
        for row in x.astype(float):
            h += np.outer(row, row)
        for i in range(len(w)):
            h[i, i] = h[i, i] or 1.0
        h += np.eye(len(w)) * damp * np.trace(h) / len(w)
        q, scales = np.zeros(w.shape), []
        for i in range(len(w)):
            if i % group == 0:
                top = np.abs(w[i : i + group]).max(0) / last
                scales.append(np.where(top.astype(np.float16) == 0, 1, top).astype(np.float16))
            step = scales[-1].astype(float)
            q[i] = np.minimum(np.maximum(np.round(w[i] / step), -last), last)
            rest = np.linalg.inv(h[i:, i:])
            w[i:] -= np.outer(rest[:, 0] / rest[0, 0], w[i] - q[i] * step)
        return q, np.array(scales)

    rng = np.random.default_rng(81)
    for trial in range(6):
        bits, group = ((4, 8), (3, 24), (8, 4), (2, 12), (4, 24), (4, 6))[trial]
        damp = (0.01, 0.1, 0.0, 0.01, 1.0, 0.01)[trial]
        w = (rng.normal(size=(24, 5)) * 0.2).astype(np.float32)
        x = (rng.normal(size=(60, 24)) @ rng.normal(size=(24, 24))).astype(np.float32)
        if trial == 3:
            x[:, 10] = 0
            w[12:, 2] = 0
        exact_q, exact_scales = slow_gptq(w, x, bits, group, damp)
        q, scales = gptq_quantize(w, x, bits, group, damp)
        assert q.dtype == np.int8 and scales.dtype == np.float16, (
            f"expected int8 and float16, got {q.dtype} and {scales.dtype}"
        )
        assert int(np.abs(q.astype(int)).max()) < 2 ** (bits - 1), (
            f"{bits} bits: a step of {np.abs(q.astype(int)).max()} does not fit"
        )
        # a value on the very edge between two steps may fall to either side, and what follows with it
        same = float(np.mean(q == exact_q))
        assert same > 0.97, (
            f"{bits} bits, groups of {group}, damp {damp}: only {same:.0%} of the integers are those of the definition"
        )
        np.testing.assert_allclose(
            scales.astype(float),
            exact_scales.astype(float),
            rtol=0.02,
            err_msg="scales come from the rows as they are when the group begins",
        )
    default, explicit = gptq_quantize(w, x, 4, 6), gptq_quantize(w, x, 4, 6, 0.01)
    assert np.array_equal(default[0], explicit[0]), "the default of damp is 0.01"
    q, scales = gptq_quantize(np.zeros((4, 2)), np.ones((3, 4)), 4, 2)
    assert not q.any() and np.isfinite(scales).all() and (scales > 0).all(), (
        f"weights of zero stay zero with scales above 0, got {scales}"
    )
    q, scales = gptq_quantize(w[:6], x[:, :6], 4, 1)
    assert (np.abs(q.astype(int)) == 7).all(), "in groups of one every weight is the largest of its group: 7 steps"
    # two inputs equal to 1 part in 100000: X'X needs float64 to tell them apart
    twin = rng.normal(size=(40, 8)).astype(np.float32)
    twin[:, 5] = twin[:, 2] * (1 + 1e-5 * rng.normal(size=40))
    small = (rng.normal(size=(8, 3)) * 0.3).astype(np.float32)
    same = np.mean(gptq_quantize(small, twin, 4, 8, 0)[0] == slow_gptq(small, twin, 4, 8, 0)[0])
    assert same > 0.9, "inputs that are nearly equal came out wrong: compute X'X and its inverse in float64"
    q, scales = gptq_quantize(np.ones((4, 2), np.float32), np.zeros((3, 4)), 4, 4)
    assert q.tolist() == [[7, 7]] * 4, "with activations of zero nothing is moved: ones in 4 bits are 7 steps of 1/7"
    # weights on the steps already: nothing is lost, so nothing moves
    grid = rng.integers(-7, 8, (12, 3)).astype(float)
    grid[0], grid[6] = 7, -7
    q, scales = gptq_quantize(grid, rng.normal(size=(30, 12)), 4, 6)
    assert np.array_equal(gptq_quantize(grid.astype(int), np.eye(12), 4, 6)[0], grid), "integer weights must work too"
    assert np.array_equal(q, grid) and (scales == 1).all(), "weights that lie on the steps must come back as they are"
    whole, x = rng.integers(-50, 51, (12, 3)), rng.normal(size=(30, 12)) @ rng.normal(size=(12, 12))
    same = np.array_equal(gptq_quantize(whole, x, 4, 6)[0], gptq_quantize(whole.astype(float), x, 4, 6)[0])
    assert same, "integer weights: what is moved into the rows behind is no integer"
    x = rng.normal(size=(30, 12))
    message = "weights up to 140000, steps of 20000: float16 holds the scales, not the weights"
    assert np.array_equal(gptq_quantize(20_000 * grid, x, 4, 6)[0], grid), message
    message = "the same shapes with the other signs must give the other signs"
    assert np.array_equal(gptq_quantize(-20_000 * grid, x, 4, 6)[0], -grid), message
    for args in (
        (grid, np.ones((3, 11)), 4, 6),
        (grid, np.ones((3, 13)), 4, 6),
        (grid, np.ones((3, 12)), 9, 6),
        (grid, np.ones((3, 12)), 4, 5),
        (grid, np.ones((3, 12)), 4, 0),
        (grid, np.ones((3, 12)), 4, -6),
        (grid, np.ones((3, 12)), 4, 6, -1e-9),
    ):
        try:
            gptq_quantize(*args)
        except ValueError:
            continue
        raise AssertionError(f"x {args[1].shape}, bits, group and damp {args[2:]} were accepted for w (12, 3)")
    # small activations: the 1 of an input that is never active is most of the mean that damps
    w, x = rng.normal(size=(24, 5)), 0.01 * (rng.normal(size=(60, 24)) @ rng.normal(size=(24, 24)))
    x[:, ::4] = 0
    same = float(np.mean(gptq_quantize(w, x, 4, 8, 0.3)[0] == slow_gptq(w, x, 4, 8, 0.3)[0]))
    assert same > 0.97, "the mean that damps is that of the diagonal after an input that is never active got its 1"


hidden_gptq_quantize()

# %% [markdown] task="gptq_against_awq" stars=2 minutes=10
# ## 9. GPTQ against AWQ
#
# Both need a calibration text, and both produce an ordinary file of 4-bit integers and scales. Where do they differ? Write `gptq_against_awq()`: it returns a dictionary with these seven keys, each with the value `"gptq"`, `"awq"`, `"both"` or `"neither"`:
#
# | key | the statement |
# |---|---|
# | `runs_the_model_on_text` | needs activations from running the model on a calibration text |
# | `trains_by_backpropagation` | computes gradients of the loss by backpropagation |
# | `moves_error_to_later_weights` | changes weights that are still float to make up for those already rounded |
# | `rescales_input_channels` | multiplies rows of the weights and divides the activations by the same factors before rounding |
# | `uses_input_correlations` | uses how inputs vary *together*, not only how large each one is |
# | `may_raise_weight_error` | can end with weights further from the originals than plain rounding, on purpose |
# | `needs_more_bytes_per_weight` | stores more bits per weight than plain rounding with the same groups |
#
# The factors of AWQ are folded into the layer before (a norm's gain, for example), so they cost no bytes in the file.
#
# <details><summary>Hint 1</summary>
#
# Your functions of exercises 7 and 8 are the two methods: look at which lines use `x`, and for what. The try-it cells printed both errors.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One uses the mean of |x| for each input by itself; the other uses the matrix $X^\top X$, whose off-diagonal entries say how two inputs go together.
#
# </details>


# %% solution="gptq_against_awq"
def gptq_against_awq():
    """Which of the two methods each statement is true of.

    Returns a dict with the seven keys of the table above, each "gptq", "awq", "both" or "neither".
    """
    ### BEGIN SOLUTION
    return {
        "runs_the_model_on_text": "both",
        "trains_by_backpropagation": "neither",
        "moves_error_to_later_weights": "gptq",
        "rescales_input_channels": "awq",
        "uses_input_correlations": "gptq",
        "may_raise_weight_error": "both",
        "needs_more_bytes_per_weight": "neither",
    }
    ### END SOLUTION


# %% tryit="gptq_against_awq"
for statement, method in gptq_against_awq().items():
    print(f"{statement:30} {method}")


# %% test="gptq_against_awq" points=1
def test_gptq_against_awq():
    got = gptq_against_awq()
    assert got is not None, "gptq_against_awq returned None: is there a return statement?"
    keys = {
        "runs_the_model_on_text",
        "trains_by_backpropagation",
        "moves_error_to_later_weights",
        "rescales_input_channels",
        "uses_input_correlations",
        "may_raise_weight_error",
        "needs_more_bytes_per_weight",
    }
    assert set(got) == keys, f"missing or unknown keys: {sorted(keys ^ set(got))}"
    for key, value in got.items():
        assert value in ("gptq", "awq", "both", "neither"), f"{key}: {value!r} is none of gptq, awq, both, neither"
    assert got["moves_error_to_later_weights"] == "gptq", "handing the error on is what step 3 of exercise 8 does"


test_gptq_against_awq()


# %% hidden="gptq_against_awq" points=2
def hidden_gptq_against_awq():
    got = gptq_against_awq()
    why = {
        "runs_the_model_on_text": ("both", "both functions take x, activations of a calibration text"),
        "trains_by_backpropagation": (
            "neither",
            "both look at one layer's output at a time; no gradient of the loss is taken",
        ),
        "rescales_input_channels": ("awq", "the s of exercise 7 multiplies rows and divides activations"),
        "uses_input_correlations": (
            "gptq",
            "H = X'X holds products of different inputs; AWQ uses one mean for each input",
        ),
        "may_raise_weight_error": ("both", "both trade weight error for output error, as the try-it cells print"),
        "needs_more_bytes_per_weight": ("neither", "both end in the same integers and scales as rounding"),
    }
    for key, (value, reason) in why.items():
        assert got[key] == value, f"{key}: {reason}"


hidden_gptq_against_awq()

# %% [markdown] answer="gptq_against_awq" points=3
# ### In your own words: GPTQ against AWQ
#
# In at most 150 words: what does each of the two minimise and with what means, what does each need, and when would you try which? Say also why a lower weight error is not the aim.
#
# ### BEGIN SOLUTION
# **Rubric (3 points).** 1: both minimise the error of the layer's *output* on calibration activations, not the error of the weights. 1: the means: GPTQ rounds input by input and corrects the weights not yet rounded through the inverse of $H = X^\top X$; AWQ rescales input channels by a power of their mean activation, found by a grid search, and then rounds plainly. 1: a reasoned choice.
#
# **Model answer.** Both want the layer's output $xW$ unchanged on a calibration text; a weight that meets no activation may be wrong for free, so weight error is the wrong aim, and both raise it. GPTQ goes through the inputs one after the other and lets the remaining float weights make up for each rounding error, using the correlations in $X^\top X$: it needs a matrix inverse for each layer and can fit itself to the calibration text. AWQ protects the few input channels with large activations by scaling their weights up before rounding, which costs a search over 21 numbers, needs only the mean activation of each channel and fits itself less to the text. I would try AWQ first at 4 bits for a chat model; GPTQ where bits are fewer, or a kernel wants its layout; and compare both on my own text, by KL divergence.
# ### END SOLUTION

# %% [markdown] task="perplexity" stars=2 minutes=20
# ## 10. Perplexity
#
# Perplexity is the exponential of the mean surprise: with perplexity 20 the model is on average as unsure as if it had to choose among 20 equally likely tokens.
#
# $$\text{ppl} = \exp\!\left(-\frac{1}{N} \sum_{i=1}^{N} \ln p_i(\text{target}_i)\right), \qquad \ln p_i(t) = z_{it} - \ln \sum_v e^{z_{iv}}$$
#
# Write `perplexity(logits, targets)`. `logits` $z$ is `[N, V]`, `targets` `[N]` holds for each row the id of the token that really came next. Natural logarithm and natural exponential. Compute in float64, and take the row's maximum out of the exponentials: logits of 10000 must not overflow. A target outside 0..V−1 raises `IndexError`.
#
# Example: logits `[[0, 0, 0, 0]]` are four equal chances, perplexity 4, whatever the target. `[[ln 3, 0]]` gives the first token $3/4$: perplexity $4/3$ for target 0, and 4 for target 1.
#
# **Of a text.** A model run over the ids of a text gives one row of logits for each id: row $i$ is the prediction of what comes **after** id $i$. Write `text_perplexity(logits, token_ids)`: `logits` `[N, V]` and `token_ids` `[N]` have the same length, as the model gives them. Line them up and return the perplexity of the text. The last row predicts a token that is not in the text, and the first token is predicted by no row: N ids give N − 1 predictions.
#
# Example: `token_ids = [0, 1, 1]`; row 0 should have predicted 1, row 1 should have predicted 1, row 2 is not used.
#
# <details><summary>Hint 1</summary>
#
# $\ln \sum e^{z} = m + \ln \sum e^{z - m}$ for any $m$; with $m$ the maximum nothing overflows. Do not take the logarithm of a softmax: a probability of 0 has none. For the text: without the shift you ask how well row $i$ predicts the token it has just read.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `z[np.arange(N), targets]` picks one logit from each row. Mean first, exponential last. For the text, drop one row at one end and one id at the other.
#
# </details>


# %% solution="perplexity"
def perplexity(logits, targets):
    """exp of the mean negative log-probability (nats) of the targets.

    logits: float [N, V]. targets: int [N]; targets[i] is the token that row i should have predicted.
    Returns a float, at least 1. Raises ValueError, with the counts, for no rows or unequal counts, and
    IndexError for ids outside 0..V-1.
    """
    ### BEGIN SOLUTION
    logits, targets = np.asarray(logits, dtype=np.float64), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows of logits and {len(targets)} targets")
    if targets.min() < 0:
        raise IndexError(f"targets must lie in 0..{logits.shape[1] - 1}, got {targets.min()}")
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_sum = np.log(np.exp(shifted).sum(axis=1))
    return np.exp((log_sum - shifted[np.arange(len(targets)), targets]).mean())
    ### END SOLUTION


def text_perplexity(logits, token_ids):
    """Perplexity of a text: row i of the logits predicts token_ids[i + 1].

    logits: float [N, V]. token_ids: int [N], N >= 2. Returns a float.
    Raises ValueError for fewer than two ids or unequal lengths.
    """
    ### BEGIN SOLUTION
    return perplexity(logits[:-1], token_ids[1:])
    ### END SOLUTION


# %% tryit="perplexity"
print(perplexity(np.zeros((1, 4)), [2]), perplexity(np.log([[3.0, 1.0]]), [0]), perplexity(np.log([[3.0, 1.0]]), [1]))
sure_of_one = np.array([[0.0, 5.0], [0.0, 5.0], [0.0, 5.0]])
print(text_perplexity(sure_of_one, [0, 1, 1]), text_perplexity(sure_of_one, [1, 1, 0]))


# %% test="perplexity" points=2
def test_perplexity():
    import numpy as np

    got = perplexity(np.zeros((3, 4)), np.array([0, 3, 1]))
    assert got is not None, "perplexity returned None: is there a return statement?"
    assert abs(got - 4) < 1e-9, f"four equal chances have perplexity 4, you returned {got}"
    logits = np.log([[3.0, 1.0], [3.0, 1.0]])
    got = perplexity(logits, np.array([0, 1]))
    assert abs(got - 2.309401) < 1e-5, (
        f"probabilities 3/4 and 1/4 give exp(mean(ln 4/3, ln 4)) = 2.3094, you returned {got:.4f} "
        "(1.829 or 3.345: log2 and exp do not go together; 2.667: the mean of 1/p)"
    )
    got = perplexity(np.array([[1e4, 0.0], [0.0, 1e4]]), np.array([0, 1]))
    assert got == 1, (
        f"two certain predictions have perplexity 1, you returned {got}: take the maximum out of the exponentials"
    )
    for targets, error in (([0], ValueError), ([0, 2], IndexError), ([0, -1], IndexError)):
        try:
            perplexity(logits, np.array(targets))
        except error:
            continue
        raise AssertionError(f"targets {targets} for logits (2, 2) were accepted: raise {error.__name__}")

    logits = np.log(np.array([[1.0, 3.0], [1.0, 7.0], [9.0, 1.0]]))
    got = text_perplexity(logits, np.array([0, 1, 1]))
    assert got is not None, "text_perplexity returned None: is there a return statement?"
    exact = (3 / 4 * 7 / 8) ** -0.5
    assert abs(got - exact) < 1e-9, (
        f"row 0 gives the next id 1 a chance of 3/4, row 1 gives it 7/8: perplexity {exact:.4f}, you returned {got:.4f} "
        "(3.1243: no shift, each row was asked for the token it had just read)"
    )
    for logits, ids in ((np.zeros((1, 2)), [0]), (np.zeros((2, 2)), [0, 1, 1])):
        try:
            text_perplexity(logits, np.array(ids))
        except ValueError:
            continue
        raise AssertionError(f"{len(ids)} ids with logits {logits.shape} were accepted: raise ValueError")


test_perplexity()


# %% hidden="perplexity" points=3
def hidden_perplexity():
    import math

    import numpy as np

    rng = np.random.default_rng(82)
    for _ in range(10):
        rows, vocab = int(rng.integers(1, 9)), int(rng.integers(2, 30))
        logits = (rng.normal(size=(rows, vocab)) * 5).astype(np.float32)
        targets = rng.integers(0, vocab, rows)
        kept = logits.copy()
        surprise = 0.0
        for z, t in zip(logits.tolist(), targets.tolist(), strict=True):
            surprise += math.log(math.fsum(math.exp(v - z[t]) for v in z))
        got = perplexity(logits, targets)
        assert np.array_equal(logits, kept), "your function changed the logits"
        assert abs(got / math.exp(surprise / rows) - 1) < 1e-9, (
            f"expected {math.exp(surprise / rows)}, you returned {got}"
        )
        moved = perplexity(logits.astype(float) + 1e6, targets)
        assert abs(moved / got - 1) < 1e-6, "the same number added to all logits must change nothing"
    got = perplexity([[0.0, -1000.0], [0.0, -1000.0]], [1, 0])
    assert abs(got / math.exp(500) - 1) < 1e-9, (
        f"a chance of e**-1000 has a logarithm, do not compute it through the chance: got {got}"
    )
    assert isinstance(perplexity(np.zeros((2, 3), np.float32), [1, 2]), float), "return a float"
    got = perplexity([[1e4, 0.0], [0.0, 1.0]], [0, 1])
    assert abs(got / (1 + math.exp(-1)) ** 0.5 - 1) < 1e-9, (
        f"take each row's own maximum out: rows of 10000 and 1 gave {got}"
    )
    # 2000 float32 rows: means in float32 would be off by more than this
    logits = np.tile(np.array([[8.0, 0.1, 0.2]], np.float32), (2000, 1))
    exact = 1 + math.exp(float(np.float32(0.1)) - 8) + math.exp(float(np.float32(0.2)) - 8)
    assert abs(perplexity(logits, np.zeros(2000, int)) - exact) < 1e-9, "compute in float64"
    for logits, targets, error in (
        (np.zeros((0, 3)), [], ValueError),
        (np.zeros((2, 3)), [1], ValueError),
        (np.zeros((1, 3)), [1, 1], ValueError),
        (np.zeros((2, 3)), [1, 3], IndexError),
        (np.zeros((2, 3)), [-1, 0], IndexError),
    ):
        try:
            perplexity(logits, np.array(targets, dtype=int))
        except error as caught:
            assert error is IndexError or str(len(logits)) in str(caught), (
                f"name the counts in the message, it says: {caught}"
            )
            continue
        raise AssertionError(f"targets {targets} for logits {logits.shape} were accepted: raise {error.__name__}")

    rng = np.random.default_rng(83)
    for rows in (2, 3, 10):
        logits, ids = rng.normal(size=(rows, 7)), rng.integers(0, 7, rows)
        surprise = [
            math.log(sum(math.exp(v - z[t]) for v in z))
            for z, t in zip(logits[: rows - 1], ids[1:].tolist(), strict=True)
        ]
        exact = math.exp(sum(surprise) / (rows - 1))
        for same in (ids, ids.tolist()):
            got = text_perplexity(logits, same)
            assert abs(got / exact - 1) < 1e-9, f"{rows} ids: expected {exact}, you returned {got}"
    for rows, count in ((0, 0), (1, 1), (3, 2), (2, 3)):
        try:
            text_perplexity(np.zeros((rows, 4)), np.zeros(count, int))
        except ValueError:
            continue
        raise AssertionError(f"{count} ids with {rows} rows were accepted")


hidden_perplexity()


# %% [markdown] task="kl_and_agreement" stars=2 minutes=20
# ## 11. Finer instruments
#
# Perplexity looks at one token of each row: a quantized model can lose on one row what it gains on the next and seem unchanged. Two instruments compare the whole prediction with that of the float model. Write `kl_and_agreement(reference, logits)`; both are `[N, V]`. Return `(kl, agreement)`:
#
# - `kl`: the mean over rows of $\sum_v p_v (\ln p_v - \ln q_v)$, in nats, with $p$ the reference's probabilities and $q$ the other's. It is 0 only where they are the same.
# - `agreement`: the share of rows, 0 to 1, in which both have the same most likely token.
#
# Example: one row, $p = (3/4, 1/4)$ and $q = (1/2, 1/2)$: $\frac{3}{4} \ln \frac{3}{2} + \frac{1}{4} \ln \frac{1}{2} = 0.1308$. The other way round it would be 0.1438: KL is not symmetric.
#
# Compute in float64 and with logits of 10000.
#
# <details><summary>Hint 1</summary>
#
# You need the logarithms of both distributions, $z - \ln \sum e^z$ as in exercise 10, and $p$ itself as the weights of the sum.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A small inner function gives the log-probabilities of either. `np.exp` of the reference's gives $p$.
#
# </details>


# %% solution="kl_and_agreement"
def kl_and_agreement(reference, logits):
    """Mean KL divergence (nats) of predictions from a reference's, and the share of equal top-1 tokens.

    reference, logits: float [N, V]. Returns (kl, agreement), two floats. Raises ValueError for unequal shapes or no rows.
    """
    ### BEGIN SOLUTION
    reference, logits = np.asarray(reference, dtype=np.float64), np.asarray(logits, dtype=np.float64)
    if reference.shape != logits.shape or len(logits) == 0:
        raise ValueError(f"reference {reference.shape} and logits {logits.shape} must be equal and not empty")

    def log_softmax(z):
        z = z - z.max(axis=1, keepdims=True)
        return z - np.log(np.exp(z).sum(axis=1, keepdims=True))

    log_p, log_q = log_softmax(reference), log_softmax(logits)
    kl = (np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean()
    return kl, (reference.argmax(axis=1) == logits.argmax(axis=1)).mean()
    ### END SOLUTION


# %% tryit="kl_and_agreement"
print("KL {:.4f}, agreement {}".format(*kl_and_agreement(np.log([[3.0, 1.0]]), np.zeros((1, 2)))))


# %% test="kl_and_agreement" points=1
def test_kl_and_agreement():
    import numpy as np

    p, q = np.log([[3.0, 1.0], [1.0, 1.0]]), np.log([[1.0, 1.0], [1.0, 3.0]])
    answer = kl_and_agreement(p[:1], q[:1])
    assert answer is not None, "kl_and_agreement returned None: is there a return statement?"
    kl, agreement = answer
    assert abs(kl - 0.143841) > 1e-5, "0.1438 is KL the other way round: weigh with the reference's probabilities"
    assert abs(kl - 0.188722) > 1e-5, "0.1887 is in bits: use the natural logarithm"
    assert abs(kl - 0.130812) < 1e-5, f"p = (3/4, 1/4) against q = (1/2, 1/2) is 0.1308 nats, you returned {kl:.4f}"
    kl, agreement = kl_and_agreement(p, q)
    assert abs(kl - (0.130812 + 0.143841) / 2) < 1e-5, f"over two rows take the mean, 0.1373; you returned {kl:.4f}"
    _kl, agreement = kl_and_agreement(np.eye(4), np.eye(4)[[0, 1, 3, 2]])
    assert agreement == 0.5, f"two of four rows have the same top token: 0.5, you returned {agreement}"
    kl, agreement = kl_and_agreement(p + 1e4, p - 1e4)
    assert abs(kl) < 1e-9 and agreement == 1, (
        f"the same predictions with shifted logits: expected 0 and 1, got {kl}, {agreement}"
    )
    try:
        kl_and_agreement(p, q[:1])
    except ValueError:
        pass
    else:
        raise AssertionError("2 rows against 1 were accepted: raise ValueError")


test_kl_and_agreement()


# %% hidden="kl_and_agreement" points=2
def hidden_kl_and_agreement():
    import math

    import numpy as np

    rng = np.random.default_rng(84)
    for _ in range(8):
        rows, vocab = int(rng.integers(1, 7)), int(rng.integers(2, 20))
        a = (rng.normal(size=(rows, vocab)) * 3).astype(np.float32)
        b = (a + rng.normal(size=(rows, vocab))).astype(np.float32)
        kept = a.copy(), b.copy()
        total, equal = 0.0, 0
        for x, y in zip(a.tolist(), b.tolist(), strict=True):
            sum_x, sum_y = math.fsum(map(math.exp, x)), math.fsum(map(math.exp, y))
            total += math.fsum(
                math.exp(u) / sum_x * math.log(math.exp(u) / sum_x * sum_y / math.exp(v))
                for u, v in zip(x, y, strict=True)
            )
            equal += x.index(max(x)) == y.index(max(y))
        kl, agreement = kl_and_agreement(a, b)
        assert np.array_equal(a, kept[0]) and np.array_equal(b, kept[1]), "your function changed its inputs"
        assert abs(kl - total / rows) < 1e-8, (
            f"KL of {rows} rows of {vocab} should be {total / rows}, you returned {kl}"
        )
        assert abs(agreement - equal / rows) < 1e-12, f"{equal} of {rows} rows agree, you returned {agreement}"
        assert isinstance(kl, float) and isinstance(agreement, float), "return two floats"
    kl, agreement = kl_and_agreement(np.array([[0.0, -2000.0]]), np.array([[0.0, 1.0]]))
    assert abs(kl - math.log(1 + math.e)) < 1e-9 and agreement == 0, (
        f"a token of chance e**-2000 must not give nan: got {kl}"
    )
    kl, _ = kl_and_agreement(np.zeros((1, 2)), np.array([[0.0, -100.0]]))
    assert abs(kl - (50 - math.log(2))) < 1e-9, (
        f"a likely token to which the other gives e**-100 costs 100 nats, half of the time: got {kl} "
        "(take the logarithm of the softmax by hand, not of a probability with something small added)"
    )
    levels = np.array([[1e4, 0.0], [0.0, 1.0]])
    kl, agreement = kl_and_agreement(levels, levels * [[1], [2]])
    p = 1 / (1 + math.exp(-1))
    exact = (p * math.log(p * (1 + math.exp(-2))) + (1 - p) * math.log((1 - p) * (1 + math.exp(2)))) / 2
    assert abs(kl - exact) < 1e-9 and agreement == 1, (
        f"take each row's own maximum out: expected {exact}, you returned {kl}"
    )
    for shapes in (((0, 3), (0, 3)), ((2, 3), (2, 4)), ((1, 3), (2, 3))):
        try:
            kl_and_agreement(np.zeros(shapes[0]), np.zeros(shapes[1]))
        except ValueError:
            continue
        raise AssertionError(f"shapes {shapes[0]} and {shapes[1]} were accepted")


hidden_kl_and_agreement()

# %% [markdown]
# ### The quality table of the real model
#
# The table below was made by `python -m mini_engine quality` on SmolLM2-135M-Instruct with the instruments you have just written. The checkpoint's linear weights are stored in 4 bits already (Q4_1, groups of 32), so "float" means those weights dequantized, and the loss of every row is the loss of quantizing a second time.

# %%
from mini_engine.bench.quality_table import load_recorded, print_table

print_table(load_recorded())

# %% [markdown] task="write_kv" stars=3 minutes=20
# ## 12. A page of the KV cache in 4 bits
#
# The cache can be rounded too, with one difference to weights: it grows while the model runs. A token's keys come when the token comes, its neighbours' keys before or after, perhaps in another batch. So each head's vector of each token gets a scale and a minimum **of its own**, and what is stored for a token depends on nothing but that token.
#
# The pages are three arrays for one layer's keys (chapter 9): `pages` `uint8` `[n_blocks, heads, block_size, D / 2]`, two numbers to a byte, `scales` and `minima` `float16` `[n_blocks, heads, block_size]`. A sequence's token at `position` lies in slot `position % block_size` of the block `table[position // block_size]`.
#
# **`write_kv(pages, scales, minima, table, position, kv)`** stores `kv`, floats `[heads, D]`, for one token, in place, and returns nothing. For each head:
#
# $$\text{minimum} = \min x, \qquad \text{scale} = \frac{\max x - \min x}{15}, \qquad q = \text{round}\!\left(\frac{x - \text{minimum}}{\text{scale}}\right)$$
#
# Both are stored as float16, and $q$ is computed with the **stored** values, as whoever reads it has no others. $q$ is cut to 0 … 15. Where the stored scale is 0, $q$ is 0. Use the engine's `pack_nibbles(q)` (exercise 3): neighbours share a byte.
#
# **`read_kv(pages, scales, minima, table, length)`** returns the first `length` tokens as float32 `[heads, length, D]`, $q \cdot \text{scale} + \text{minimum}$. `unpack_nibbles(packed, signed=False)` is the way back.
#
# Example: one head, $x = [-1, 0.5, 2, 0.4]$ has the minimum −1, the scale $3 / 15 = 0.2$ and $q = [0, 8, 15, 7]$ ($1.5 / 0.2 = 7.5$, but the float16 next to 0.2 is 0.19995), bytes 128 and 127, and comes back as $[-1, 0.5996, 1.9993, 0.3997]$.
#
# Per token: KIVI ([arXiv:2402.02750](https://arxiv.org/abs/2402.02750)) does this for values, and rounds keys per channel over a run of tokens, for which it must keep the newest in floats.
#
# <details><summary>Hint 1</summary>
#
# Minimum and maximum along the last axis give `[heads]` numbers. Convert them to float16 at once, and back to float32 for the division. `pages[block, :, slot]` is `[heads, D / 2]`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Where the scale is 0, divide by infinity instead. To read, `pages[table]` is `[blocks, heads, block_size, D / 2]`: bring heads to the front, join blocks and slots, cut to `length`. A loop over positions is as good.
#
# </details>


# %% solution="write_kv"
def write_kv(pages, scales, minima, table, position, kv):
    """Store one token's vectors in 4 bits, in place.

    pages: uint8 [n_blocks, heads, block_size, D / 2]. scales, minima: float16 [n_blocks, heads, block_size]. table: a
    list of blocks. position: of the token in its sequence. kv: float [heads, D]. Raises ValueError for a position that
    is negative or behind the table's last block, with the position, and stores nothing.
    """
    ### BEGIN SOLUTION
    block_size = pages.shape[2]
    if not 0 <= position < len(table) * block_size:
        raise ValueError(f"position {position} is outside the {len(table)} blocks of the table")
    block, slot = table[position // block_size], position % block_size
    minimum = kv.min(axis=-1).astype(np.float16)
    scale = ((kv.max(axis=-1) - kv.min(axis=-1)) / 15).astype(np.float16)
    step = np.where(scale == 0, np.inf, scale)[:, None]
    pages[block, :, slot] = pack_nibbles(np.rint((kv - minimum[:, None]) / step).clip(0, 15))
    scales[block, :, slot], minima[block, :, slot] = scale, minimum
    ### END SOLUTION


def read_kv(pages, scales, minima, table, length):
    """The first `length` tokens of a sequence, float32 [heads, length, D]; the rest as in write_kv.

    Raises ValueError for a length that is negative or more than the table's blocks hold, with the length.
    """
    ### BEGIN SOLUTION
    _, heads, block_size, half = pages.shape
    if not 0 <= length <= len(table) * block_size:
        raise ValueError(f"{length} tokens do not lie in the {len(table)} blocks of the table")
    out = np.empty((heads, length, 2 * half), np.float32)
    for position in range(length):
        block, slot = table[position // block_size], position % block_size
        q = unpack_nibbles(pages[block, :, slot], signed=False)
        step, minimum = (each[block, :, slot, None].astype(np.float32) for each in (scales, minima))
        out[:, position] = q * step + minimum
    return out
    ### END SOLUTION


# %% tryit="write_kv"
def empty_pages(n_blocks, heads, block_size, d):
    return (
        np.zeros((n_blocks, heads, block_size, d // 2), np.uint8),
        np.zeros((n_blocks, heads, block_size), np.float16),
        np.zeros((n_blocks, heads, block_size), np.float16),
    )


some_keys = np.random.default_rng(3).normal(size=(20, 3, 64)).astype(np.float32)
some_keys[:, :, 5] += 12  # a channel that is large in every token, as keys of real models have
some_pages = empty_pages(4, 3, 8, 64)
for place, one_token in enumerate(some_keys):
    write_kv(*some_pages, [2, 0, 3], place, one_token)
lost = np.abs(read_kv(*some_pages, [2, 0, 3], 20) - some_keys.transpose(1, 0, 2)).mean()
print(f"{sum(part[0].nbytes for part in some_pages)} bytes a block instead of {3 * 8 * 64 * 2}, mean error {lost:.3f}")


# %% test="write_kv" points=2
def test_write_kv():
    import numpy as np

    def fresh(n_blocks, heads, block_size, d):
        sizes = (n_blocks, heads, block_size)
        return np.zeros((*sizes, d // 2), np.uint8), np.zeros(sizes, np.float16), np.zeros(sizes, np.float16)

    parts = pages, scales, minima = fresh(3, 1, 2, 4)
    write_kv(*parts, [2, 0], 1, np.array([[-1, 0.5, 2, 0.4]]))
    assert pages.any(), "nothing was stored: write into pages, which is yours to change"
    assert pages[2, 0, 1].any(), "position 1 of table [2, 0] lies in block 2, slot 1"
    assert float(minima[2, 0, 1]) == -1, f"the minimum is -1, you stored {minima[2, 0, 1]}"
    assert abs(float(scales[2, 0, 1]) - 0.2) < 1e-3, f"the scale is 3 / 15, you stored {scales[2, 0, 1]}"
    assert pages[2, 0, 1].tolist() == [128, 127], (
        f"q = [0, 8, 15, 7] are the bytes 128 and 127, you stored {pages[2, 0, 1].tolist()}: the first of a pair is low"
    )
    got = read_kv(*parts, [2, 0], 2)
    assert got is not None, "read_kv returned None: is there a return statement?"
    assert got.shape == (1, 2, 4) and got.dtype == np.float32, (
        f"expected float32 (1, 2, 4), got {got.dtype} {got.shape}"
    )
    assert np.allclose(got[0, 1], [-1, 0.5996, 1.9993, 0.3997], atol=1e-3), f"the token came back as {got[0, 1]}"

    parts = fresh(4, 2, 2, 8)
    rng = np.random.default_rng(8)
    tokens = rng.normal(size=(5, 2, 8)).astype(np.float32)
    tokens[:, 1] *= 100
    for position, kv in enumerate(tokens):
        write_kv(*parts, [3, 1, 0], position, kv)
    error = np.abs(read_kv(*parts, [3, 1, 0], 5) - tokens.transpose(1, 0, 2))
    assert error[0].max() < 0.3, "the second head is 100 times larger: each head has a scale of its own"
    for position in (-1, 6):
        try:
            write_kv(*parts, [3, 1, 0], position, tokens[0])
        except ValueError:
            continue
        raise AssertionError(f"position {position} of three blocks of 2 was accepted: raise ValueError")


test_write_kv()


# %% hidden="write_kv" points=3
def hidden_write_kv():
    import numpy as np

    def fresh(n_blocks, heads, block_size, d):
        sizes = (n_blocks, heads, block_size)
        return np.zeros((*sizes, d // 2), np.uint8), np.zeros(sizes, np.float16), np.zeros(sizes, np.float16)

    def expected(vector):
        """(bytes, scale, minimum, what comes back), number by number."""
        numbers = [np.float32(v) for v in vector]
        minimum = np.float16(min(numbers))
        scale = np.float16((max(numbers) - min(numbers)) / np.float32(15))
        q = [0 if scale == 0 else round(float((v - np.float32(minimum)) / np.float32(scale))) for v in numbers]
        q = [min(max(n, 0), 15) for n in q]
        stored = [low + 16 * high for low, high in zip(q[::2], q[1::2], strict=True)]
        return stored, scale, minimum, [np.float32(n) * np.float32(scale) + np.float32(minimum) for n in q]

    rng = np.random.default_rng(77)
    for heads, block_size, d in ((1, 1, 2), (3, 4, 16), (2, 5, 64)):
        parts = pages, scales, minima = fresh(9, heads, block_size, d)
        tables = [[7, 2, 4], [0, 8, 3]]
        tokens = rng.normal(size=(2, 2 * block_size + 1, heads, d)).astype(np.float32)
        tokens[0, 0, 0], tokens[1, 0] = 3001, 0  # float16 has no 3001
        tokens[:, 1] = tokens[:, 1] * 0.01 + 40  # far from zero, so the float16 minimum is off by a part of a step
        order = [(s, p) for s in (0, 1) for p in range(2 * block_size + 1)]
        rng.shuffle(order)
        for s, p in order:
            kv = tokens[s, p].copy()
            write_kv(*parts, tables[s], p, kv)
            assert np.array_equal(kv, tokens[s, p]), "write_kv changed the vectors that it was given"
        for s, p in order:
            block, slot = tables[s][p // block_size], p % block_size
            for h in range(heads):
                stored, scale, minimum, _ = expected(tokens[s, p, h])
                assert minima[block, h, slot] == minimum, "a stored minimum is wrong"
                assert scales[block, h, slot] == scale, "a stored scale is wrong: is it that of this head and token?"
                assert pages[block, h, slot].tolist() == stored, "the integers are wrong: use the stored float16 values"
        untouched = [block for block in range(9) if block not in (7, 2, 4, 0, 8, 3)]
        assert not any(part[untouched].any() for part in parts), "a block that is in no table was written"
        for s in (0, 1):
            for length in (0, 1, block_size, 2 * block_size + 1):
                got = read_kv(*parts, tables[s], length)
                assert got.shape == (heads, length, d), f"{length} tokens came back as {got.shape}"
                want = np.array([[expected(tokens[s, p, h])[3] for p in range(length)] for h in range(heads)])
                np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-6, err_msg="tokens come back wrong")
        kept = [part.copy() for part in parts]
        for call in (lambda p: write_kv(*parts, tables[0], p, tokens[0, 0]), lambda n: read_kv(*parts, tables[0], n)):
            for bad in (-1, 3 * block_size + 1):
                try:
                    call(bad)
                except ValueError as error:
                    assert str(bad) in str(error), f"the message does not hold {bad}: {error}"
                    continue
                raise AssertionError(f"{bad} was accepted with a table of {3 * block_size} slots")
        assert all(map(np.array_equal, parts, kept)), "a refused call, or reading, changed the pages"


hidden_write_kv()

# %% [markdown] task="pick_format" stars=2 minutes=15
# ## 13. Pick a format
#
# Write `pick_format()`, which returns a dictionary with one choice for each situation:
#
# | key | situation | choose from |
# |---|---|---|
# | `data_centre_gpu` | a 70B chat model on one 80 GB GPU, a few users at a time, kernels for 4-bit weights at hand | `"fp16"`, `"awq-or-gptq-int4"`, `"gguf"`, `"w8a8"` |
# | `laptop` | an 8B model for one user on a laptop, CPU with perhaps a small GPU, one file to download | the same |
# | `large_batches` | a server at batch 256 whose matmuls are limited by arithmetic, not by memory, on a GPU with fast 8-bit matmuls | the same |
# | `reference_scores` | the numbers every other format is compared with; memory does not matter | the same |
# | `cache_larger_than_weights` | 4-bit weights, but 100 users with 32k tokens each no longer fit | `"int3-weights"`, `"int8-kv-cache"`, `"larger-groups"` |
# | `why_activation_aware` | why does it help to look at activations? | `"a"`, `"b"`, `"c"` below |
#
# **a** large weights matter most, and activations show where they are · **b** a weight's error reaches the output multiplied by its activation, and few channels have large ones · **c** activations are rounded too, so both must share one scale
#
# <details><summary>Hint 1</summary>
#
# Weight-only formats read fewer bytes but multiply in 16 bits. Which situations are short of bytes per second, which of multiplications, which of room?
#
# </details>
# <details><summary>Hint 2</summary>
#
# GGUF is llama.cpp's single-file format, made for CPUs and mixed CPU and GPU. Only one choice makes the multiplications themselves cheaper.
#
# </details>


# %% solution="pick_format"
def pick_format():
    """The format for each situation of the table above: a dict of six strings."""
    ### BEGIN SOLUTION
    return {
        "data_centre_gpu": "awq-or-gptq-int4",
        "laptop": "gguf",
        "large_batches": "w8a8",
        "reference_scores": "fp16",
        "cache_larger_than_weights": "int8-kv-cache",
        "why_activation_aware": "b",
    }
    ### END SOLUTION


# %% tryit="pick_format"
for situation, choice in pick_format().items():
    print(f"{situation:27} {choice}")


# %% test="pick_format" points=1
def test_pick_format():
    got = pick_format()
    assert got is not None, "pick_format returned None: is there a return statement?"
    formats = ("fp16", "awq-or-gptq-int4", "gguf", "w8a8")
    allowed = {
        "data_centre_gpu": formats,
        "laptop": formats,
        "large_batches": formats,
        "reference_scores": formats,
        "cache_larger_than_weights": ("int3-weights", "int8-kv-cache", "larger-groups"),
        "why_activation_aware": ("a", "b", "c"),
    }
    assert set(got) == set(allowed), f"missing or unknown keys: {sorted(set(allowed) ^ set(got))}"
    for key, choices in allowed.items():
        assert got[key] in choices, f"{key}: {got[key]!r} is none of {', '.join(choices)}"
    assert got["reference_scores"] == "fp16", "what the others are compared with should itself be unquantized"


test_pick_format()


# %% hidden="pick_format" points=2
def hidden_pick_format():
    got = pick_format()
    why = {
        "data_centre_gpu": (
            "awq-or-gptq-int4",
            "140 GB in fp16 and 70 GB in 8 bits leave no room on 80 GB; 4 bits with GPU kernels do",
        ),
        "laptop": ("gguf", "one file for CPU and small GPU is what GGUF and llama.cpp are made for"),
        "large_batches": ("w8a8", "only 8-bit weights and activations make the multiplications cheaper"),
        "cache_larger_than_weights": ("int8-kv-cache", "the cache is what does not fit: halve it"),
        "why_activation_aware": ("b", "the output error is the weight error times the activation"),
    }
    for key, (value, reason) in why.items():
        assert got[key] == value, f"{key}: {reason}"


hidden_pick_format()

# %% [markdown] answer="pick_format" points=3
# ### In your own words: formats
#
# A friend wants to run the same 8B model on a laptop and, for a small team, on a data-centre GPU. In at most 150 words: which format for each and why, why an activation-aware method keeps quality, and what you would measure before you believe that nothing was lost.
#
# ### BEGIN SOLUTION
# **Rubric (3 points).** 1: GGUF (for example Q4_K_M) for the laptop, AWQ or GPTQ int4 (or fp8 / int8 where memory allows) for the GPU, each with a reason. 1: activation-aware: errors are weighted by activations, a few channels have large ones, protecting those protects the output. 1: a measurement against the float model: KL divergence or top-1 agreement on text of one's own, or a task score; not weight error alone, not a glance at a few answers.
#
# **Model answer.** Laptop: GGUF at 4 to 5 bits, one file, CPU and small GPU share the layers, and decode for one user is limited by bytes, so fewer bits pay. GPU: AWQ or GPTQ in int4 with groups of 128, served by an engine with kernels that dequantize in registers; it frees memory for the KV cache. If batches are large the matmuls become the limit, and 8-bit weights and activations are the better choice. Activation-aware methods keep quality because a weight's error reaches the output multiplied by its activation; protecting the few channels with large activations removes most of the damage. Before I believe it: KL divergence and top-1 agreement with the float model on our own text, with standard errors, then the task we care about.
# ### END SOLUTION

# %% [markdown]
# ## Looking back
#
# What must stay true of the model's answers when its weights get fewer bits, and which number would tell you that it no longer is true? And what did you measure here: bytes, or time?
