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
# # 17 · Beyond LLaMA
#
# Five things changed in the models that came after LLaMA: the MLP became many, of which a few work; the cache holds one short vector per token, or only the last tokens, or no tokens at all; and positions are stretched to a longer text. A sixth, the adapter, makes many models of one. In this notebook you write each change in NumPy: the router and the grouped product of a mixture of experts, the number of experts that a batch wakes, MLA without rebuilt keys, a ring of slots that keeps the first tokens, YaRN's frequencies, linear attention in both of its forms, the bytes of each kind of cache, and one batch for many adapters. The chapter *Beyond LLaMA* of the book tells the story.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and no argument is changed. The docstring says which arguments are meant.
#
# Arrays are NumPy, in float64, and matrices are `[in, out]`, applied as `x @ W`.

# %% setup=True
import math
import tracemalloc

import numpy as np


def silu(x):
    """x * sigmoid(x), as in chapter 2."""
    return x / (1 + np.exp(-x))


class Bank:
    """The experts of a layer, each read from memory on demand. It counts the reads."""

    lends = ("num_experts", "read")  # what the tests let your code use

    def __init__(self, gate, up, down):
        self._gate, self._up, self._down = gate, up, down
        self.num_experts, self.reads = len(gate), []

    def read(self, expert):
        """The weights of one expert: gate [d, f], up [d, f], down [f, d]."""
        self.reads.append(int(expert))
        return self._gate[expert], self._up[expert], self._down[expert]


class Store:
    """A matrix W [d, out] and adapters for it, {name: (A [d, r], B [r, out], scale)}. It counts what is asked of it."""

    lends = ("names", "base", "read")  # what the tests let your code use

    def __init__(self, weight, adapters):
        self._weight, self._adapters = weight, adapters
        self.names, self.base_rows, self.reads = list(adapters), [], []

    def base(self, x):
        """x @ W, a new array [T, out]."""
        self.base_rows.append(len(x))
        return x @ self._weight

    def read(self, name):
        """(A, B, scale) of one adapter."""
        self.reads.append(name)
        return self._adapters[name]


# %% [markdown] task="route" stars=2 minutes=15
# ## 1. The router
#
# In a mixture of experts (MoE) a layer has $E$ MLPs, called experts, and each token goes through only $k$ of them. A small matrix gives each token one score per expert. Write `route(logits, top_k, renormalise)`, which turns these scores into a choice.
#
# - `logits`: `[T, E]`, the scores of T tokens for E experts.
# - Take the softmax over **all** experts of a token. Its `top_k` most probable experts are chosen.
# - Return `(chosen, weights)`, two arrays `[T, top_k]`: the indices of the chosen experts (integers), the most probable first, and how much each counts. Of experts with equal scores the one with the lower index comes first.
# - With `renormalise=True` the weights of a token are its chosen probabilities divided by their sum, so they add up to 1 (Mixtral, Qwen3). With `False` they are the probabilities themselves (DeepSeek-V2).
#
# Scores may be as large as ±1000: nothing may overflow, and where two probabilities round to 0 their scores still decide. `top_k` outside 1 … E raises `ValueError`.
#
# Example: the probabilities 0.5, 0.1, 0.3, 0.1 and `top_k=2` choose experts 0 and 2. Their weights are 0.5 and 0.3, renormalised 0.625 and 0.375.
#
# <details><summary>Hint 1</summary>
#
# A softmax is the same when the largest score of the row is taken off first. `np.argsort` sorts upwards; sort the negated scores, and look up its argument `kind`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.take_along_axis` picks from each row the entries that an array of indices of the same number of rows names.
#
# </details>


# %% solution="route"
def route(logits, top_k, renormalise=True):
    """The experts of each token and how much each counts.

    logits: [T, E]. top_k: 1 to E, else ValueError. Returns (chosen [T, top_k], integers, most probable first; weights
    [T, top_k], which add up to 1 if renormalise).
    """
    ### BEGIN SOLUTION
    num_experts = logits.shape[1]
    if not 1 <= top_k <= num_experts:
        raise ValueError(f"top_k must be 1 to {num_experts}, got {top_k}")
    chosen = np.argsort(-logits, axis=1, kind="stable")[:, :top_k]
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    weights = np.take_along_axis(p / p.sum(axis=1, keepdims=True), chosen, axis=1)
    if renormalise:
        weights = weights / weights.sum(axis=1, keepdims=True)
    return chosen, weights
    ### END SOLUTION


# %% tryit="route"
logits = np.log([[0.5, 0.1, 0.3, 0.1], [0.05, 0.9, 0.03, 0.02]])
for renormalise in (True, False):
    chosen, weights = route(logits, 2, renormalise)
    for token in range(2):
        print(f"token {token}: experts {chosen[token]}, weights {weights[token].round(3)}")


# %% test="route" points=1
def test_route():
    import numpy as np

    logits = np.log([[0.5, 0.1, 0.3, 0.1], [0.05, 0.9, 0.03, 0.02]])
    got = route(logits.copy(), 2)
    assert got is not None, "route returned None: is there a return statement?"
    chosen, weights = got
    assert chosen.shape == weights.shape == (2, 2), (
        f"two arrays of shape (2, 2), yours: {chosen.shape}, {weights.shape}"
    )
    assert chosen.tolist() != [[2, 0], [0, 1]], "the most probable expert comes first"
    assert chosen.tolist() == [[0, 2], [1, 0]], f"the two most probable: [[0, 2], [1, 0]], you chose {chosen.tolist()}"
    np.testing.assert_allclose(weights[0], [0.625, 0.375], atol=1e-12, err_msg="0.5 and 0.3, divided by their sum")
    weights = route(logits.copy(), 2, False)[1]
    message = "without renormalise: the probabilities 0.5 and 0.3 of the softmax over all four"
    np.testing.assert_allclose(weights[0], [0.5, 0.3], atol=1e-12, err_msg=message)
    for bad in (0, 5):
        try:
            got = route(logits.copy(), bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name top_k {bad}, it says: {error}"
        else:
            raise AssertionError(f"top_k={bad} of 4 experts returned {got}: raise ValueError")


test_route()


# %% hidden="route" points=2
def hidden_route():
    import math

    import numpy as np

    rng = np.random.default_rng(171)
    for num_tokens, num_experts, scale in ((1, 1, 1), (5, 8, 1), (7, 4, 30), (3, 16, 0.1), (6, 3, 1000)):
        logits = rng.uniform(-scale, scale, (num_tokens, num_experts))
        copy = logits.copy()
        for top_k in range(1, num_experts + 1):
            for renormalise in (True, False):
                chosen, weights = route(logits, top_k, renormalise)
                case = f"{num_tokens} tokens, {num_experts} experts, top_k {top_k}, renormalise {renormalise}"
                assert chosen.shape == weights.shape == (num_tokens, top_k), f"{case}: two arrays [T, top_k]"
                assert np.issubdtype(chosen.dtype, np.integer), f"{case}: the chosen experts are integers"
                for t in range(num_tokens):
                    row = [float(score) for score in copy[t]]
                    want = sorted(range(num_experts), key=lambda e: (-row[e], e))[:top_k]
                    assert chosen[t].tolist() == want, f"{case}: the most probable experts, the best first"
                    powers = [math.exp(score - max(row)) for score in row]
                    total = sum(powers[e] for e in want) if renormalise else sum(powers)
                    exact = [powers[e] / total for e in want]
                    np.testing.assert_allclose(weights[t], exact, atol=1e-12, rtol=1e-10, err_msg=f"{case}: weights")
        np.testing.assert_array_equal(logits, copy, err_msg="the scores were changed")
    ties = np.array([[1.0, 2, 2, 0, 2], [0, 0, 0, 0, 0]])
    chosen, weights = route(ties, 2)
    assert chosen.tolist() == [[1, 2], [0, 1]], "of experts with equal scores the lower index comes first"
    np.testing.assert_allclose(weights, 0.5, atol=1e-12, err_msg="equal scores count equally")
    assert route(np.array([[0.0, -1000, -900]]), 2)[0].tolist() == [[0, 2]], (
        "two probabilities that round to 0: their scores still say which expert comes first"
    )
    wide = rng.integers(0, 3, (4, 400)).astype(float)
    want = [sorted(range(400), key=lambda e: (-row[e], e))[:390] for row in wide]  # noqa: B023
    assert route(wide, 390)[0].tolist() == want, (
        "hundreds of experts with three scores: of equals the lower index first"
    )
    logits = np.array([[3.0, 1.0, 2.0]])
    assert route(logits, 1)[0].tolist() == [[0]] and route(-logits, 1)[0].tolist() == [[1]], (
        "other scores, other choice"
    )
    for bad in (-2, 0, 4):
        try:
            route(logits, bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should hold top_k: {error}"
            continue
        raise AssertionError("a top_k outside of 1 to the number of experts was accepted")


hidden_route()


# %% [markdown] task="moe_product" stars=3 minutes=25
# ## 2. Each expert once
#
# The naive loop goes over tokens and reads two experts for each: 64 tokens read 128 experts' weights, many of them again and again. Weights are what decode waits for, so the loop has to be turned around: over the experts, with all the tokens that chose this one in a single product. Write `moe_product(x, chosen, weights, bank)`:
#
# $$y_t = \sum_{j} w_{tj}\; \text{down}_{e}\big(\operatorname{silu}(x_t\, \text{gate}_{e}) \odot x_t\, \text{up}_{e}\big), \qquad e = \text{chosen}_{tj}$$
#
# - `x`: `[T, d]`, the tokens. `chosen` and `weights`: `[T, k]`, as `route` returns them; a token's experts are all different.
# - `bank.read(e)` gives the weights of expert `e`: `gate` and `up` `[d, f]`, `down` `[f, d]`. `bank.num_experts` is $E$. `silu` is given in the set-up cell.
# - Returns `[T, d]`. Each expert that any token chose is read **exactly once**, and no other expert is read.
#
# An entry of `chosen` outside 0 … E − 1 raises `ValueError` with this entry in the message, before anything is read.
#
# Example: if tokens 0 and 1 chose expert 5 and token 2 chose expert 0, there are two reads. Expert 5 multiplies a `[2, d]` array, expert 0 a `[1, d]` array.
#
# <details><summary>Hint 1</summary>
#
# `np.unique` gives the experts that occur. For each, `np.nonzero(chosen == expert)` gives two arrays: the tokens, and the places in their rows.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Begin with zeros. For one expert: take its rows of `x`, send them through its MLP, scale each row with its own weight, and add the rows to the result where they belong.
#
# </details>


# %% solution="moe_product"
def moe_product(x, chosen, weights, bank):
    """The weighted sum of the chosen experts' outputs, each woken expert read once.

    x: [T, d]. chosen: [T, k], integers 0 to bank.num_experts - 1, else ValueError. weights: [T, k]. Returns [T, d].
    """
    ### BEGIN SOLUTION
    for expert in np.unique(chosen):
        if not 0 <= expert < bank.num_experts:
            raise ValueError(f"there is no expert {expert} of {bank.num_experts}")
    out = np.zeros_like(x)
    for expert in np.unique(chosen):
        gate, up, down = bank.read(expert)
        tokens, places = np.nonzero(chosen == expert)
        rows = x[tokens]
        out[tokens] += weights[tokens, places][:, None] * ((silu(rows @ gate) * (rows @ up)) @ down)
    return out
    ### END SOLUTION


# %% tryit="moe_product"
rng = np.random.default_rng(0)
bank = Bank(*(rng.standard_normal(shape) for shape in ((8, 6, 4), (8, 6, 4), (8, 4, 6))))
x = rng.standard_normal((5, 6))
chosen, weights = route(rng.standard_normal((5, 8)), 2)
print("chosen:", chosen.tolist())
print("result:", moe_product(x, chosen, weights, bank).shape, " experts read:", bank.reads)


# %% test="moe_product" points=2
def test_moe_product():
    import numpy as np

    rng = np.random.default_rng(172)
    parts = [rng.standard_normal(shape) for shape in ((6, 4, 3), (6, 4, 3), (6, 3, 4))]
    x, bank = rng.standard_normal((3, 4)), Bank(*parts)
    chosen, weights = np.array([[5, 1], [5, 0], [1, 5]]), np.array([[0.6, 0.4], [0.9, 0.1], [0.5, 0.5]])

    def one(t, e):  # one token through one expert
        gate = x[t] @ parts[0][e]
        return (gate / (1 + np.exp(-gate)) * (x[t] @ parts[1][e])) @ parts[2][e]

    want = np.array(
        [0.6 * one(0, 5) + 0.4 * one(0, 1), 0.9 * one(1, 5) + 0.1 * one(1, 0), 0.5 * (one(2, 1) + one(2, 5))]
    )
    got = moe_product(x.copy(), chosen.copy(), weights.copy(), bank)
    assert got is not None, "moe_product returned None: is there a return statement?"
    assert got.shape == (3, 4), f"3 tokens of 4 numbers: (3, 4), yours is {got.shape}"
    message = "differs from one token through one expert at a time: does each row get its own weight?"
    np.testing.assert_allclose(got, want, atol=1e-10, err_msg=message)
    reads = sorted(bank.reads)
    assert len(set(reads)) == len(reads), f"the experts {reads} were read, some of them twice: group the tokens"
    assert reads == [0, 1, 5], f"experts 0, 1 and 5 are woken, each is read once; you read {reads}"
    for bad in (6, -1):
        fresh = Bank(*parts)
        try:
            got = moe_product(x.copy(), np.array([[0], [bad], [1]]), np.ones((3, 1)), fresh)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the expert {bad}, it says: {error}"
        except IndexError as error:
            raise AssertionError(f"expert {bad} of 6 ended in an IndexError: raise ValueError before that") from error
        else:
            raise AssertionError(f"expert {bad} of 6 was accepted: raise ValueError")


test_moe_product()


# %% hidden="moe_product" points=3
def hidden_moe_product():
    import numpy as np

    rng = np.random.default_rng(173)
    for num_tokens, num_experts, k, d, f in (
        (1, 1, 1, 2, 3),
        (1, 8, 3, 5, 2),
        (9, 4, 2, 3, 4),
        (20, 16, 4, 4, 1),
        (6, 3, 3, 2, 2),
    ):
        parts = [rng.standard_normal((num_experts, *shape)) for shape in ((d, f), (d, f), (f, d))]
        x, weights = rng.standard_normal((num_tokens, d)), rng.random((num_tokens, k))
        chosen = np.array([rng.permutation(num_experts)[:k] for _ in range(num_tokens)])
        bank, copies = Bank(*parts), [x.copy(), chosen.copy(), weights.copy()]
        want = np.zeros((num_tokens, d))
        for t in range(num_tokens):
            for place in range(k):
                e = chosen[t, place]
                for channel in range(f):
                    gate, up = (sum(x[t, i] * parts[n][e, i, channel] for i in range(d)) for n in (0, 1))
                    want[t] += weights[t, place] * gate / (1 + np.exp(-gate)) * up * parts[2][e, channel]
        got = moe_product(x, chosen, weights, bank)
        case = f"{num_tokens} tokens, {k} of {num_experts} experts"
        for mine, copy in zip((x, chosen, weights), copies, strict=True):
            np.testing.assert_array_equal(mine, copy, err_msg=f"{case}: an argument was changed")
        np.testing.assert_allclose(got, want, atol=1e-10, rtol=1e-10, err_msg=case)
        woken = sorted(set(chosen.ravel().tolist()))
        assert sorted(bank.reads) == woken, f"{case}: each woken expert is read once, and no other"
    again = moe_product(-x, chosen, weights, Bank(*parts))
    assert not np.allclose(again, got), f"{case}: other tokens give another result"
    doubled = moe_product(x, chosen, 2 * weights, Bank(*parts))
    np.testing.assert_allclose(doubled, 2 * want, atol=1e-10, rtol=1e-10, err_msg="weights need not add up to 1")
    other = Bank(parts[0], parts[1], -parts[2])
    np.testing.assert_allclose(
        moe_product(x, chosen, weights, other), -want, atol=1e-10, rtol=1e-10, err_msg="another bank of experts"
    )
    bank = Bank(*parts)
    none = moe_product(x, chosen, np.zeros_like(weights), bank)
    np.testing.assert_array_equal(none, np.zeros_like(x), err_msg="weights of 0: nothing is added to the result")
    assert sorted(bank.reads) == woken, "weights of 0: an expert that was chosen is read all the same"
    for bad in (num_experts, -1, -num_experts, 1000):
        bank, broken = Bank(*parts), chosen.copy()
        broken[-1, -1] = bad
        try:
            moe_product(x, broken, weights, bank)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should hold the expert's index: {error}"
            assert bank.reads == [], "experts were read before the bad index was noticed"
            continue
        raise AssertionError("an index that is no expert was accepted: raise ValueError")


hidden_moe_product()


# %% [markdown] task="expected_distinct" stars=2 minutes=15
# ## 3. How many experts a batch wakes
#
# One token of Mixtral reads 2 of 8 experts, a quarter of them: that is why a mixture is fast for one user. Sixty-four users at once choose sixty-four times. Write `expected_distinct(num_experts, top_k, num_tokens)`: how many **different** experts are chosen on average, when each token picks `top_k` different ones of `num_experts`, all picks equally likely, and no token looks at another's choice. Return a `float`.
#
# An expert sleeps when no token picks it. One token leaves a given expert alone with probability $1 - k/E$; all $T$ tokens do so with that to the power of $T$.
#
# Example: 8 experts, 2 of them per token. One token wakes 2, four tokens $8 \cdot (1 - 0.75^4) = 5.46875$, and no token wakes none. `num_experts` below 1, `top_k` outside 1 … `num_experts`, and a negative `num_tokens` raise `ValueError`.
#
# <details><summary>Hint 1</summary>
#
# Expectations add up, whether or not things depend on each other: the expected number of woken experts is the sum, over the experts, of the probability that this one is woken.
#
# </details>
# <details><summary>Hint 2</summary>
#
# All experts have the same probability. "Woken" is the opposite of "left alone by all".
#
# </details>


# %% solution="expected_distinct"
def expected_distinct(num_experts, top_k, num_tokens):
    """Mean number of different experts that num_tokens tokens wake, a float.

    num_experts: 1 or more. top_k: 1 to num_experts. num_tokens: 0 or more. Raises ValueError otherwise.
    """
    ### BEGIN SOLUTION
    if not 1 <= top_k <= num_experts:
        raise ValueError(f"top_k must be 1 to num_experts, got {top_k} of {num_experts}")
    if num_tokens < 0:
        raise ValueError(f"num_tokens cannot be negative, got {num_tokens}")
    return num_experts * (1 - (1 - top_k / num_experts) ** num_tokens)
    ### END SOLUTION


# %% tryit="expected_distinct"
print("tokens   2 of 8   8 of 256")
for num_tokens in (1, 4, 16, 64, 256):
    few, many = expected_distinct(8, 2, num_tokens), expected_distinct(256, 8, num_tokens)
    print(f"{num_tokens:6} {few:8.2f} {many:10.2f}")


# %% test="expected_distinct" points=1
def test_expected_distinct():
    got = expected_distinct(8, 2, 4)
    assert got is not None, "expected_distinct returned None: is there a return statement?"
    assert got != 8, "8 picks, but not 8 different experts: two tokens may pick the same one"
    assert abs(got - 8 * (1 - 0.875**8)) > 1e-9, "a token's picks are different: it leaves an expert alone with 1 - 2/8"
    assert abs(got - 5.46875) < 1e-12, f"8 experts, 2 each, 4 tokens: 5.46875, you returned {got}"
    assert isinstance(got, float), f"return a float, not {type(got).__name__}"
    assert abs(expected_distinct(8, 2, 1) - 2) < 1e-9, (
        f"one token wakes its 2: you returned {expected_distinct(8, 2, 1)}"
    )
    assert expected_distinct(8, 2, 0) == 0, f"no token wakes no expert: you returned {expected_distinct(8, 2, 0)}"
    for bad, named in (((8, 9, 4), "9"), ((8, 0, 4), "0"), ((8, 2, -1), "-1"), ((0, 1, 4), "0")):
        try:
            got = expected_distinct(*bad)
        except ValueError as error:
            assert named in str(error), f"the ValueError should name the bad value {named}, it says: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(f"expected_distinct{bad} divided by zero: raise ValueError before that") from error
        else:
            raise AssertionError(f"expected_distinct{bad} returned {got}: raise ValueError")


test_expected_distinct()


# %% hidden="expected_distinct" points=2
def hidden_expected_distinct():
    from fractions import Fraction
    from math import comb

    for num_experts in range(1, 7):
        for top_k in range(1, num_experts + 1):
            # the law of the number of woken experts, token by token: from `awake` a token wakes `more` sleeping ones
            law = [Fraction(1)] + [Fraction(0)] * num_experts
            for num_tokens in range(6):
                want = sum(awake * p for awake, p in enumerate(law))
                got = expected_distinct(num_experts, top_k, num_tokens)
                case = f"{top_k} of {num_experts} experts, {num_tokens} tokens"
                assert abs(got - float(want)) < 1e-12, f"{case}: counted over all choices it is {float(want)}"
                assert isinstance(got, float), f"{case}: return a float"
                after = [Fraction(0)] * (num_experts + 1)
                for awake, p in enumerate(law):
                    for more in range(min(top_k, num_experts - awake) + 1):
                        ways = comb(num_experts - awake, more) * comb(awake, top_k - more)
                        after[awake + more] += p * Fraction(ways, comb(num_experts, top_k))
                law = after
    assert abs(expected_distinct(256, 8, 64) - 256 * (1 - (31 / 32) ** 64)) < 1e-9, "8 of 256 experts, 64 tokens"
    assert abs(expected_distinct(8, 2, 100_000) - 8) < 1e-6, "a very large batch wakes all of them"
    for bad, named in (((8, -1, 4), "-1"), ((3, 4, 0), "4"), ((-2, 1, 4), "-2"), ((8, 2, -7), "-7"), ((8, 0, 0), "0")):
        try:
            expected_distinct(*bad)
        except ValueError as error:
            assert named in str(error), f"the message should hold the bad value: {error}"
            continue
        raise AssertionError("a number of experts, picks or tokens that makes no sense was accepted")


hidden_expected_distinct()


# %% [markdown] task="absorbed_attention" stars=3 minutes=30
# ## 4. Attend to what was never rebuilt
#
# Multi-head latent attention (MLA) caches for each past token $s$ one short vector $c_s$ of $r$ numbers, its latent, and one rotated key $k^R_s$ of $p$ numbers that all heads share. Head $h$ could rebuild its own key $c_s W^{UK}_h$ and value $c_s W^{UV}_h$. Its score for token $s$ is
#
# $$z_{hs} = \frac{q_h \cdot (c_s W^{UK}_h) + q^R_h \cdot k^R_s}{\sqrt{n + p}}, \qquad a_h = \operatorname{softmax}_s(z_h), \qquad o_h = \sum_s a_{hs}\, c_s W^{UV}_h .$$
#
# Rebuilding makes $S \cdot n$ numbers for every head, at every step. Write `absorbed_attention(q, q_rope, latents, k_rope, up_k, up_v)`, one decode step that gives the same result and rebuilds nothing: move $W^{UK}_h$ over to the query, and apply $W^{UV}_h$ after the sum.
#
# | argument | shape | |
# |---|---|---|
# | `q` | `[H, n]` | the part of each head's query without position |
# | `q_rope` | `[H, p]` | the rotated part |
# | `latents` | `[S, r]` | the cache: one latent for each of S tokens |
# | `k_rope` | `[S, p]` | the cache: the rotated keys |
# | `up_k` | `[H, r, n]` | makes a head's key from a latent |
# | `up_v` | `[H, r, v]` | makes a head's value from a latent |
#
# Returns `[H, v]`. All S tokens are in the past, so there is no mask. No array of $S \cdot n$ or $S \cdot v$ numbers may be made, not even for one head at a time: the checks measure the peak of your memory, with an $n$ and a $v$ that are much larger than $r$. Use NumPy alone; the measure sees no other library. Large scores must not overflow. If `latents` and `k_rope` have different numbers of tokens, raise `ValueError` with both numbers.
#
# Example: with $r = 1$, `latents = [[2]]` and `up_k = [[[3, 4]]]` the key would be $(6, 8)$, and $q = (1, 1)$ scores 14 before the division. Absorbed, the query is $1 \cdot 3 + 1 \cdot 4 = 7$, and $7 \cdot 2 = 14$. (DeepSeek-V2, 2405.04434, section 2.1.)
#
# <details><summary>Hint 1</summary>
#
# $q \cdot (c\,W) = (q\,W^\top) \cdot c$. The right side needs $q\,W^\top$, with $r$ numbers per head, once. The value side is linear too: $\sum_s a_s (c_s W) = (\sum_s a_s c_s)\, W$.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.einsum("hn,hrn->hr", q, up_k)` are the absorbed queries. Their scores are a product with `latents.T`; those of the rotated part are added before the division.
#
# </details>


# %% solution="absorbed_attention"
def absorbed_attention(q, q_rope, latents, k_rope, up_k, up_v):
    """One step of MLA on the latents themselves: [H, v].

    q: [H, n]. q_rope: [H, p]. latents: [S, r]. k_rope: [S, p]. up_k: [H, r, n]. up_v: [H, r, v]. Makes no array of
    S * n or S * v numbers. Raises ValueError where latents and k_rope differ in S.
    """
    ### BEGIN SOLUTION
    if len(latents) != len(k_rope):
        raise ValueError(f"{len(latents)} latents and {len(k_rope)} rotated keys: one of each per token")
    absorbed = np.einsum("hn,hrn->hr", q, up_k)
    scores = (absorbed @ latents.T + q_rope @ k_rope.T) / math.sqrt(q.shape[1] + q_rope.shape[1])
    weight = np.exp(scores - scores.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    return np.einsum("hr,hrv->hv", weight @ latents, up_v)
    ### END SOLUTION


# %% tryit="absorbed_attention"
rng = np.random.default_rng(0)
H, S, r, n, p, v = 4, 4096, 16, 64, 8, 64
q, q_rope, latents, k_rope, up_k, up_v = (
    rng.standard_normal(shape) for shape in ((H, n), (H, p), (S, r), (S, p), (H, r, n), (H, r, v))
)
tracemalloc.start()
absorbed_attention(q, q_rope, latents, k_rope, up_k, up_v)
peak = tracemalloc.get_traced_memory()[1]
tracemalloc.stop()
print(f"peak {peak / 1e6:.1f} MB; rebuilt keys and values of all heads: {S * H * (n + v) * 8 / 1e6:.1f} MB")


# %% test="absorbed_attention" points=2
def test_absorbed_attention():
    import numpy as np

    rng = np.random.default_rng(174)
    H, S, r, n, p, v = 3, 5, 3, 6, 2, 7
    q, q_rope, latents, k_rope, up_k, up_v = (
        rng.standard_normal(shape) for shape in ((H, n), (H, p), (S, r), (S, p), (H, r, n), (H, r, v))
    )

    def expanded(width):  # with every key and value rebuilt, one head and one token at a time
        out = np.zeros((H, v))
        for h in range(H):
            keys = [np.concatenate([latents[s] @ up_k[h], k_rope[s]]) for s in range(S)]
            a = np.exp([np.concatenate([q[h], q_rope[h]]) @ key / width**0.5 for key in keys])
            out[h] = sum(a[s] / a.sum() * (latents[s] @ up_v[h]) for s in range(S))
        return out

    got = absorbed_attention(*(x.copy() for x in (q, q_rope, latents, k_rope, up_k, up_v)))
    assert got is not None, "absorbed_attention returned None: is there a return statement?"
    assert got.shape == (H, v), f"one vector of {v} numbers for each of {H} heads: yours is {got.shape}"
    for width, what in ((n, "n"), (r + p, "r + p"), (r, "r")):
        assert not np.allclose(got, expanded(width)), f"divided by the root of {what}: the model was trained with n + p"
    message = "differs from rebuilt keys and values, computed head by head"
    np.testing.assert_allclose(got, expanded(n + p), atol=1e-10, err_msg=message)
    try:
        got = absorbed_attention(q, q_rope, latents, k_rope[:4], up_k, up_v)
    except ValueError as error:
        assert "5" in str(error) and "4" in str(error), f"5 latents and 4 keys: name both numbers, it says: {error}"
    else:
        raise AssertionError("5 latents with 4 rotated keys were accepted: raise ValueError")


test_absorbed_attention()


# %% hidden="absorbed_attention" points=3
def hidden_absorbed_attention():
    import tracemalloc

    import numpy as np

    rng = np.random.default_rng(175)

    def inputs(H, S, r, n, p, v):
        return [rng.standard_normal(shape) for shape in ((H, n), (H, p), (S, r), (S, p), (H, r, n), (H, r, v))]

    for sizes in ((1, 1, 1, 1, 1, 1), (2, 9, 3, 5, 4, 2), (5, 3, 8, 2, 2, 6), (4, 30, 2, 7, 6, 3)):
        given = inputs(*sizes)
        copies = [x.copy() for x in given]
        q, q_rope, latents, k_rope, up_k, up_v = copies
        scores = np.einsum("hn,sr,hrn->hs", q, latents, up_k) + np.einsum("hp,sp->hs", q_rope, k_rope)
        scores /= (sizes[3] + sizes[4]) ** 0.5
        weight = np.exp(scores - scores.max(1, keepdims=True))
        want = np.einsum("hs,sr,hrv->hv", weight / weight.sum(1, keepdims=True), latents, up_v)
        got = absorbed_attention(*given)
        np.testing.assert_allclose(got, want, atol=1e-10, rtol=1e-10, err_msg=f"H, S, r, n, p, v = {sizes}")
        for mine, copy in zip(given, copies, strict=True):
            np.testing.assert_array_equal(mine, copy, err_msg="an argument was changed")
        got = absorbed_attention(*given[:5], -up_v)
        np.testing.assert_allclose(
            got, -want, atol=1e-10, rtol=1e-10, err_msg="values of the other sign, of the same shapes"
        )
    given = inputs(2, 4, 3, 5, 2, 3)
    given[0] *= 1e4
    got = absorbed_attention(*given)
    assert np.isfinite(got).all(), "large scores gave inf or nan: subtract the maximum before the exponential"
    best = (np.einsum("hn,sr,hrn->hs", given[0], given[2], given[4])).argmax(1)
    want = np.stack([given[2][s] @ given[5][h] for h, s in enumerate(best)])
    np.testing.assert_allclose(got, want, atol=1e-8, err_msg="with huge scores each head reads its best token alone")
    H, S, r, n, p, v = 2, 4000, 8, 256, 4, 256
    for n, v, what in ((256, 3, "keys"), (3, 256, "values")):
        given = inputs(H, S, r, n, p, v)
        tracemalloc.start()
        absorbed_attention(*given)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # rebuilt for one head they take 8 MB, the scores of both heads 0.06 MB
        assert peak < 2e6, f"{peak / 1e6:.1f} MB at the peak: the {what} were rebuilt"
    given = inputs(2, 5, 3, 4, 2, 3)
    want = absorbed_attention(*given)
    try:
        got = absorbed_attention(*(x.astype(">f8") for x in given))  # a byte order that only NumPy reads
    except (TypeError, ValueError) as error:
        raise AssertionError(f"use NumPy alone: the measure sees no other library ({error})") from error
    np.testing.assert_allclose(got, want, atol=1e-12, err_msg="the same numbers in another byte order")
    for cut in (2, 3):
        broken = [x[:1] if i == cut else x for i, x in enumerate(given)]
        try:
            absorbed_attention(*broken)
        except ValueError as error:
            assert "5" in str(error) and "1" in str(error), f"the message should hold both numbers of tokens: {error}"
            continue
        raise AssertionError("different numbers of latents and rotated keys were accepted")


hidden_absorbed_attention()


# %% [markdown] task="text_order" stars=2 minutes=20
# ## 5. A ring that keeps the first tokens
#
# With a sliding window a cache needs only `window` slots: a new token takes the place of the oldest. Models that were trained without a window break when their **first** tokens go, so the first few are kept for good, in slots of their own. The cache has `num_first + window` slots:
#
# - the tokens at positions 0 … `num_first` − 1 lie in the slots of the same number, and stay;
# - all later tokens go round and round through the `window` slots behind: position `num_first` into slot `num_first`, the next into the next, and after the last slot again into slot `num_first`.
#
# Write two functions. `slot_of(position, num_first, window)`: the slot of a token (an `int`). `text_order(length, num_first, window)`: when `length` tokens have come (positions 0 … `length` − 1), the **slots** of all tokens that are still held, as a list in the order of the text, oldest first. Attention reads the cache in this order, `k[text_order(…)]`. The text may have a billion tokens: do not walk through all of its positions.
#
# Example: `num_first=2, window=3`. Positions 0 to 7 go into slots 0, 1, 2, 3, 4, 2, 3, 4. After 7 tokens, positions 0, 1 and 4, 5, 6 are held, in the slots 0, 1, 4, 2, 3: `text_order(7, 2, 3)` is `[0, 1, 4, 2, 3]`. After 3 tokens it is `[0, 1, 2]`, after none `[]`. With `num_first=0` it is the plain ring of chapter 5.
#
# A negative `position`, `length` or `num_first` and a `window` below 1 raise `ValueError`, in both functions. (The effect of the first tokens, called attention sinks: Xiao et al. 2023, 2309.17453.)
#
# <details><summary>Hint 1</summary>
#
# Count the later tokens from the end of the first ones: position − `num_first`. A remainder says where on the ring that is.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Write down the positions that are held, in order, and put each through `slot_of`: the first ones that have come, then the last `window` of the others. The second list begins at the larger of `num_first` and `length − window`.
#
# </details>


# %% solution="text_order"
def slot_of(position, num_first, window):
    """The slot of the token at `position`, an int.

    position, num_first: 0 or more. window: 1 or more. Raises ValueError otherwise.
    """
    ### BEGIN SOLUTION
    if position < 0 or num_first < 0 or window < 1:
        raise ValueError(f"position {position}, num_first {num_first}: 0 or more; window {window}: 1 or more")
    if position < num_first:
        return position
    return num_first + (position - num_first) % window
    ### END SOLUTION


def text_order(length, num_first, window):
    """The slots of the tokens held after `length` tokens, in the order of the text: a list of ints.

    length, num_first: 0 or more. window: 1 or more. Raises ValueError otherwise.
    """
    ### BEGIN SOLUTION
    if length < 0 or num_first < 0 or window < 1:
        raise ValueError(f"length {length}, num_first {num_first}: 0 or more; window {window}: 1 or more")
    held = [*range(min(length, num_first)), *range(max(num_first, length - window), length)]
    return [slot_of(position, num_first, window) for position in held]
    ### END SOLUTION


# %% tryit="text_order"
cache = ["-"] * 5
for position, token in enumerate("The cat sat on the mat and slept".split()):
    cache[slot_of(position, 2, 3)] = token
    held = [cache[slot] for slot in text_order(position + 1, 2, 3)]
    print(f"{str(cache):45} read as: {' '.join(held)}")


# %% test="text_order" points=1
def test_text_order():
    got = [slot_of(position, 2, 3) for position in range(8)]
    assert got[0] is not None, "slot_of returned None: is there a return statement?"
    assert got != [0, 1, 2, 0, 1, 2, 0, 1], "the first 2 tokens have slots of their own; the ring lies behind them"
    assert got != [0, 1, 4, 2, 3, 4, 2, 3], "position 2 goes into slot 2: count from the end of the first tokens"
    assert got == [0, 1, 2, 3, 4, 2, 3, 4], f"positions 0 to 7: slots 0, 1, 2, 3, 4, 2, 3, 4, you returned {got}"
    got = text_order(7, 2, 3)
    assert got is not None, "text_order returned None: is there a return statement?"
    assert got != [0, 1, 2, 3, 4], (
        "all five slots, but not in the order of the text: position 4 lies in slot 4, 5 in slot 2"
    )
    assert got != [0, 1, 4, 5, 6], "these are positions: return the slots in which they lie"
    assert list(got) == [0, 1, 4, 2, 3], f"after 7 tokens: [0, 1, 4, 2, 3], you returned {got}"
    assert list(text_order(3, 2, 3)) == [0, 1, 2], f"after 3 tokens: [0, 1, 2], you returned {text_order(3, 2, 3)}"
    assert list(text_order(0, 2, 3)) == [], f"no token has come: [], you returned {text_order(0, 2, 3)}"
    assert list(text_order(1, 2, 3)) == [0], f"one token, one of the first: [0], you returned {text_order(1, 2, 3)}"
    for function in (slot_of, text_order):
        for bad, named in (((-1, 2, 3), "-1"), ((4, -2, 3), "-2"), ((4, 2, 0), "0")):
            try:
                got = function(*bad)
            except ValueError as error:
                assert named in str(error), f"the ValueError should name the bad value {named}, it says: {error}"
            except ZeroDivisionError as error:
                raise AssertionError("a window of 0 divided by zero: raise ValueError before that") from error
            else:
                raise AssertionError(f"{bad} returned {got}: raise ValueError")


test_text_order()


# %% hidden="text_order" points=2
def hidden_text_order():
    assert all(type(slot) is int for slot in text_order(9, 2, 4)), "return a list of plain ints"
    for num_first in range(5):
        for window in range(1, 6):
            slots, held = [None] * (num_first + window), []
            for position in range(4 * window + num_first + 3):
                case = f"num_first {num_first}, window {window}, after {position} tokens"
                got = text_order(position, num_first, window)
                assert isinstance(got, list), f"{case}: return a list"
                assert all(0 <= slot < len(slots) for slot in got), f"{case}: there are num_first + window slots"
                assert [slots[slot] for slot in got] == held, (
                    f"{case}: these slots hold other tokens than the text's last"
                )
                slot = slot_of(position, num_first, window)
                assert isinstance(slot, int), f"{case}: a slot is an int"
                assert 0 <= slot < len(slots), f"{case}: the next token goes into a slot that does not exist"
                # a slot is free, or holds the oldest token that is not one of the first
                if len(held) < len(slots):
                    assert slots[slot] is None, f"{case}: a slot that was free is passed over, a token is lost"
                    assert slot == len(held), f"{case}: the slots fill from the front"
                else:
                    assert slots[slot] == held[num_first], f"{case}: the oldest token behind the first ones goes"
                    del held[num_first]
                slots[slot] = position
                held.append(position)
    assert slot_of(1_000_003, 4, 1000) == 4 + 999, "far into a text: the remainder of position less num_first"
    assert text_order(10**9, 1, 2) == [0, 2, 1], "far into a text, in no more time than for a short one"
    for function in (slot_of, text_order):
        for bad, named in (
            ((-5, 0, 1), "-5"),
            ((0, -1, 1), "-1"),
            ((0, 0, -3), "-3"),
            ((0, 3, 0), "0"),
            ((9, -4, 2), "-4"),
        ):
            try:
                function(*bad)
            except ValueError as error:
                assert named in str(error), f"the message should hold the bad value: {error}"
                continue
            raise AssertionError("a negative count or a window below 1 was accepted")


hidden_text_order()


# %% [markdown] task="yarn_frequencies" stars=2 minutes=25
# ## 6. YaRN: a longer text for the same rotations
#
# RoPE turns pair $i$ of a head of $D$ numbers by $p\,\theta^{-2i/D}$ radians at position $p$. Trained on $L$ positions, a model has never seen a slow pair turn further than $L\,\theta^{-2i/D}$. For a text `factor` times as long, YaRN turns the slow pairs `factor` times slower, so that their angles stay in the known range, and leaves the fast ones, which tell neighbours apart, as they are. Between the two lies a ramp. Write `yarn_frequencies(head_dim, theta, factor, original)`, where `original` is $L$:
#
# 1. The plain frequencies: $f_i = \theta^{-2i/D}$ for $i = 0 \dots D/2 - 1$.
# 2. The pair (a real number, not yet rounded) that turns $n$ times within $L$ positions: $\displaystyle b(n) = \frac{D\,\ln\!\big(L / (2\pi n)\big)}{2 \ln \theta}$.
# 3. The ramp lies between $low = b(32)$, rounded **down**, and $high = b(1)$, rounded **up**. If $low$ is below 0, take 0; if $high$ is above $D - 1$, take $D - 1$. (All sizes here are such that $low < high$.)
# 4. The share that is slowed: $r_i = (i - low) / (high - low)$, but at least 0 and at most 1.
# 5. The result: $f_i\,(1 - r_i) + r_i\, f_i / factor$.
#
# Return `(frequencies, scale)`: an array of $D/2$ frequencies, and $scale = 0.1 \ln(factor) + 1$, a `float` with which all cosines and sines are multiplied, so that attention over more tokens stays as sharp. A `factor` below 1 or an odd `head_dim` raises `ValueError`.
#
# Example: `yarn_frequencies(8, 10000, 4, 4096)`. $b(32) = 1.31$ and $b(1) = 2.81$, so the ramp runs from 1 to 3. The plain frequencies are 1, 0.1, 0.01 and 0.001; the shares 0, 0, 0.5 and 1; the result 1, 0.1, 0.00625 and 0.00025; the scale 1.1386. (Peng et al. 2023, 2309.00071; steps 2 to 4 are those of the transformers library.)
#
# <details><summary>Hint 1</summary>
#
# With `factor=1` nothing changes: the frequencies are the plain ones and the scale is 1. Check that first.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `math.floor`, `math.ceil`, `math.log` and `math.pi`; `np.arange(head_dim // 2)` are the pairs and `np.clip` keeps the shares between 0 and 1.
#
# </details>


# %% solution="yarn_frequencies"
def yarn_frequencies(head_dim, theta, factor, original):
    """Radians per position of each pair, [head_dim / 2], and the scale of cosines and sines, a float.

    head_dim: even. theta: RoPE's base. factor: 1 or more. original: positions of the training. Raises ValueError for
    an odd head_dim or a factor below 1.
    """
    ### BEGIN SOLUTION
    if head_dim % 2:
        raise ValueError(f"head_dim must be even, got {head_dim}")
    if factor < 1:
        raise ValueError(f"factor must be at least 1, got {factor}")
    pairs = np.arange(head_dim // 2)
    plain = theta ** (-2 * pairs / head_dim)
    low, high = (head_dim * math.log(original / (2 * math.pi * n)) / (2 * math.log(theta)) for n in (32, 1))
    low, high = max(math.floor(low), 0), min(math.ceil(high), head_dim - 1)
    share = np.clip((pairs - low) / (high - low), 0, 1)
    return plain * (1 - share) + plain / factor * share, 0.1 * math.log(factor) + 1
    ### END SOLUTION


# %% tryit="yarn_frequencies"
frequencies, scale = yarn_frequencies(64, 10_000.0, 4, 4096)
plain = 10_000.0 ** (-np.arange(0, 64, 2) / 64)
print(f"scale {scale:.4f}")
print("pair   turns in 4,096 positions   slowed by")
for pair in (0, 8, 16, 20, 24, 31):
    print(f"{pair:4} {plain[pair] * 4096 / (2 * np.pi):20.2f} {plain[pair] / frequencies[pair]:18.2f}")


# %% test="yarn_frequencies" points=1
def test_yarn_frequencies():
    import math

    import numpy as np

    got = yarn_frequencies(8, 10000, 4, 4096)
    assert got is not None, "yarn_frequencies returned None: is there a return statement?"
    frequencies, scale = got
    assert len(frequencies) == 4, f"8 numbers are 4 pairs, you returned {len(frequencies)}"
    assert not np.allclose(frequencies, np.array([1, 0.1, 0.01, 0.001]) / 4), (
        "all pairs were slowed: the fast ones stay"
    )
    want = [1, 0.1, 0.00625, 0.00025]
    np.testing.assert_allclose(frequencies, want, rtol=1e-12, err_msg="the example: 1, 0.1, 0.00625, 0.00025")
    assert abs(scale - 0.4 - 1) > 1e-9, "0.1 times the natural logarithm of the factor, not 0.1 times the factor"
    assert abs(scale - (0.1 * math.log(4) + 1)) < 1e-12, f"the scale: 1.1386, you returned {scale}"
    frequencies, scale = yarn_frequencies(16, 500.0, 1, 2048)
    message = "with factor 1 the frequencies are RoPE's own"
    np.testing.assert_allclose(frequencies, 500.0 ** (-np.arange(8) / 8), rtol=1e-12, err_msg=message)
    assert scale == 1, f"with factor 1 the scale is 1, you returned {scale}"
    for bad, named in (((8, 1e4, 0.5, 4096), "0.5"), ((7, 1e4, 4, 4096), "7")):
        try:
            got = yarn_frequencies(*bad)
        except ValueError as error:
            assert named in str(error), f"the ValueError should name the bad value {named}, it says: {error}"
        else:
            raise AssertionError(f"yarn_frequencies{bad} returned {got}: raise ValueError")


test_yarn_frequencies()


# %% hidden="yarn_frequencies" points=2
def hidden_yarn_frequencies():
    import math

    import numpy as np

    try:
        yarn_frequencies(7, 1e4, 1, 100)
    except ValueError:
        pass
    else:
        raise AssertionError("an odd head_dim was accepted with a factor of 1: raise ValueError")
    rng = np.random.default_rng(176)
    cases = [(64, 1e4, 32.0, 4096), (128, 5e5, 8, 8192), (64, 100000.0, 2, 2048), (16, 1e4, 40, 4096), (32, 10, 3, 100)]
    cases += [(24, 50.0, 5, 150), (10, 1.1e3, 1, 700), (16, 10.0, 4, 1000), (12, 7.0, 3, 900)]
    for _ in range(20):
        length = int(rng.integers(300, 20000))
        cases.append((2 * int(rng.integers(6, 70)), float(10 ** rng.uniform(4, 6)), float(rng.uniform(1, 60)), length))
    for head_dim, theta, factor, original in cases:
        frequencies, scale = yarn_frequencies(head_dim, theta, factor, original)
        case = f"head_dim {head_dim}, theta {theta}, factor {factor}, original {original}"
        low = math.floor(head_dim / 2 * math.log(original / 64 / math.pi, theta))
        high = math.ceil(head_dim / 2 * math.log(original / 2 / math.pi, theta))
        low, high = (0 if low < 0 else low), (head_dim - 1 if high > head_dim - 1 else high)
        assert len(frequencies) == head_dim // 2, f"{case}: one frequency for each pair"
        for i in range(head_dim // 2):
            plain = math.exp(-2 * i / head_dim * math.log(theta))
            share = 0 if i <= low else 1 if i >= high else (i - low) / (high - low)
            want = plain * (1 - share) + plain / factor * share
            place = "before" if i <= low else "behind" if i >= high else "on"
            assert abs(frequencies[i] / want - 1) < 1e-11, f"{case}: a pair {place} the ramp has another frequency"
        assert isinstance(scale, float), f"{case}: the scale is a float"
        assert abs(scale - math.log(math.e**10 * factor) / 10) < 1e-11, f"{case}: the scale is 1 + ln(factor) / 10"
    for bad in ((8, 1e4, 0.99, 4096), (8, 1e4, 0, 4096), (8, 1e4, -4, 4096), (9, 1e4, 4, 4096), (1, 1e4, 4, 4096)):
        try:
            yarn_frequencies(*bad)
        except ValueError as error:
            value = bad[0] if bad[0] % 2 else bad[2]
            assert str(value) in str(error), f"the message should hold the bad value: {error}"
            continue
        raise AssertionError("an odd head or a factor below 1 was accepted")


hidden_yarn_frequencies()


# %% [markdown] task="state_step" stars=3 minutes=30
# ## 7. A state instead of a cache
#
# Leave the softmax out, and let the weight of an old token fade by a factor at every step. Then the output for token $t$ is
#
# $$o_t = \sum_{s \le t} \gamma^{\,t-s}\, (q_t \cdot k_s)\, v_s .$$
#
# Read from left to right this needs all old keys and values, as attention does. But the query can be taken out of the sum: $o_t = q_t\, S_t$ with the matrix $S_t = \sum_{s \le t} \gamma^{\,t-s}\, k_s^\top v_s$, and this matrix is all that must be kept: $S_t = \gamma\, S_{t-1} + k_t^\top v_t$. Its size does not depend on the text. Write both forms:
#
# - `quadratic(q, k, v, decay)`: all tokens at once, by the sum. `q` and `k` are `[N, d_k]`, `v` is `[N, d_v]`, the result `[N, d_v]`. It may build the `[N, N]` matrix of weights, as a prefill does.
# - `state_step(state, q, k, v, decay)`: one token. `state` is `[d_k, d_v]`, all zeros before the first token; `q` and `k` are `[d_k]`, `v` is `[d_v]`. Returns `(output [d_v], new state [d_k, d_v])`. The old state fades first, then the new token is written, then the query reads: a token sees itself undiminished. The given state stays as it is.
#
# `decay` is $\gamma$, a number above 0 and at most 1; anything else, NaN too, raises `ValueError` with the value in the message, in both functions. There is no division by a root and no softmax. The sum must stay finite for hundreds of tokens and a decay of 0.01.
#
# Example: two tokens with $d_k = d_v = 1$, $q = (1, 1)$, $k = (2, 3)$, $v = (5, 7)$, $\gamma = 0.5$. The first output is $1 \cdot 2 \cdot 5 = 10$ and the state is 10. Then the state is $0.5 \cdot 10 + 3 \cdot 7 = 26$, and so is the output. (Katharopoulos et al. 2020, 2006.16236; the fading is that of lightning attention and of gated models.)
#
# <details><summary>Hint 1</summary>
#
# The state is a sum of outer products: `np.outer(k, v)` is one of them. A query reads it with one product, `q @ state`.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For the quadratic form, `distance = np.arange(N)[:, None] - np.arange(N)`. Where it is negative the weight is 0: take care that a negative power of a small decay does not overflow before you throw it away.
#
# </details>


# %% solution="state_step"
def quadratic(q, k, v, decay):
    """Causal linear attention with decay by the sum over all pairs: [N, d_v].

    q, k: [N, d_k]. v: [N, d_v]. decay: above 0, at most 1, else ValueError.
    """
    ### BEGIN SOLUTION
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie above 0 and be at most 1, got {decay}")
    distance = np.arange(len(q))[:, None] - np.arange(len(q))
    fading = np.where(distance >= 0, float(decay) ** np.maximum(distance, 0), 0.0)
    return (fading * (q @ k.T)) @ v
    ### END SOLUTION


def state_step(state, q, k, v, decay):
    """One token through the state: (output [d_v], new state [d_k, d_v]).

    state: [d_k, d_v]. q, k: [d_k]. v: [d_v]. decay: above 0, at most 1, else ValueError.
    """
    ### BEGIN SOLUTION
    if not 0 < decay <= 1:
        raise ValueError(f"decay must lie above 0 and be at most 1, got {decay}")
    state = decay * state + np.outer(k, v)
    return q @ state, state
    ### END SOLUTION


# %% tryit="state_step"
rng = np.random.default_rng(0)
q, k, v = rng.standard_normal((3, 1000, 8))
state = np.zeros((8, 8))
for t in range(1000):
    out, state = state_step(state, q[t], k[t], v[t], 0.97)
print("last token, two ways differ by", np.abs(out - quadratic(q, k, v, 0.97)[-1]).max())
print(f"the state has {state.size} numbers, keys and values of 1,000 tokens {2 * 1000 * 8:,}")


# %% test="state_step" points=2
def test_state_step():
    import numpy as np

    q, k, v = (np.array(x)[:, None] for x in ([1.0, 1.0], [2.0, 3.0], [5.0, 7.0]))
    got = quadratic(q.copy(), k.copy(), v.copy(), 0.5)
    assert got is not None, "quadratic returned None: is there a return statement?"
    assert got.shape == (2, 1), f"2 tokens, values of 1 number: (2, 1), yours is {got.shape}"
    assert got[0, 0] != 10 + 0.5 * 21 and got[0, 0] != 10 + 2 * 21, "the first token saw the second: only s ≤ t counts"
    assert got[1, 0] != 0.5 * 26 - 0.5 * 5 + 2.5 - 2 and got[1, 0] != 31, "31 is the sum without the fading"
    np.testing.assert_allclose(got[:, 0], [10, 26], atol=1e-12, err_msg="the example: 10 and 26")
    got = state_step(np.zeros((1, 1)), q[0], k[0], v[0], 0.5)
    assert got is not None, "state_step returned None: is there a return statement?"
    out, state = got
    assert out.shape == (1,) and state.shape == (1, 1), f"shapes (1,) and (1, 1), yours: {out.shape}, {state.shape}"
    assert out[0] != 0, "the new token is written before the query reads: it sees itself"
    assert (out[0], state[0, 0]) == (10, 10), f"first token: output 10, state 10; you returned {out[0]}, {state[0, 0]}"
    out, state = state_step(np.array([[10.0]]), q[1], k[1], v[1], 0.5)
    assert state[0, 0] != 15.5, "15.5: the new token faded too; only the old state does"
    assert (out[0], state[0, 0]) == (26, 26), f"second token: output 26, state 26; you returned {out[0]}, {state[0, 0]}"
    rng = np.random.default_rng(177)
    q, k, v = rng.standard_normal((6, 4)), rng.standard_normal((6, 4)), rng.standard_normal((6, 3))
    state, want = np.zeros((4, 3)), quadratic(q.copy(), k.copy(), v.copy(), 0.8)
    for t in range(6):
        out, state = state_step(state, q[t], k[t], v[t], 0.8)
        np.testing.assert_allclose(out, want[t], atol=1e-10, err_msg=f"token {t}: your two forms differ")
    for bad in (0, 1.5, -0.5):
        for call in (lambda: quadratic(q, k, v, bad), lambda: state_step(np.zeros((4, 3)), q[0], k[0], v[0], bad)):  # noqa: B023
            try:
                got = call()
            except ValueError as error:
                assert str(bad) in str(error), f"the ValueError should name the decay {bad}, it says: {error}"
            else:
                raise AssertionError(f"a decay of {bad} was accepted: raise ValueError")


test_state_step()


# %% hidden="state_step" points=3
def hidden_state_step():
    import numpy as np

    rng = np.random.default_rng(178)
    for num, d_k, d_v, decay in ((1, 1, 1, 1.0), (5, 3, 2, 0.9), (9, 2, 6, 0.25), (12, 4, 4, 1.0), (7, 1, 3, 0.999)):
        q, k, v = (rng.standard_normal((num, d)) for d in (d_k, d_k, d_v))
        copies = [x.copy() for x in (q, k, v)]
        want = np.zeros((num, d_v))
        for t in range(num):
            for s in range(t + 1):
                want[t] += decay ** (t - s) * sum(q[t, i] * k[s, i] for i in range(d_k)) * v[s]
        case = f"{num} tokens, d_k {d_k}, d_v {d_v}, decay {decay}"
        got = quadratic(q, k, v, decay)
        assert got.shape == (num, d_v), f"{case}: the result is [N, d_v]"
        np.testing.assert_allclose(got, want, atol=1e-10, err_msg=f"{case}: the sum over all pairs, term by term")
        np.testing.assert_allclose(quadratic(q, k, -v, decay), -want, atol=1e-10, err_msg=f"{case}: other values")
        state, states = np.zeros((d_k, d_v)), []
        for t in range(num):
            states.append((state, state.copy()))
            out, state = state_step(state, q[t], k[t], v[t], decay)
            np.testing.assert_allclose(out, want[t], atol=1e-10, err_msg=f"{case}: token by token through the state")
            exact = sum(decay ** (t - s) * k[s][:, None] * v[s] for s in range(t + 1))
            np.testing.assert_allclose(state, exact, atol=1e-10, err_msg=f"{case}: the state")
        for given, before in states:
            np.testing.assert_array_equal(given, before, err_msg="the given state was changed")
        for mine, copy in zip((q, k, v), copies, strict=True):
            np.testing.assert_array_equal(mine, copy, err_msg="an argument was changed")
    q, k, v = rng.standard_normal((3, 600, 2))
    with np.errstate(all="ignore"):
        got = quadratic(q, k, v, 0.01)
    assert np.isfinite(got).all(), "600 tokens with a decay of 0.01: a negative power overflowed"
    np.testing.assert_allclose(got[0], q[0] @ k[0] * v[0], atol=1e-10, err_msg="the first token sees itself alone")
    start = rng.standard_normal((2, 2))
    out, state = state_step(start, q[0], k[0], v[0], 0.5)
    np.testing.assert_allclose(out, q[0] @ (0.5 * start) + q[0] @ k[0] * v[0], atol=1e-10, err_msg="from any state")
    again, other = state_step(-start, q[0], k[0], v[0], 0.5)
    assert not np.allclose(out, again), "from another state of the same shape another output"
    for bad in (0, 0.0, -1, 1.0001, 2, float("nan")):
        for form in ("quadratic", "state_step"):
            try:
                quadratic(q, k, v, bad) if form == "quadratic" else state_step(start, q[0], k[0], v[0], bad)
            except ValueError as error:
                assert str(bad) in str(error), f"{form}: the message should hold the decay: {error}"
                continue
            raise AssertionError(f"{form}: a decay outside of 0 to 1 was accepted")


hidden_state_step()


# %% [markdown] task="sequence_bytes" stars=1 minutes=15
# ## 8. What a request holds
#
# The models of today mix kinds of layers, so the bytes of a request are no longer one product. Write `sequence_bytes(layers, context, bytes_per)`: the bytes that one request of `context` tokens keeps in memory. `layers` is a list with one dict per layer:
#
# | `kind` | other entries | kept |
# |---|---|---|
# | `"full"` | `kv_heads`, `head_dim` | keys and values of all tokens |
# | `"window"` | `kv_heads`, `head_dim`, `window` | keys and values of the last `window` tokens, or of all if there are fewer |
# | `"latent"` | `rank`, `rope` | `rank + rope` numbers for each token |
# | `"state"` | `heads`, `d_k`, `d_v` | one `d_k` × `d_v` matrix for each head, whatever the context |
#
# A number takes `bytes_per` bytes, but a state's always 4: a sum over thousands of tokens needs float32. `bytes_per` may be a fraction (0.5 for 4 bits); the sum over all layers is rounded up to whole bytes **once**, at the end. Return an `int`.
#
# Example: a full layer of 2 KV heads with 8 numbers holds $2 \cdot 2 \cdot 8 = 32$ numbers per token. At 100 tokens and 2 bytes that is 6,400; with a window of 10 it is 640. A state of 4 heads of 8 × 8 holds 256 numbers, 1,024 bytes. All three layers together: 8,064.
#
# An unknown `kind`, a negative `context`, and a `bytes_per` of 0 or less raise `ValueError`. A context of 0 is fine: only states take room then.
#
# <details><summary>Hint 1</summary>
#
# One branch per kind gives the bytes of a layer. Which of the four does not look at `bytes_per`?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Add up first and call `math.ceil` on the sum. The tokens of a window are `min(context, window)`.
#
# </details>


# %% solution="sequence_bytes"
def sequence_bytes(layers, context, bytes_per=2):
    """Bytes that one request keeps, over all layers, an int rounded up once.

    layers: list of dicts as in the table. context: tokens, 0 or more. bytes_per: above 0. Raises ValueError for others
    and for an unknown kind.
    """
    ### BEGIN SOLUTION
    if context < 0:
        raise ValueError(f"context cannot be negative, got {context}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    total = 0
    for layer in layers:
        kind = layer["kind"]
        if kind in ("full", "window"):
            tokens = context if kind == "full" else min(context, layer["window"])
            total += 2 * layer["kv_heads"] * layer["head_dim"] * tokens * bytes_per
        elif kind == "latent":
            total += (layer["rank"] + layer["rope"]) * context * bytes_per
        elif kind == "state":
            total += 4 * layer["heads"] * layer["d_k"] * layer["d_v"]
        else:
            raise ValueError(f"no such kind of layer: {kind!r}")
    return math.ceil(total)
    ### END SOLUTION


# %% tryit="sequence_bytes"
full = {"kind": "full", "kv_heads": 8, "head_dim": 128}
kinds = {
    "full": [full] * 32,
    "half with a window": [full, full | {"kind": "window", "window": 4096}] * 16,
    "latent": [{"kind": "latent", "rank": 512, "rope": 64}] * 32,
    "three of four a state": [{"kind": "state", "heads": 32, "d_k": 128, "d_v": 128}] * 24 + [full] * 8,
}
print(f"{'32 layers, MB':22}" + "".join(f"{context:>10,}" for context in (1024, 16_384, 131_072)))
for name, layers in kinds.items():
    sizes = [sequence_bytes(layers, context) / 1e6 for context in (1024, 16_384, 131_072)]
    print(f"{name:22}" + "".join(f"{size:10.0f}" for size in sizes))


# %% test="sequence_bytes" points=1
def test_sequence_bytes():
    full = {"kind": "full", "kv_heads": 2, "head_dim": 8}
    window = {"kind": "window", "kv_heads": 2, "head_dim": 8, "window": 10}
    latent, state = {"kind": "latent", "rank": 20, "rope": 4}, {"kind": "state", "heads": 4, "d_k": 8, "d_v": 8}
    got = sequence_bytes([full], 100, 2)
    assert got is not None, "sequence_bytes returned None: is there a return statement?"
    assert got != 3200, "3200 is the keys alone: K and V are two arrays"
    assert got == 6400, f"2 heads of 8, 100 tokens, 2 bytes: 6400, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    got = sequence_bytes([window], 100, 2)
    assert got == 640, f"a window of 10: 640, you returned {got}"
    assert sequence_bytes([window], 4, 2) == 256, "4 tokens do not fill a window of 10: 256 bytes"
    got = sequence_bytes([latent], 100, 2)
    assert got != 9600, "9600 counts the latent twice: keys and values come from the same one"
    assert got == 4800, f"24 numbers, 100 tokens, 2 bytes: 4800, you returned {got}"
    got = sequence_bytes([state], 100, 2)
    assert got != 512, "512: a state is kept in float32, 4 bytes each, whatever bytes_per says"
    assert got == 1024, f"4 heads of 8 × 8, 4 bytes: 1024, you returned {got}"
    assert sequence_bytes([full, window, state], 100, 2) == 8064, "all three layers together: 8064"
    for bad, named in ((([full], -1, 2), "-1"), (([full], 5, 0), "0"), (([{"kind": "rnn"}], 5, 2), "rnn")):
        try:
            got = sequence_bytes(*bad)
        except ValueError as error:
            assert named in str(error), f"the ValueError should name {named}, it says: {error}"
        else:
            raise AssertionError(f"{bad} returned {got}: raise ValueError")


test_sequence_bytes()


# %% hidden="sequence_bytes" points=2
def hidden_sequence_bytes():
    import copy
    import random
    from fractions import Fraction

    rng = random.Random(179)

    def random_layer():
        sizes = {
            name: rng.randint(1, 9)
            for name in ("kv_heads", "head_dim", "window", "rank", "rope", "heads", "d_k", "d_v")
        }
        kind = rng.choice(("full", "window", "latent", "state"))
        names = {"full": ("kv_heads", "head_dim"), "window": ("kv_heads", "head_dim", "window"),
                 "latent": ("rank", "rope"), "state": ("heads", "d_k", "d_v")}[kind]  # fmt: skip
        return {"kind": kind} | {name: sizes[name] for name in names}

    for _ in range(150):
        layers = [random_layer() for _ in range(rng.randint(0, 6))]
        context, bytes_per = rng.choice((0, 1, 3, 8, 20)), rng.choice((0.5, 1, 2, 4, 0.25))
        before, want = copy.deepcopy(layers), Fraction(0)
        for layer in layers:
            if layer["kind"] == "state":
                want += 4 * layer["heads"] * layer["d_k"] * layer["d_v"]
                continue
            for token in range(context):  # from the newest to the oldest
                if token < layer.get("window", context):
                    each = (
                        layer["rank"] + layer["rope"]
                        if layer["kind"] == "latent"
                        else 2 * layer["kv_heads"] * layer["head_dim"]
                    )
                    want += each * Fraction(bytes_per)
        got = sequence_bytes(layers, context, bytes_per)
        case = f"{len(layers)} layers, {context} tokens, {bytes_per} bytes a number"
        assert got == -(-want.numerator // want.denominator), f"{case}: counted token by token it is another number"
        assert isinstance(got, int), f"{case}: return an int"
        assert layers == before, f"{case}: the list of layers was changed"
    latent = {"kind": "latent", "rank": 2, "rope": 1}
    assert sequence_bytes([latent] * 2, 1, 0.5) == 3, "two layers of one and a half bytes: the sum is rounded, once"
    assert sequence_bytes([latent], 1, 0.5) == 2, "one and a half bytes take two"
    assert sequence_bytes([], 1000) == 0, "no layers hold nothing"
    assert sequence_bytes([latent], 10) == 60, "without the last argument a number takes 2 bytes"
    huge = {"kind": "full", "kv_heads": 3, "head_dim": 10**9 + 7}
    assert sequence_bytes([huge], 10**9 + 9, 2) == 12 * (10**9 + 7) * (10**9 + 9), "large sizes stay exact"
    for bad, named in (
        (([latent], -3, 2), "-3"),
        (([latent], 3, -2), "-2"),
        (([latent, {"kind": "Full"}], 3, 2), "Full"),
        (([], 3, 0), "0"),
    ):
        try:
            sequence_bytes(*bad)
        except ValueError as error:
            assert named in str(error), f"the message should hold the bad value: {error}"
            continue
        raise AssertionError("a negative context, a size of no bytes or an unknown kind was accepted")


hidden_sequence_bytes()


# %% [markdown] task="lora_product" stars=2 minutes=20
# ## 9. Many fine-tunes, one batch
#
# A LoRA adapter changes a matrix $W$ by a product of two thin ones: $W + s\,A B$, with $A$ `[d, r]`, $B$ `[r, out]`, a small rank $r$ and a scale $s$. A server that keeps many adapters beside one model gets a batch in which each row may want another one. Write `lora_product(x, names, store)`:
#
# $$y_t = x_t W + s_i\,(x_t A_i) B_i, \qquad i = \text{names}_t$$
#
# - `x`: `[T, d]`, the rows of the batch. `names`: a list of T names; `None` says that the row has no adapter and gets $x_t W$ alone.
# - `store.base(x)` multiplies rows with $W$ and returns a new array `[T, out]`. It is the expensive product: call it **once**, with all rows.
# - `store.read(name)` gives `(A, B, s)` of one adapter. Ranks differ. Each adapter that a row names is read **exactly once**, and no other one is.
# - Multiply from the left, $(x A) B$: the product $A B$ is as large as $W$, and must never be made.
# - Returns `[T, out]`.
#
# Before anything is multiplied or read, a name that is not in `store.names`, and a list `names` of another length than `x`, raise `ValueError`, with the name or the length in the message.
#
# Example: rows named `["law", None, "code", "law"]` make one base product of four rows, one product of two rows with the matrices of `law` and one of one row with those of `code`. With $d = out = 4096$ and rank 16, the base product costs $2 \cdot 4096^2$ operations for a row, the adapter's two $2 \cdot 2 \cdot 4096 \cdot 16$: less than one in a hundred.
#
# <details><summary>Hint 1</summary>
#
# This is exercise 2 with a term that all rows share. The rows of an adapter need not stand together.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Begin with the base product of everything. For each different name but `None`, find its rows, and add their low-rank term to these rows of the result.
#
# </details>


# %% solution="lora_product"
def lora_product(x, names, store):
    """x @ W for all rows, plus each row's own low-rank term.

    x: [T, d]. names: T names of adapters, None for no adapter. store: base(x), read(name) and names, as above.
    Returns [T, out]. Raises ValueError for an unknown name or another number of names.
    """
    ### BEGIN SOLUTION
    if len(names) != len(x):
        raise ValueError(f"{len(names)} names for {len(x)} rows")
    wanted = {name for name in names if name is not None}
    for name in wanted:
        if name not in store.names:
            raise ValueError(f"there is no adapter {name!r}")
    out = store.base(x)
    for name in wanted:
        a, b, scale = store.read(name)
        rows = [row for row, each in enumerate(names) if each == name]
        out[rows] += scale * (x[rows] @ a @ b)
    return out
    ### END SOLUTION


# %% tryit="lora_product"
rng = np.random.default_rng(0)
thin = {name: (rng.standard_normal((6, r)), rng.standard_normal((r, 5)), 0.5) for name, r in (("law", 2), ("code", 1))}
store = Store(rng.standard_normal((6, 5)), thin)
result = lora_product(rng.standard_normal((4, 6)), ["law", None, "code", "law"], store)
print("result:", result.shape, " rows of base products:", store.base_rows, " adapters read:", store.reads)


# %% test="lora_product" points=1
def test_lora_product():
    import numpy as np

    rng = np.random.default_rng(179)
    weight, x = rng.standard_normal((4, 3)), rng.standard_normal((5, 4))
    adapters = {
        name: (rng.standard_normal((4, rank)), rng.standard_normal((rank, 3)), scale)
        for name, rank, scale in (("law", 1, 2.0), ("code", 3, 0.25), ("poems", 2, 1.0))
    }
    names, store = ["code", None, "law", "code", None], Store(weight, adapters)
    want = np.array([row @ weight for row in x])
    for t, name in enumerate(names):
        if name:
            a, b, scale = adapters[name]
            want[t] += scale * (x[t] @ (a @ b))
    got = lora_product(x.copy(), list(names), store)
    assert got is not None, "lora_product returned None: is there a return statement?"
    assert got.shape == (5, 3), f"5 rows of 3 numbers: (5, 3), yours is {got.shape}"
    plain = [1, 4]
    message = "a row without an adapter must get the base product alone"
    np.testing.assert_allclose(got[plain], want[plain], atol=1e-10, err_msg=message)
    message = "differs from one row at a time: is the term scaled, added to the base, and each row's own?"
    np.testing.assert_allclose(got, want, atol=1e-10, err_msg=message)
    assert store.base_rows == [5], f"one base product of all 5 rows, yours had {store.base_rows} rows"
    reads = sorted(store.reads)
    assert reads == ["code", "law"], f"code and law are named, each is read once; you read {reads}"
    for bad, said in ((["law", None, "code", "law", "verse"], "verse"), (["law"] * 4, "4")):
        fresh = Store(weight, adapters)
        try:
            lora_product(x.copy(), bad, fresh)
        except ValueError as error:
            assert said in str(error), f"the ValueError should hold {said!r}, it says: {error}"
        except (KeyError, IndexError) as error:
            raise AssertionError(f"{bad} for 5 rows ended in a {type(error).__name__}: raise ValueError") from error
        else:
            raise AssertionError(f"the names {bad} for 5 rows were accepted: raise ValueError")


test_lora_product()


# %% hidden="lora_product" points=2
def hidden_lora_product():
    import tracemalloc

    import numpy as np

    rng = np.random.default_rng(180)
    for num_rows, num_adapters, d, out in ((1, 1, 3, 2), (7, 2, 2, 5), (12, 4, 5, 3), (9, 3, 4, 4), (3, 5, 1, 1)):
        weight, x = rng.standard_normal((d, out)), rng.standard_normal((num_rows, d))
        adapters = {}
        for i in range(num_adapters):
            rank = int(rng.integers(1, 4))
            adapters[f"a{i}"] = (
                rng.standard_normal((d, rank)),
                rng.standard_normal((rank, out)),
                float(rng.random() + 1.5),
            )
        known = [None, *adapters]
        for case in ("mixed", "none", "one"):
            names = [known[i] for i in rng.integers(0, len(known), num_rows)]
            names = names if case == "mixed" else [None if case == "none" else "a0"] * num_rows
            want = np.zeros((num_rows, out))
            for t in range(num_rows):
                for j in range(out):
                    want[t, j] = sum(x[t, i] * weight[i, j] for i in range(d))
                    if names[t] is not None:
                        a, b, scale = adapters[names[t]]
                        want[t, j] += scale * sum(
                            x[t, i] * a[i, k] * b[k, j] for i in range(d) for k in range(a.shape[1])
                        )
            store, copies = Store(weight, adapters), [x.copy(), list(names)]
            got = lora_product(x, names, store)
            label = f"{num_rows} rows, {case} of {num_adapters} adapters"
            np.testing.assert_array_equal(x, copies[0], err_msg=f"{label}: an argument was changed")
            assert names == copies[1], f"{label}: an argument was changed"
            np.testing.assert_allclose(got, want, atol=1e-10, rtol=1e-10, err_msg=label)
            assert store.base_rows == [num_rows], f"{label}: the base product is made once, of all rows"
            assert sorted(store.reads) == sorted(set(names) - {None}), f"{label}: each named adapter is read once"
    for bad in (
        ["a0"] * num_rows + ["a0"],
        ["a0"] * (num_rows - 1),
        ["a0", "b"] + [None] * (num_rows - 2),
        ["", "a0", None],
    ):
        store = Store(weight, adapters)
        try:
            lora_product(x, bad, store)
        except ValueError as error:
            named = str(len(bad)) if len(bad) != num_rows else ("b" if "b" in bad else "")
            assert named in str(error), "the message should hold the bad name, or the number of names"
            assert not store.base_rows and not store.reads, (
                "something was computed or read before the bad name was noticed"
            )
            continue
        raise AssertionError("an unknown name, or too many or too few names, were accepted: raise ValueError")
    d = 1200
    store = Store(rng.standard_normal((d, d)), {"a": (rng.standard_normal((d, 2)), rng.standard_normal((2, d)), 1.0)})
    x = rng.standard_normal((2, d))
    tracemalloc.start()
    lora_product(x, ["a", "a"], store)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * d * d, "memory for a matrix as large as the base was taken: multiply x with A first, then with B"


hidden_lora_product()

# %% [markdown]
# **Before you close this.** Every change here is another model, trained as such: none of them may be switched on in a model that was trained without. What is equal, and what the checks proved, are two forms of the same model: absorbed and rebuilt, state and sum, grouped and one by one. What a request holds follows from the kinds of its layers alone.
