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
# # 11 · Speculative decoding
#
# A cheap draft proposes a few tokens, the model judges all of them in one pass, and a rule decides which ones stay. The rule is such that the output has exactly the model's own distribution. In this notebook you compute when that pays, write the rule, use it for greedy text, and plug your parts into the course's engine. The chapter *Speculative decoding* of the book tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant. And whatever you are given (arrays, lists, dicts) stays as it is, unless the exercise says otherwise.
#
# Letters: $p$ is the **target**, the model whose text you want; $q$ is the **draft**. These are the letters of Leviathan and others (2211.17192); Chen and others (2302.01318) swap them. $k$ tokens are drafted per step, $\alpha$ is the chance that a drafted token is accepted, $c$ is the cost of one draft step in units of one target step.

# %% setup=True
import math
import time

import numpy as np
import torch

from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.plotting import figure, show
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import NgramDraft
from mini_engine.weights import load_tiny


class OutOfNumbers(Exception):
    """A ScriptedRng was asked for more numbers than it has."""


class ScriptedRng:
    """Stands in for a NumPy Generator whose random() gives the listed numbers, one by one."""

    lends = ("random",)  # what the tests let your code use

    def __init__(self, numbers):
        self.numbers = list(numbers)
        self.num_used = 0

    def random(self):
        """The next number."""
        if self.num_used == len(self.numbers):
            raise OutOfNumbers(f"asked for a number after the {self.num_used} that were scripted")
        self.num_used += 1
        return self.numbers[self.num_used - 1]

    def __getattr__(self, name):
        raise AttributeError(f"rng.{name}: draw with rng.random() only, one number per call")


class CountingModel:
    """A made-up language model over V tokens: ids -> logits [N, V], row i for the token after ids[: i + 1].

    `errors`: lengths of text after which it chooses another token than the same model without errors. It notes the
    length of every call in `calls`.
    """

    lends = ("vocab_size",)

    def __init__(self, vocab_size, errors=()):
        self.vocab_size, self.errors = vocab_size, set(errors)
        self.calls = []

    def next_token(self, ids):
        """What greedy decoding writes after ids."""
        return (3 * sum(ids) + 5 * len(ids) + ids[-1] ** 2 + (len(ids) in self.errors)) % self.vocab_size

    def __call__(self, ids):
        ids = [int(token) for token in ids]
        if not ids:
            raise ValueError("the model was called without a token")
        self.calls.append(len(ids))
        logits = np.cos(np.arange(len(ids) * self.vocab_size)).reshape(len(ids), self.vocab_size)
        for i in range(len(ids)):
            logits[i, self.next_token(ids[: i + 1])] = 2.0
        return logits


class ReplayDraft:
    """A draft for the engine that knows the texts to come: proposes k tokens of them, each moved on by `error`."""

    lends = ("propose", "release")

    def __init__(self, texts, k, error=0):
        self.texts, self.k, self.error = texts, k, error

    def propose(self, seq):
        """(k tokens, None), as the engine asks for them."""
        for text in self.texts:
            if text[: seq.num_tokens] == seq.token_ids:
                return [(t + self.error) % 512 for t in text[seq.num_tokens : seq.num_tokens + self.k]], None
        return [], None

    def release(self, seq):
        """Nothing is kept."""


# %% [markdown] task="expected_tokens" stars=2 minutes=20
# ## 1. Tokens per verification
#
# Draft $k$ tokens, then let one pass of the target judge them. How many tokens come out of such a round, and what does it buy? Two answers, both short.
#
# **On the back of an envelope**: a share $a$ of the drafts is accepted, so a round gives $1 + k a$ tokens and costs $1 + k c$ target steps, where $c$ is the cost of one draft step:
#
# $$\text{speedup} \approx \frac{1 + k a}{1 + k c}$$
#
# Write `linear_speedup(k, a, c)`. Example: 4 drafts, half of them accepted, each costing a quarter of a target step: $(1 + 2)/(1 + 1) = 1.5$. With $k = 0$ it is 1.
#
# **What the envelope forgets**: a draft counts only up to its first wrong token, because what was written after it continued a wrong text. If each token is accepted with chance $\alpha$, independently, the first draft survives with $\alpha$, the second with $\alpha^2$, and so on. The pass of the target itself always adds one more: the correction of the first wrong token or, when all are accepted, a **bonus token**.
#
# $$E[\text{tokens}] = 1 + \alpha + \alpha^2 + \dots + \alpha^k = \frac{1 - \alpha^{k+1}}{1 - \alpha}$$
#
# (Leviathan and others 2023, equation 1.) Write `expected_tokens(alpha, k)`. Example: $\alpha = 0.5$, $k = 2$ gives $1 + 0.5 + 0.25 = 1.75$, where the envelope counts $1 + 2 \cdot 0.5 = 2$. The fraction fails at $\alpha = 1$, where the value is $k + 1$; it is also imprecise just below 1. No draft ($k = 0$) gives 1.
#
# <details><summary>Hint 1</summary>
#
# The envelope is the tokens of one round over its cost in target steps. And how many terms does the sum have for $k = 2$? Adding them up is short, exact enough, and needs no special case.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Python's `sum` over powers of `alpha`; the exponents run from 0 to `k`, both included. (In Python `0.0 ** 0` is 1.)
#
# </details>


# %% solution="expected_tokens"
def linear_speedup(k, a, c):
    """Estimated speedup when a share `a` of k drafted tokens is accepted and a draft step costs `c` target steps.

    k: drafted tokens, 0 or more. a: 0 to 1. c: 0 or more. Returns a float. Raises ValueError outside these ranges.
    """
    ### BEGIN SOLUTION
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    if not 0 <= a <= 1:
        raise ValueError(f"a is a share between 0 and 1, got {a}")
    if c < 0:
        raise ValueError(f"c must not be negative, got {c}")
    return (1 + k * a) / (1 + k * c)
    ### END SOLUTION


def expected_tokens(alpha, k):
    """Mean tokens per pass of the target when each of k drafted tokens is accepted with chance alpha.

    alpha: 0 to 1. k: 0 or more. Correction or bonus token included. Raises ValueError outside.
    """
    ### BEGIN SOLUTION
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is a probability, got {alpha}")
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    return sum(alpha**i for i in range(k + 1))
    ### END SOLUTION


# %% tryit="expected_tokens"
for k in (1, 2, 4, 8, 16):
    print(f"k = {k:2}: {linear_speedup(k, 0.75, 0.10):.2f} times, says the envelope")
for k in (1, 2, 4, 8, 16):
    print(f"k = {k:2}: envelope {1 + k * 0.75:5.2f} tokens per pass, true {expected_tokens(0.75, k):.2f}")


# %% test="expected_tokens" points=2
def test_expected_tokens():
    got = linear_speedup(4, 0.75, 0.10)
    assert got is not None, "linear_speedup returned None: is there a return statement?"
    assert abs(got - 4) > 1e-9, "4 tokens per round, but the drafts cost something too: divide by 1 + k·c"
    assert abs(got - 20 / 7) < 1e-9, f"k=4, a=0.75, c=0.1: 4 / 1.4 = 2.857142…, you returned {got}"
    assert linear_speedup(0, 0.75, 0.10) == 1, "without drafts nothing changes: 1"
    for bad in ((-1, 0.5, 0.1), (4, 1.5, 0.1), (4, 0.5, -0.25)):
        try:
            got = linear_speedup(*bad)
        except ValueError as error:
            named = any(str(value) in str(error) for value in (-1, 1.5, -0.25) if value in bad)
            assert named, f"linear_speedup{bad}: the ValueError should name the bad value, it says: {error}"
        else:
            raise AssertionError(f"linear_speedup{bad} returned {got}: raise ValueError")

    got = expected_tokens(0.75, 4)
    assert got is not None, "expected_tokens returned None: is there a return statement?"
    assert abs(got - 4) > 1e-9, "4 = 1 + 4 · 0.75 counts the drafts one by one; a draft behind a wrong one is lost"
    assert abs(got - 2.05078125) > 1e-9, "2.05078125 leaves out the token that the target itself adds"
    assert abs(got - 2.734375) > 1e-9, "2.734375 stops at α³: with 4 drafts the sum has five terms, 1 to α⁴"
    assert abs(got - 3.05078125) < 1e-9, f"α=0.75, k=4: 3.05078125, you returned {got}"
    assert abs(expected_tokens(0.8, 5) - 3.68928) < 1e-9, "α=0.8, k=5: 3.68928"
    try:
        got = expected_tokens(1, 4)
    except ZeroDivisionError:
        raise AssertionError("α = 1 divides by zero in the closed form: every draft is accepted, k + 1 = 5") from None
    assert got == 5, f"α = 1: all 4 drafts and the bonus token, 5, you returned {got}"
    for bad in ((1.5, 4), (0.5, -1)):
        try:
            got = expected_tokens(*bad)
        except ValueError as error:
            assert "1.5" in str(error) or "-1" in str(error), f"the ValueError should name the bad value: {error}"
        else:
            raise AssertionError(f"expected_tokens{bad} returned {got}: raise ValueError")


test_expected_tokens()


# %% hidden="expected_tokens" points=3
def hidden_expected_tokens():
    from fractions import Fraction
    from itertools import product

    import numpy as np

    rng = np.random.default_rng(11)
    for _ in range(30):
        k, a, c = (
            int(rng.integers(0, 20)),
            Fraction(int(rng.integers(0, 11)), 10),
            Fraction(int(rng.integers(0, 30)), 10),
        )
        want = (1 + sum(a for _ in range(k))) / (1 + sum(c for _ in range(k)))
        got = linear_speedup(k, float(a), float(c))
        assert abs(got - float(want)) < 1e-10, f"linear_speedup({k}, {a}, {c}) is {float(want)}, you returned {got}"
    assert abs(linear_speedup(3, 1.0, 0.0) - 4) < 1e-12, "every draft accepted and free: k + 1"
    assert abs(linear_speedup(3, 0.0, 1.0) - 0.25) < 1e-12, "no draft accepted, each as expensive as a target step: 1/4"
    for bad in ((4, -0.1, 0.1), (4, 1.001, 0.1), (-2, 0.5, 0.1), (0, 0.5, -1)):
        try:
            linear_speedup(*bad)
        except ValueError:
            continue
        raise AssertionError(f"linear_speedup{bad} was accepted: raise ValueError")

    for tenths in range(11):
        alpha = Fraction(tenths, 10)
        for k in range(7):
            want = Fraction(0)  # over every pattern of accepted and refused drafts
            for pattern in product((True, False), repeat=k):
                chance = Fraction(1)
                for accepted in pattern:
                    chance *= alpha if accepted else 1 - alpha
                kept = k if all(pattern) else pattern.index(False)
                want += chance * (kept + 1)
            got = expected_tokens(float(alpha), k)
            assert abs(got - float(want)) < 1e-10, (
                f"α={float(alpha)}, k={k}: all patterns together give {float(want)}, you returned {got}"
            )
    got = expected_tokens(1 - 1e-13, 3)
    assert abs(got - 4) < 1e-9, f"just below α = 1 the closed form loses digits: 4 is right to 9 places, you have {got}"
    got = expected_tokens(1e-5, 2)
    assert abs(got - 1.0000100001) < 1e-14, f"1 + 0.00001 + its square: nothing is rounded, you have {got}"
    for gap in (1e-9, 3e-9, 1e-8):
        alpha = 1 - gap
        want, got = float(sum(Fraction(alpha) ** i for i in range(6))), expected_tokens(alpha, 5)
        assert abs(got - want) < 1e-11, f"α = 1 - {gap}: the closed form loses digits, {want} is right, you have {got}"
    assert abs(expected_tokens(0.9, 400) - 10) < 1e-9, "for many drafts the sum nears 1 / (1 - α), here 10"
    for bad in ((-0.25, 4), (1.0001, 2), (0.5, -3)):
        try:
            expected_tokens(*bad)
        except ValueError as error:
            value = bad[1] if bad[1] < 0 else bad[0]
            assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
            continue
        raise AssertionError(f"expected_tokens{bad} was accepted: raise ValueError")


hidden_expected_tokens()


# %% [markdown] task="best_draft_length" stars=2 minutes=20
# ## 2. What it buys, and how many tokens to draft
#
# A round costs $k$ draft steps of $c$ each and one pass of the target. Write `expected_speedup(alpha, k, c)`, the gain over decoding one token per target pass:
#
# $$\frac{1 - \alpha^{k+1}}{(1 - \alpha)(1 + k c)}$$
#
# (Leviathan and others 2023, theorem 3.8.) It assumes that a pass over $k + 1$ tokens costs the target no more than a pass over one; the chapter measures where that holds. Example: $\alpha = 0.5$, $k = 2$, $c = 0.25$ gives $1.75 / 1.5 = 1.1667$. At $\alpha = 1$ it is $(k+1)/(1 + kc)$, at $k = 0$ it is 1.
#
# Then write `best_draft_length(alpha, c, k_max)`: the $k$ from 1 to `k_max` with the highest expected speedup; of equals, the smallest. Return an `int`. Example: $\alpha = 0.5$, $c = 0.25$: $k = 1$ gives $1.5 / 1.25 = 1.2$, $k = 2$ gives $1.167$, and it falls from there, so 1 is best. The best may still be a loss: with $\alpha = 0.3$ and $c = 0.5$ every $k$ is below 1, and it would be right not to draft at all.
#
# You may call your `expected_tokens`.
#
# <details><summary>Hint 1</summary>
#
# For the speedup only the denominator is new. For the best length there are only `k_max` candidates: try them all.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Your `expected_tokens` already rejects a bad `alpha` and a bad `k`; `c` is left to check. Python's `max` takes a `key` function and returns the first of equals.
#
# </details>


# %% solution="best_draft_length"
def expected_speedup(alpha, k, c):
    """Wall-time gain of speculation: k drafts accepted with chance alpha, each costing c target steps.

    alpha: 0 to 1. k: 0 or more. c: 0 or more. Returns a float; below 1 is a loss. Raises ValueError outside.
    """
    ### BEGIN SOLUTION
    if c < 0:
        raise ValueError(f"c must not be negative, got {c}")
    return expected_tokens(alpha, k) / (1 + k * c)
    ### END SOLUTION


def best_draft_length(alpha, c, k_max):
    """The number of drafted tokens, 1 to k_max, with the highest expected speedup; the smallest of equals.

    alpha: 0 to 1. c: 0 or more. Returns an int. Raises ValueError outside, or for a k_max below 1.
    """
    ### BEGIN SOLUTION
    if k_max < 1:
        raise ValueError(f"k_max must be at least 1, got {k_max}")
    return max(range(1, k_max + 1), key=lambda k: expected_speedup(alpha, k, c))
    ### END SOLUTION


# %% tryit="best_draft_length"
fig, ax = figure()
drafts = range(17)
for alpha, c, style in ((0.9, 0.05, "-"), (0.75, 0.1, "--"), (0.3, 0.2, ":")):
    ax.plot(drafts, [expected_speedup(alpha, k, c) for k in drafts], style, label=f"α = {alpha}, c = {c}")
ax.axhline(1, color="#57606a", linewidth=1)
ax.set(xlabel="drafted tokens k", ylabel="speedup", title="More drafts are not always better")
ax.legend()
show(fig, alt="Speedup against k: each curve rises to a maximum and falls again; the lowest is below 1 from the start.")
for alpha, c in ((0.75, 0.1), (0.9, 0.05), (0.3, 0.2)):
    k = best_draft_length(alpha, c, 32)
    print(f"α = {alpha}, c = {c}: draft {k}, expect {expected_speedup(alpha, k, c):.2f} times")


# %% test="best_draft_length" points=2
def test_best_draft_length():
    got = expected_speedup(0.75, 4, 0.1)
    assert got is not None, "expected_speedup returned None: is there a return statement?"
    assert abs(got - 20 / 7) > 1e-6, "2.857 is the envelope of exercise 1: use the expected tokens in the numerator"
    assert abs(got - 3.05078125 / 0.4) > 1e-6, "the target's own pass costs 1: divide by 1 + k·c"
    assert abs(got - 3.05078125 / 1.1) > 1e-6, "all k draft steps cost c each: divide by 1 + k·c, not 1 + c"
    assert abs(got - 2.1791294642857) < 1e-9, f"α=0.75, k=4, c=0.1: 2.17913, you returned {got}"
    assert expected_speedup(0.5, 0, 0.3) == 1, "without drafts nothing changes: 1"
    try:
        got = expected_speedup(0.5, 2, -0.25)
    except ValueError as error:
        assert "-0.25" in str(error), f"the ValueError should name the bad value -0.25, it says: {error}"
    else:
        raise AssertionError(f"c=-0.25 returned {got}: raise ValueError")

    got = best_draft_length(0.75, 0.1, 16)
    assert got is not None, "best_draft_length returned None: is there a return statement?"
    assert got != 4, "4 is one too few: k counts from 1 (an index into a list counts from 0)"
    assert got != 16, "16 maximises the tokens, not the speedup: drafts cost time"
    assert got == 5, f"α=0.75, c=0.1: the best k is 5, you returned {got}"
    assert best_draft_length(0.9, 0.05, 32) == 13, "α=0.9, c=0.05: the best k is 13"
    assert best_draft_length(0.3, 0.2, 8) == 1, "α=0.3, c=0.2: the best k is 1"
    assert best_draft_length(0.75, 0.1, 3) == 3, "at most k_max: with k_max=3 the best is 3"
    try:
        got = best_draft_length(0.5, 0.1, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError(f"k_max=0 returned {got}: raise ValueError")


test_best_draft_length()


# %% hidden="best_draft_length" points=4
def hidden_best_draft_length():
    from fractions import Fraction

    got = best_draft_length(0.8, 0.05, 6)
    assert isinstance(got, int), f"return an int, not {type(got).__name__}"
    for tenths in range(11):
        for k in (0, 1, 3, 9):
            for c in (Fraction(0), Fraction(1, 20), Fraction(1), Fraction(5, 2)):
                alpha, tokens, chance = Fraction(tenths, 10), Fraction(1), Fraction(1)
                for _ in range(k):
                    chance *= alpha
                    tokens += chance
                want = float(tokens / (1 + k * c))
                got = expected_speedup(float(alpha), k, float(c))
                assert abs(got - want) < 1e-10, f"α={float(alpha)}, k={k}, c={float(c)}: {want}, you returned {got}"
    for bad in ((0.5, 2, -0.001), (0.5, 0, -1), (1.2, 2, 0.1), (-0.1, 2, 0.1), (0.5, -1, 0.1)):
        try:
            expected_speedup(*bad)
        except ValueError:
            continue
        raise AssertionError(f"expected_speedup{bad} was accepted: raise ValueError")

    for tenths in (0, 1, 3, 5, 7, 8, 9):
        for c in (Fraction(1, 100), Fraction(1, 20), Fraction(1, 7), Fraction(1, 2)):
            for k_max in (1, 2, 7, 40):
                alpha, tokens, chance, best, best_gain = Fraction(tenths, 10), Fraction(1), Fraction(1), 0, 0
                for k in range(1, k_max + 1):
                    chance *= alpha
                    tokens += chance
                    if tokens / (1 + k * c) > best_gain:
                        best, best_gain = k, tokens / (1 + k * c)
                got = best_draft_length(float(alpha), float(c), k_max)
                assert got == best, f"α={float(alpha)}, c={float(c)}, k_max={k_max}: {best}, you returned {got}"
    assert best_draft_length(0.0, 0.0, 9) == 1, "α=0 and free drafts: every k gives 1, take the smallest"
    assert best_draft_length(1.0, 1.0, 6) == 1, "α=1 and c=1: every k gives 1, take the smallest"
    assert best_draft_length(1.0, 0.5, 6) == 6, "drafts that are always right and cost half: as many as allowed"
    assert best_draft_length(1.0, 0.5, 700) == 700, "drafts that are always right: as many as allowed, also 700"
    assert int(best_draft_length(0.5, 0.01, 5)) == best_draft_length(0.5, 0.01, 5), "return an int"
    for bad in ((0.5, 0.1, -1), (0.5, 0.1, 0), (1.5, 0.1, 4), (0.5, -0.1, 4)):
        try:
            best_draft_length(*bad)
        except ValueError:
            continue
        raise AssertionError(f"best_draft_length{bad} was accepted: raise ValueError")


hidden_best_draft_length()


# %% [markdown] task="first_token_law" stars=2 minutes=15
# ## 3. The distribution of one token
#
# Now the rule itself, for one drafted token. Draw $x$ from the draft $q$. Accept it with chance $\min(1, p(x)/q(x))$. If it is rejected, draw another token from the **residual**, $\max(p - q, 0)$ divided by its sum. Which token comes out, with which probability?
#
# Write `first_token_law(p, q)` for two distributions `[V]`. Return two float arrays `[V]`:
#
# - `accepted[x]`: the probability that $x$ is drafted *and* accepted,
# - `resampled[x]`: the probability that the draft is rejected *and* $x$ is drawn in its place.
#
# Example, $p = (0.5, 0.5, 0)$ and $q = (0.25, 0.25, 0.5)$: token 0 is drafted with 0.25 and always accepted, so is token 1; token 2 is never accepted. So `accepted` is $(0.25, 0.25, 0)$. The other half of the time the draft is rejected, and the residual, $(0.25, 0.25, 0)$ divided by its sum, gives tokens 0 and 1 equally often: `resampled` is $(0.25, 0.25, 0)$. The sum of the two is $p$.
#
# That the sum is always $p$ is the theorem behind this chapter; the sum of `accepted` is the acceptance rate $\alpha$. No sampling here: exact numbers. Where $q(x) = 0$ nothing is ever drafted, and no warning should be printed. Lists work as well as arrays. The `ValueError` for different shapes names both shapes.
#
# <details><summary>Hint 1</summary>
#
# Drafted and accepted: multiply $q(x)$ by the chance of acceptance and simplify. What becomes of it where $p(x) \ge q(x)$, and where not?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The chance to be rejected is one minus the sum of `accepted`. It is also the sum of $\max(p - q, 0)$, so the normalisation cancels.
#
# </details>


# %% solution="first_token_law"
def first_token_law(p, q):
    """Exact probabilities of one speculative step with one draft: (accepted [V], resampled [V]), together p.

    p: target distribution [V]. q: draft distribution [V]. Raises ValueError when the shapes differ.
    """
    ### BEGIN SOLUTION
    p, q = np.asarray(p, float), np.asarray(q)
    if p.shape != q.shape:
        raise ValueError(f"p has shape {p.shape}, q {q.shape}")
    return np.minimum(p, q), np.maximum(p - q, 0.0)
    ### END SOLUTION


# %% tryit="first_token_law"
p, q = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.5, 0.3])
accepted, resampled = first_token_law(p, q)
print("accepted ", accepted, "acceptance rate", accepted.sum())
print("resampled", resampled)
print("together ", accepted + resampled, "and p is", p)


# %% test="first_token_law" points=1
def test_first_token_law():
    import numpy as np

    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.25, 0.25, 0.5])
    got = first_token_law(p, q)
    assert got is not None, "first_token_law returned None: is there a return statement?"
    assert len(got) == 2, "return two arrays: accepted and resampled"
    accepted, resampled = got
    close = np.allclose(accepted, [0.25, 0.25, 0], atol=1e-12)
    assert close, f"accepted: token x is drafted with q(x) and kept with min(1, p/q): (0.25, 0.25, 0), not {accepted}"
    wrong = np.allclose(resampled, [0.5, 0.5, 0])
    assert not wrong, "resampled: (0.5, 0.5, 0) is the residual; multiply by the chance that a draft is rejected at all"
    close = np.allclose(resampled, [0.25, 0.25, 0], atol=1e-12)
    assert close, f"resampled should be (0.25, 0.25, 0), yours is {resampled} (drawn from p instead of the residual?)"
    for small in ([0.5, 0.5], [1.0]):
        try:
            first_token_law(small, [0.2, 0.3, 0.5])
        except ValueError as error:
            named = str(len(small)) in str(error) and "3" in str(error)
            assert named, f"the ValueError should name both shapes, it says: {error}"
        else:
            raise AssertionError(f"distributions over {len(small)} and 3 tokens were accepted: raise ValueError")


test_first_token_law()


# %% hidden="first_token_law" points=2
def hidden_first_token_law():
    import warnings

    import numpy as np

    rng = np.random.default_rng(5)
    for case in range(40):
        v = int(rng.integers(1, 9))
        p, q = (rng.dirichlet(np.full(v, 0.5)) for _ in "pq")
        if case % 3 == 0 and v > 2:  # tokens that one of the two never writes
            p[0], q[-1] = 0, 0
            p, q = p / p.sum(), q / q.sum()
        if case % 7 == 0:
            q = p.copy()
        kept_p, kept_q = p.copy(), q.copy()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            accepted, resampled = first_token_law(p, q)
        want = np.zeros(v)
        for x in range(v):
            want[x] = q[x] * min(1.0, p[x] / q[x]) if q[x] > 0 else 0.0
        excess = np.array([max(p[x] - q[x], 0.0) for x in range(v)])
        share = excess / excess.sum() if excess.sum() > 0 else excess
        np.testing.assert_allclose(accepted, want, atol=1e-12, err_msg=f"accepted, for p={p}, q={q}")
        np.testing.assert_allclose(
            resampled, (1 - want.sum()) * share, atol=1e-12, err_msg=f"resampled, for p={p}, q={q}"
        )
        np.testing.assert_array_equal(p, kept_p, err_msg="p was changed")
        np.testing.assert_array_equal(q, kept_q, err_msg="q was changed")
    accepted, resampled = first_token_law([0.5, 0.5], [1.0, 0.0])
    assert list(accepted) == [0.5, 0] and list(resampled) == [0, 0.5], "lists should do as well as arrays"
    kinds = {np.asarray(law).dtype.kind for law in first_token_law([1, 0], [0, 1])}
    assert kinds == {"f"}, "certain distributions, written as 0 and 1: the result is float arrays all the same"
    p, q = rng.dirichlet(np.ones(9)), rng.dirichlet(np.ones(9))
    worst = float(np.abs(np.add(*first_token_law(p, q)) - p).max())
    assert worst < 1e-12, f"accepted and resampled together are p to the last digits; yours are off by {worst:.1e}"


hidden_first_token_law()

# %% [markdown] task="speculative_step" stars=3 minutes=30
# ## 4. One speculative step
#
# The whole rule. The draft has written $k$ tokens and left its distributions; the target has seen them all in one pass and left $k + 1$ distributions. Write `speculative_step(p, q, draft_tokens, rng)`:
#
# | argument | shape | holds |
# |---|---|---|
# | `p` | `[k + 1, V]` | row $i$: the **target's** distribution after the text and the first $i$ drafted tokens |
# | `q` | `[k, V]` | row $i$: the **draft's** distribution at the same place, from which `draft_tokens[i]` was drawn |
# | `draft_tokens` | $k$ ints | may be empty |
# | `rng` | | the random generator |
#
# Go through the drafted tokens in order. Accept token $x = $ `draft_tokens[i]` with chance $\min(1, p_i(x)/q_i(x))$. At the first rejection, draw a replacement from $\max(p_i - q_i, 0)$, divided by its sum, and stop. If all are accepted, draw one **bonus token** from the last row of `p`. Return a list of 1 to $k + 1$ plain `int`s, also where `draft_tokens` holds NumPy's: the accepted tokens and the one drawn. (Leviathan and others 2023, algorithm 1; Chen and others 2023, algorithm 2, with p and q swapped.)
#
# **Chance.** Call only `rng.random()`, without arguments: it gives a number $u$, uniform in $[0, 1)$. Each draft needs a number of its own: accept when $u < p/q$. To draw from a distribution, take one $u$ and find the token in whose stretch of the cumulative sum it falls. The checks replace `rng` by a list of numbers and go through *all* of them, so the distribution of your output is computed exactly and not sampled. How many numbers you take, and in which order you lay the tokens on the stretch from 0 to 1, is up to you.
#
# Worked example: $p_0 = (0.5, 0.5, 0)$, $q_0 = (0.25, 0.25, 0.5)$, one draft. Token 0: $p/q = 2$, accepted whatever $u$ is. Token 2: $p/q = 0$, rejected, and the replacement is 0 or 1 with one half each.
#
# Edges. A token whose probability is 0 must never come out, even when $u$ is exactly 0, or so close to 1 that it lies beyond a cumulative sum that rounding left below 1. If rounding leaves a residual that is zero everywhere, draw from $p_i$. Rows may be float32. Do not change the arrays.
#
# <details><summary>Hint 1</summary>
#
# Write a helper that draws a token from weights which need not sum to 1: `np.cumsum`, then compare with $u$ times the total. It serves the replacement and the bonus token.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.searchsorted(cumulative, u * total, side="right")` skips tokens of weight 0 also at $u = 0$; `np.flatnonzero(weights)[-1]` is the last token that may come out. In the loop, the replacement needs row `i` of both, and everything before position `i` of the draft.
#
# </details>


# %% solution="speculative_step"
def speculative_step(p, q, draft_tokens, rng):
    """Judge a draft: the accepted tokens, then a replacement or a bonus token; distributed as the target's own.

    p: target distributions [k + 1, V]. q: draft distributions [k, V]. draft_tokens: k ints. rng: has random(), uniform
    in [0, 1). Returns a list of 1 to k + 1 ints. Raises ValueError when the rows of p or q do not fit the draft.
    """
    ### BEGIN SOLUTION
    k = len(draft_tokens)
    if len(p) != k + 1 or len(q) != k:
        raise ValueError(f"{k} drafted tokens need {k + 1} rows of p and {k} of q, got {len(p)} and {len(q)}")

    draft_tokens = [int(token) for token in draft_tokens]

    def draw(weights):
        cumulative = np.cumsum(weights)
        token = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return int(min(token, np.flatnonzero(weights)[-1]))

    for i, token in enumerate(draft_tokens):
        if rng.random() * q[i][token] < p[i][token]:
            continue
        residual = np.maximum(np.subtract(p[i], q[i]), 0.0)
        return [*draft_tokens[:i], draw(residual if residual.any() else p[i])]
    return [*draft_tokens, draw(p[k])]
    ### END SOLUTION


# %% tryit="speculative_step"
rng = np.random.default_rng(0)
p = np.array([[0.6, 0.3, 0.1], [0.2, 0.2, 0.6], [1.0, 0.0, 0.0]])
q = np.array([[0.2, 0.5, 0.3], [0.2, 0.2, 0.6]])
first = np.zeros(3)
for _ in range(20_000):
    draft = [int(rng.choice(3, p=row)) for row in q]
    first[speculative_step(p, q, draft, rng)[0]] += 1
print("first token, 20,000 steps:", (first / first.sum()).round(3), "the target's distribution:", p[0])


# %% test="speculative_step" points=3
def test_speculative_step():
    import numpy as np

    p = np.array([[0.5, 0.5, 0.0], [0.0, 0.25, 0.75]])
    q = np.array([[0.25, 0.25, 0.5]])

    def step(draft, numbers, p=p, q=q):
        got = speculative_step(p, q, draft, ScriptedRng(numbers))
        assert got is not None, "speculative_step returned None: is there a return statement on every path?"
        return [int(token) for token in got]

    got = step([0], [0.6, 0.5, 0.5])
    assert got[0] == 0, f"p=0.5, q=0.25: token 0 is always accepted, you returned {got} (p and q swapped?)"
    assert len(got) != 1, "the draft is accepted and one token is missing: draw the bonus token from the last row of p"
    assert len(got) == 2 and got[1] in (1, 2), f"the bonus token comes from p's last row, so 1 or 2: you returned {got}"
    got = step([2], [0.1, 0.1, 0.1])
    assert len(got) == 1, f"p = 0: token 2 must be rejected and replaced by one token, you returned {got}"
    assert got[0] != 2, "p(2) = 0: token 2 must be rejected"
    # p/q = 1/2 for token 0; the residual has only token 1
    half, draft = np.array([[0.25, 0.75], [1.0, 0.0]]), np.array([[0.5, 0.5]])
    got = step([0], [0.4, 0.5, 0.5], half, draft)
    assert got == [0, 0], f"p/q = 0.5 and u = 0.4: accepted, then the only bonus token 0; you returned {got}"
    got = step([0], [0.6, 0.1, 0.1], half, draft)
    assert got != [0], (
        "u = 0.6 rejects token 0, and p - q is 0 - 0.25 there: the residual cannot give 0 (drawn from p?)"
    )
    assert got == [1], f"p/q = 0.5 and u = 0.6: rejected, and the residual holds only token 1; you returned {got}"
    got = step([], [0.5], np.array([[0.0, 1.0]]), np.zeros((0, 2)))
    assert got == [1], f"an empty draft leaves one plain draw from p: [1], you returned {got}"
    try:
        step([0], [0.5, 0.5], p[:1], q)
    except ValueError:
        pass
    else:
        raise AssertionError("one row of p for one drafted token was accepted: the target gives k + 1 rows")


test_speculative_step()


# %% hidden="speculative_step" points=5
def hidden_speculative_step():
    import contextlib
    from itertools import product

    import numpy as np

    # every threshold is a multiple of 1/12, or 1/4: so many equal stretches of [0, 1) give the law exactly
    fine = 12, [(2, 1, 1), (4, 0, 0), (0, 3, 1), (1, 2, 1), (1, 0, 3), (2, 2, 0)]
    coarse = 4, [(2, 1, 1), (4, 0, 0), (0, 2, 2), (2, 2, 0), (2, 0, 2)]  # three numbers are 64 cases, not 1,728
    num_cells, laws = fine

    def law(who, prefix):
        index = sum((i + 2) * (token + 1) for i, token in enumerate(prefix)) + who
        return np.array(laws[index % len(laws)]) / 4

    def extended(start, who, length):
        share = dict(start)
        for _ in range(length):
            share = {(*s, t): w * law(who, s)[t] for s, w in share.items() for t in range(3) if law(who, s)[t]}
        return share

    def outcomes(p, q, draft, cells=()):
        """{output: probability}, over all numbers that the student's function asks for."""
        rng = ScriptedRng([(cell + 0.5) / num_cells for cell in cells])
        with contextlib.suppress(OutOfNumbers):
            out = tuple(int(token) for token in speculative_step(p, q, list(draft), rng))
            return {out: 1.0}
        assert len(cells) < 2 * len(draft) + 2, (
            f"more than {len(cells)} random numbers for {len(draft)} drafts: one per draft and one for the last token do"
        )
        total = {}
        for cell in range(num_cells):
            for out, weight in outcomes(p, q, draft, (*cells, cell)).items():
                total[out] = total.get(out, 0.0) + weight / num_cells
        return total

    for k, target, who in ((0, 0, 1), (1, 0, 1), (1, 3, 1), (2, 0, 1), (2, 2, 3), (2, 1, 4), (2, 0, 0)):
        (num_cells, laws), got = coarse if k == 2 else fine, {}
        for draft, weight in extended({(): 1.0}, who, k).items():
            p = np.array([law(target, draft[:i]) for i in range(k + 1)])
            q = np.array([law(who, draft[:i]) for i in range(k)]).reshape(k, 3)
            kept = p.copy(), q.copy()
            found = outcomes(p, q, draft)
            assert (p == kept[0]).all() and (q == kept[1]).all(), "p or q was changed"
            for out, share in found.items():
                assert 1 <= len(out) <= k + 1, f"{k} drafts give 1 to {k + 1} tokens, yours gave {out}"
                missing = k + 1 - len(out)
                for string, w in extended({out: weight * share}, target, missing).items():
                    got[string] = got.get(string, 0.0) + w
            if k == 1:
                share = sum(w for out, w in found.items() if len(out) == 2)
                want = min(1.0, p[0, draft[0]] / q[0, draft[0]])
                assert abs(share - want) < 1e-12, f"p={p[0]}, q={q[0]}: {draft} is kept with {share}, not {want}"
        want = extended({(): 1.0}, target, k + 1)
        for string in product(range(3), repeat=k + 1):
            a, b = got.get(string, 0.0), want.get(string, 0.0)
            assert abs(a - b) < 1e-12, (
                f"k={k}: the text {string} comes out with probability {a:.6f}, the target alone gives {b:.6f} "
                "(always accepted, replacement from p, or a row off by one?)"
            )

    # Two drafts that are each accepted with one half: both together with a quarter, since each has its own number.
    even, skewed = np.full((2, 2), 0.5), np.array([[0.25, 0.75], [0.25, 0.75], [0.0, 1.0]])
    found = outcomes(skewed, even, (0, 0))
    for out, want in (((0, 0, 1), 0.25), ((0, 1), 0.25), ((1,), 0.5)):
        assert abs(found.get(out, 0.0) - want) < 1e-12, (
            f"two drafts with p/q = 1/2 each: {out} should come out with {want}, yours with {found.get(out, 0.0)} "
            "(is one number used for both decisions?)"
        )

    almost_one = float(np.nextafter(1.0, 0.0))
    for dtype in (np.float64, np.float32):
        tenths = np.array([[0.1] * 10 + [0.0]], dtype)
        got = speculative_step(tenths, np.zeros((0, 11), dtype), [], ScriptedRng([almost_one] * 3))
        assert 0 <= got[0] <= 9, f"u just below 1, {dtype.__name__}: token 10 has probability 0, you drew {got}"
    got = speculative_step(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.5, 0.5]]), [0], ScriptedRng([0.0] * 3))
    assert got == [1], f"u = 0 is not below p/q = 0: the draft must be rejected and 1 come out, you returned {got}"
    got = speculative_step(np.array([[0.0, 0.5, 0.5]]), np.zeros((0, 3)), [], ScriptedRng([0.0] * 3))
    assert got[0] in (1, 2), f"u = 0 drew token {got[0]}, whose probability is 0"
    # rounding: p is one last digit below q for the drafted token, nothing is above, so the residual is empty
    p = np.array([[float(np.nextafter(0.5, 0.0)), 0.5, 0.0], [0.0, 0.0, 1.0]])
    with np.errstate(all="raise"):
        got = speculative_step(p, np.array([[0.5, 0.5, 0.0]]), [0], ScriptedRng([almost_one] * 4))
    assert got[-1] in (0, 1), f"an empty residual: draw from p, so 0 or 1, you returned {got}"
    p32 = np.full((2, 8), 0.125, np.float32)
    got = speculative_step(p32, p32[:1], [3], np.random.default_rng(1))
    assert got[0] == 3 and len(got) == 2, f"float32 rows and a draft equal to the target: accepted, you returned {got}"
    for p_rows, q_rows in ((3, 1), (2, 2), (1, 1), (2, 0)):
        try:
            speculative_step(np.full((p_rows, 2), 0.5), np.full((q_rows, 2), 0.5), [0], ScriptedRng([0.1] * 4))
        except ValueError:
            continue
        raise AssertionError(f"{p_rows} rows of p and {q_rows} of q for one drafted token: raise ValueError")
    given, q = [0], np.array([[0.3, 0.7]])  # p/q = 1/3; in float16 q is 0.30005 and 0.3333 would be rejected
    got = speculative_step(np.array([[0.1, 0.9], [0.0, 1.0]]), q, given, ScriptedRng([0.3333, 0.5, 0.5]))
    assert got == [0, 1], f"u = 0.3333 is below p/q = 1/3: accepted, and 1 is the bonus token; you returned {got}"
    assert given == [0], f"draft_tokens was changed from [0] to {given}"
    for given in ([0], [np.int64(0)]):
        got = speculative_step(np.array([[0.1, 0.9], [0.0, 1.0]]), q, given, ScriptedRng([0.1, 0.5, 0.5]))
        kinds = [type(token).__name__ for token in got]
        assert kinds == ["int", "int"], f"return plain ints, yours are {kinds} where draft_tokens is {given}"
    got = [
        speculative_step(p, np.array([[0.5, 0.5, 0.0]]), [0], ScriptedRng([almost_one, *[u] * 3])) for u in (0.1, 0.9)
    ]
    assert sorted(got) == [[0], [1]], (
        f"an empty residual and p of one half each: u = 0.1 and u = 0.9 draw different tokens, yours {got}"
    )


hidden_speculative_step()

# %% [markdown] answer="equal_seeds" points=3
# ### In your own words: the same seed, another text
#
# A colleague switches speculation on, keeps temperature 0.8 and the seed, and gets another text than before. "Your speculation is broken: it is said to be exact." In at most 150 words: what is exact, why the text changed all the same, which test would show a real fault, and when the texts must be equal.
#
# ### BEGIN SOLUTION
# **Rubric (3 points).** 1: what is exact is the *distribution* of the output, $\min(p, q) + \max(p - q, 0) = p$ for each token. 1: the numbers of the random generator are spent in another way (on the draft, on accept or reject, on the residual), so equal seeds give other samples of the same distribution. 1: a test of the distribution (enumeration over a small vocabulary, or frequencies with a proper statistical bound) and the case of equality: greedy decoding with equal logits, with its exception (batch-dependent arithmetic, near-ties).
#
# **Model answer.** Exact means: every text comes out with the same probability as without speculation. A seed fixes a list of random numbers, not a text. Plain sampling spends one number per token. Speculation spends some on the draft, one on each decision to accept, one on the replacement, so the same numbers are used for other decisions, and you get another sample of the same distribution. One text can therefore prove nothing either way. A fault shows in the distribution: enumerate all outcomes over a small vocabulary and compare with the target's, as the checks here do, or compare frequencies of many samples with a bound on chance. At temperature 0 there is no chance, and the texts must be equal token for token, as long as the model's logits for a token do not depend on how many tokens share its pass.
# ### END SOLUTION

# %% [markdown] task="speculative_generate" stars=3 minutes=30
# ## 5. Greedy text, fewer passes
#
# At temperature 0 the rule becomes simple: a drafted token is accepted when it is the target's argmax. Write `speculative_generate(target, draft, ids, k, max_new)`.
#
# - `target` and `draft` are functions from a list of ids to logits, a NumPy array `[N, V]`: row $i$ scores the token that follows `ids[: i + 1]`. So `target(ids)[-1].argmax()` is the next token of plain greedy decoding. There is no cache here.
# - Each round: let the draft write $k$ tokens greedily, one call each; call the target **once** on the text and the draft; keep the drafted tokens as long as each equals the target's argmax at its place; add the target's own token behind them.
# - Stop at exactly `max_new` new tokens. With $r$ tokens left to write, at most $r - 1$ drafts can be used: draft `min(k, r - 1)`, so that no work is thrown away at the end.
#
# Return `(ids, num_passes)`: prompt and new tokens as a list of ints, and the number of calls of the target. The text must equal plain greedy decoding token for token, **whatever the draft says**; a good draft only makes `num_passes` smaller.
#
# Worked example: the target would write `7, 1, 4, 4, 2`, $k = 2$, `max_new` 5. Round 1: the draft says `7, 9`. The target keeps 7, replaces 9 by 1. Round 2: three are left, so two are drafted, `4, 4`, both right, and the target adds 2. Two passes for five tokens.
#
# `max_new = 0` returns the prompt and 0 passes. Of equal logits take the first, as `argmax` does. `ids` may be a list or an array; do not change it.
#
# <details><summary>Hint 1</summary>
#
# The logits of the target at the last `k + 1` rows answer everything: the first of them, at the last token of the text, judges the first drafted token.
#
# </details>
# <details><summary>Hint 2</summary>
#
# After `choice = target(text + drafted).argmax(axis=-1)`, the target's answer to drafted token number `i` stands at `choice[len(text) - 1 + i]`. Count how many agree from the front; the token to add stands at the next place of `choice`.
#
# </details>


# %% solution="speculative_generate"
def speculative_generate(target, draft, ids, k, max_new):
    """Greedy decoding with k drafted tokens per round: (prompt and max_new new ids, number of calls of the target).

    target, draft: functions, list of N ids -> logits [N, V]. ids: the prompt, 1 id or more. Equal to plain greedy
    decoding of the target. Raises ValueError for an empty prompt, a negative k or a negative max_new.
    """
    ### BEGIN SOLUTION
    if not len(ids) or k < 0 or max_new < 0:
        raise ValueError(f"cannot write {max_new} tokens with {k} drafts after a prompt of {len(ids)}")
    text, num_passes = [int(token) for token in ids], 0
    end = len(text) + max_new
    while len(text) < end:
        drafted = []
        for _ in range(min(k, end - len(text) - 1)):
            drafted.append(int(np.argmax(draft(text + drafted)[-1])))
        choice = np.argmax(target(text + drafted), axis=-1)[len(text) - 1 :]
        num_passes += 1
        kept = 0
        while kept < len(drafted) and drafted[kept] == choice[kept]:
            kept += 1
        text += [*drafted[:kept], int(choice[kept])]
    return text, num_passes
    ### END SOLUTION


# %% tryit="speculative_generate"
for name, errors in (("perfect", ()), ("wrong at every third place", range(0, 99, 3)), ("always wrong", range(99))):
    ids, passes = speculative_generate(CountingModel(50), CountingModel(50, errors), [3, 1, 4], 4, 24)
    print(f"draft {name:27}: {passes:2} passes for 24 tokens; the last five {ids[-5:]}")


# %% test="speculative_generate" points=2
def test_speculative_generate():
    want = [3, 1, 4]
    for _ in range(6):
        want.append(CountingModel(50).next_token(want))
    for name, errors, passes in (("perfect", (), 2), ("always wrong", range(20), 6), ("wrong once", (4,), 3)):
        target, draft = CountingModel(50), CountingModel(50, errors)
        got = speculative_generate(target, draft, [3, 1, 4], 2, 6)
        assert got is not None, "speculative_generate returned None: is there a return statement?"
        assert isinstance(got, tuple) and len(got) == 2, "return two things: the ids and the number of target passes"
        ids, counted = got
        case = f"draft {name}, k=2, 6 new tokens"
        assert len(ids) == 9, f"{case}: 3 + 6 ids expected, you returned {len(ids)}"
        assert [int(t) for t in ids] == want, f"{case}: plain greedy writes {want}, you wrote {ids}"
        assert len(target.calls) == passes, f"{case}: {passes} calls of the target do, yours made {len(target.calls)}"
        assert counted == len(target.calls), f"{case}: you counted {counted} passes, the target {len(target.calls)}"
    try:
        speculative_generate(CountingModel(50), CountingModel(50), [], 2, 6)
    except ValueError:
        pass
    else:
        raise AssertionError("an empty prompt was accepted: raise ValueError")


test_speculative_generate()


# %% hidden="speculative_generate" points=4
def hidden_speculative_generate():
    import numpy as np

    rng = np.random.default_rng(77)
    for _case in range(60):
        vocab, prompt, k, new = (int(rng.integers(low, high)) for low, high in ((2, 30), (1, 6), (0, 6), (0, 14)))
        start = rng.integers(0, vocab, prompt).tolist()
        errors = {int(i) for i in np.flatnonzero(rng.random(40) < rng.choice([0, 0.3, 1]))}
        want = list(start)
        for _ in range(new):
            want.append(CountingModel(vocab).next_token(want))
        calls, draft_calls, length = [], [], prompt  # what the rule makes of it, followed on the known text
        while length < prompt + new:
            num = min(k, prompt + new - length - 1)
            text = list(want[:length])
            for _ in range(num):
                draft_calls.append(len(text))
                text.append(CountingModel(vocab, errors).next_token(text))
            calls.append(len(text))
            kept = 0
            while kept < num and text[length + kept] == want[length + kept]:
                kept += 1
            length += kept + 1
        target, draft = CountingModel(vocab), CountingModel(vocab, errors)
        ids = np.array(start) if len(calls) % 2 else list(start)
        got, passes = speculative_generate(target, draft, ids, k, new)
        what = f"prompt {start}, k={k}, {new} new, draft wrong at {sorted(errors)[:5]}…"
        assert [int(t) for t in got] == want, f"{what}: plain greedy writes {want}, you wrote {got}"
        assert list(ids) == start, f"{what}: the prompt was changed"
        assert target.calls == calls, f"{what}: the target should be called on {calls} tokens, yours on {target.calls}"
        assert passes == len(calls), f"{what}: {len(calls)} passes, you counted {passes}"
        assert draft.calls == draft_calls, (
            f"{what}: the draft should be called on {draft_calls} tokens, yours on {draft.calls}"
        )
        assert all(type(t) is int for t in got), f"{what}: a list of Python ints, please"
    got, passes = speculative_generate(lambda ids: np.zeros((len(ids), 4)), CountingModel(4), [1], 2, 3)
    assert got == [1, 0, 0, 0], f"all logits equal: the first token wins, [1, 0, 0, 0], you wrote {got}"
    for ids, k, new in (([1], -1, 3), ([1], 2, -1), ([], 2, 0)):
        model = CountingModel(5)
        try:
            speculative_generate(model, model, ids, k, new)
        except ValueError:
            assert not model.calls, "reject before any work"
            continue
        raise AssertionError(f"ids={ids}, k={k}, max_new={new} was accepted: raise ValueError")
    want = [40_000, 41_000]
    for _ in range(3):
        want.append(CountingModel(50_000).next_token(want))
    got, _ = speculative_generate(CountingModel(50_000), CountingModel(50_000, (3,)), [40_000, 41_000], 2, 3)
    assert got == want, f"ids above 32,767: plain greedy writes {want}, you wrote {got}"


hidden_speculative_generate()

# %% [markdown] task="ngram_draft" stars=2 minutes=20
# ## 6. A draft without a model
#
# The cheapest draft looks in the text itself. If the last $n$ tokens stood there before, continue as the text did then: prompt look-up (Saxena 2023). It costs no model pass and pays where text repeats itself: code, lists, quotations from the prompt.
#
# Write `ngram_draft(ids, n, k)`: find the **latest** earlier place where the last `n` tokens of `ids` stand, and return up to `k` of the tokens that follow it there. If they stand nowhere else, or the text is too short, return an empty list.
#
# | `ids` | `n` | `k` | result | because |
# |---|---|---|---|---|
# | `[1, 2, 9, 1, 2, 7, 8, 1, 2]` | 2 | 3 | `[7, 8, 1]` | `1, 2` last stood before `7, 8, 1` |
# | `[1, 2, 3]` | 1 | 4 | `[]` | no 3 before the last one |
# | `[5, 5, 5]` | 2 | 4 | `[5]` | the places may overlap; only one token follows |
#
# Return a list of ints. `ids` may be a list or a NumPy array.
#
# <details><summary>Hint 1</summary>
#
# The last place itself does not count: nothing follows it. So where is the latest start that may be compared?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Go backwards over the starts from `len(ids) - n - 1` to 0, compare `n` tokens, return the slice behind the first one that is equal.
#
# </details>


# %% solution="ngram_draft"
def ngram_draft(ids, n, k):
    """Up to k tokens that followed the latest earlier occurrence of the last n tokens; [] when there is none.

    ids: the text so far, a list or an array of ints. n: 1 or more. k: 0 or more. Raises ValueError outside.
    """
    ### BEGIN SOLUTION
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    if k < 0:
        raise ValueError(f"k must not be negative, got {k}")
    ids = [int(token) for token in ids]
    for start in range(len(ids) - n - 1, -1, -1):
        if ids[start : start + n] == ids[-n:]:
            return ids[start + n : start + n + k]
    return []
    ### END SOLUTION


# %% tryit="ngram_draft"
words = "the fox saw the hen and the hen saw the".split()
vocabulary = sorted(set(words))
ids = [vocabulary.index(word) for word in words]
for n in (1, 2, 3):
    print(f"n = {n}:", [vocabulary[i] for i in ngram_draft(ids, n, 3)])


# %% test="ngram_draft" points=1
def test_ngram_draft():
    got = ngram_draft([1, 2, 9, 1, 2, 7, 8, 1, 2], 2, 3)
    assert got is not None, "ngram_draft returned None: return an empty list when nothing is found"
    got = [int(t) for t in got]
    assert got != [9, 1, 2], "[9, 1, 2] follows the first place; the latest earlier one is asked for"
    assert got != [1, 2, 7], "[1, 2, 7] begins with the match itself: return what follows it"
    assert got == [7, 8, 1], f"1, 2 last stood before 7, 8, 1: you returned {got}"
    assert list(ngram_draft([1, 2, 3], 1, 4)) == [], "3 stands only at the end: an empty list"
    assert list(ngram_draft([5, 5, 5], 2, 4)) == [5], "5, 5 stands at the start, and one token follows: [5]"
    assert list(ngram_draft([1, 2], 3, 4)) == [], "a text shorter than n has no match: an empty list"
    try:
        got = ngram_draft([1, 2, 1], 0, 4)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError(f"n=0 returned {got}: raise ValueError")


test_ngram_draft()


# %% hidden="ngram_draft" points=3
def hidden_ngram_draft():
    import numpy as np

    try:
        ngram_draft([1], 2, -1)
    except ValueError:
        pass
    else:
        raise AssertionError("k = -1 was accepted for a short text: raise ValueError")
    rng = np.random.default_rng(8)
    found = 0
    for case in range(300):
        ids = rng.integers(0, int(rng.integers(1, 5)), int(rng.integers(0, 25))).tolist()
        n, k = int(rng.integers(1, 5)), int(rng.integers(0, 6))
        # strings of one letter per token: find them by the string's own search
        text = "".join(chr(97 + t) for t in ids)
        place = text.rfind(text[-n:], 0, len(text) - 1) if len(text) > n else -1
        want = [ord(letter) - 97 for letter in text[place + n : place + n + k]] if place >= 0 else []
        given = np.array(ids, dtype=np.int64) if case % 2 else list(ids)
        got = ngram_draft(given, n, k)
        assert [int(t) for t in got] == want, f"ids={ids}, n={n}, k={k}: {want}, you returned {got}"
        assert list(given) == ids, "ids was changed"
        found += bool(want)
    assert found > 50, "the random texts should hold matches"
    got = ngram_draft(np.array([4, 4, 4]), 1, 2)
    assert isinstance(got, list) and all(type(t) is int for t in got), f"a list of Python ints, please, not {got!r}"
    for bad in (([1, 1], -1, 2), ([1, 1], 1, -1), ([], 0, 1)):
        try:
            ngram_draft(*bad)
        except ValueError:
            continue
        raise AssertionError(f"ngram_draft{bad} was accepted: raise ValueError")
    got = ngram_draft([11, 2, 5, 1, 2], 2, 1)
    assert got == [], f"11, 2 is not 1, 2: compare whole tokens; you returned {got}"
    got = ngram_draft([1, 23, 5, 12, 3], 2, 1)
    assert got == [], f"1, 23 is not 12, 3: compare whole tokens; you returned {got}"
    got = ngram_draft([40_000, 50_000, 7, 40_000], 1, 2)
    assert got == [50_000, 7], f"ids above 32,767: after 40000 came 50000 and 7, you returned {got}"
    got = ngram_draft([1, 2, 3] + [9] * 20_000 + [1, 2], 2, 1)
    assert got == [3], (
        f"1, 2 stood at the beginning of a long text, before 3: look through all of it; you returned {got}"
    )


hidden_ngram_draft()

# %% [markdown] task="LookupDraft" stars=2 minutes=20
# ## 7. Your parts in the engine
#
# The engine of this course takes its draft as an object, and its rule as a function: `Engine(model, draft=…, speculative_step=…)`. In every step it asks the draft for each running request, feeds the request's newest token and the drafted ones in one batched pass, and hands `p`, `q`, the draft and the request's own generator to the rule.
#
# Write the class `LookupDraft`:
#
# | method | does |
# |---|---|
# | `__init__(n, k)` | remembers the two numbers |
# | `propose(seq)` | `seq.token_ids` is the request's text, prompt and output. Returns a pair: the drafted tokens of your `ngram_draft` (or your own search), and `None`. `None` instead of the probabilities says that each token was certain: the engine then makes rows of `q` with a single 1. |
# | `release(seq)` | the request has ended; a draft that remembers requests would forget this one. Yours remembers nothing. |
#
# To propose nothing, return `([], None)`: the step is then a plain one. One object serves all requests of an engine at once, so keep no text of one request in it. Do not change `seq`.
#
# The checks pass your class and your `speculative_step` to the engine, serve the shipped 2-layer model in float64, and compare with the same engine without speculation.
#
# <details><summary>Hint 1</summary>
#
# With a `q` of certainty, what do the acceptance rule and the residual become? Nothing in your `speculative_step` needs to change.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `propose` is one line, if your `ngram_draft` works; `release` has nothing to do but must exist.
#
# </details>


# %% solution="LookupDraft"
class LookupDraft:
    """A draft for the engine that looks the last n tokens up in the request's own text and proposes up to k.

    n: 1 or more. k: 0 or more. Raises ValueError outside.
    """

    ### BEGIN SOLUTION
    def __init__(self, n, k):
        if n < 1 or k < 0:
            raise ValueError(f"no such draft: n={n}, k={k}")
        self.n, self.k = n, k

    def propose(self, seq):
        """(up to k token ids, None): None because each of them is certain."""
        return ngram_draft(seq.token_ids, self.n, self.k), None

    def release(self, seq):
        """Nothing was kept."""

    ### END SOLUTION


# %% tryit="LookupDraft"
model = Llama(*load_tiny(), torch.float64)
prompts = [[5, 17, 400, 5, 17], [100, 101, 102, 103], [7] * 6]
params = SamplingParams(max_tokens=40)
plain, fast = Engine(model), Engine(model, draft=LookupDraft(2, 4), speculative_step=speculative_step)
texts = [[seq.output_token_ids for seq in engine.generate(prompts, params)] for engine in (plain, fast)]
print("same text:", texts[0] == texts[1])
print("passes without and with drafts:", plain.runner.num_passes, fast.runner.num_passes)
print("drafted tokens:", fast.runner.num_draft_tokens, "accepted:", fast.runner.num_accepted_tokens)


# %% test="LookupDraft" points=2
def test_LookupDraft():
    import torch

    from mini_engine.engine import Engine
    from mini_engine.model import Llama
    from mini_engine.sequence import SamplingParams, Sequence
    from mini_engine.weights import load_tiny

    draft = LookupDraft(2, 3)
    seq = Sequence(0, [1, 2, 9, 1, 2, 7, 8, 1, 2])
    got = draft.propose(seq)
    assert got is not None, "propose returned None: return a pair, (tokens, None)"
    assert isinstance(got, tuple) and len(got) == 2, f"propose returns a pair, (tokens, None), not {got!r}"
    assert list(got[0]) == [7, 8, 1], f"the text says 7, 8, 1 next; propose returned {got[0]}"
    assert got[1] is None, "the second of the pair is None: each token was certain"
    seq.append(7)
    got = list(draft.propose(seq)[0])
    assert got != [7, 8, 1], "propose must look at the text as it is now: seq.token_ids, prompt and output"
    assert got == [8, 1, 2], f"after 2, 7 the text went on 8, 1, 2; propose returned {got}"

    model = Llama(*load_tiny(), torch.float64)
    prompts, params = [[5, 17, 400, 5, 17], [100, 101, 102, 103], [7] * 6], SamplingParams(max_tokens=24)
    want = [seq.output_token_ids for seq in Engine(model).generate(prompts, params)]
    engine = Engine(model, draft=draft, speculative_step=speculative_step)
    got = [seq.output_token_ids for seq in engine.generate(prompts, params)]
    assert got == want, "speculation changed the greedy text"
    assert engine.runner.num_draft_tokens > 0, "the engine got no draft at all from your class"
    for bad in ((0, 2), (2, -1)):
        try:
            LookupDraft(*bad)
        except ValueError as error:
            assert "0" in str(error) or "-1" in str(error), f"the ValueError should name the bad value: {error}"
        else:
            raise AssertionError(f"LookupDraft{bad} was accepted: raise ValueError")


test_LookupDraft()


# %% hidden="LookupDraft" points=3
def hidden_LookupDraft():
    import numpy as np
    import torch

    from mini_engine.engine import Engine
    from mini_engine.model import Llama
    from mini_engine.sequence import SamplingParams, Sequence
    from mini_engine.speculative import ngram_draft as engine_ngram
    from mini_engine.weights import load_tiny

    rng = np.random.default_rng(9)
    for _ in range(40):
        n, k = int(rng.integers(1, 4)), int(rng.integers(0, 5))
        draft = LookupDraft(n, k)
        texts = [rng.integers(0, 3, int(rng.integers(1, 20))).tolist() for _ in range(2)]
        sequences = [Sequence(i, text) for i, text in enumerate(texts)]
        for seq, text in [*zip(sequences, texts, strict=True)] * 2:  # the requests by turns
            got = draft.propose(seq)
            want = engine_ngram(text, k, n, n)
            assert list(got[0]) == want and got[1] is None, f"{text}, n={n}, k={k}: ({want}, None), you gave {got}"
            assert seq.token_ids == text, "propose changed the request's text"
        assert draft.release(sequences[0]) is None, "release has nothing to return"
    draft = LookupDraft(1, 2)
    got = [draft.propose(Sequence(i, text))[0] for i, text in enumerate(([5, 6, 7, 5], [5, 8, 9, 5]))]
    assert got == [[6, 7], [8, 9]], f"two requests of one length, each with its own text: you propose {got}"
    other = LookupDraft(2, 1)
    got = other.propose(Sequence(2, [5, 6, 8, 5, 6]))[0], draft.propose(Sequence(3, [5, 6, 7, 5]))[0]
    assert got == ([8], [6, 7]), (
        f"a draft of n=2, k=1 beside one of n=1, k=2: each has its own numbers, you propose {got}"
    )
    model = Llama(*load_tiny(), torch.float64)
    prompts = [rng.integers(0, 512, 5).tolist() * 3 for _ in range(4)]
    params = SamplingParams(max_tokens=30)
    want = [seq.output_token_ids for seq in Engine(model, num_blocks=40, block_size=4).generate(prompts, params)]
    for n, k in ((1, 4), (2, 2), (3, 8), (1, 0)):
        parts = {"draft": LookupDraft(n, k), "speculative_step": speculative_step}
        engine = Engine(model, num_blocks=40, block_size=4, prefix_caching=False, **parts)
        free = engine.block_manager.num_free_blocks
        got = [seq.output_token_ids for seq in engine.generate(prompts, params)]
        assert got == want, f"n={n}, k={k}: speculation changed the greedy text"
        engine.check_invariants()
        assert engine.block_manager.num_free_blocks == free, f"n={n}, k={k}: blocks were not given back"
    sampled = SamplingParams(max_tokens=20, temperature=1.0, seed=3)
    engine = Engine(model, draft=LookupDraft(1, 4), speculative_step=speculative_step)
    texts = [seq.output_token_ids for seq in engine.generate(prompts, sampled)]
    assert all(len(text) == 20 and 0 <= min(text) and max(text) < 512 for text in texts), "sampling with drafts failed"
    for bad in ((-1, 2), (0, 0), (1, -2)):
        try:
            LookupDraft(*bad)
        except ValueError:
            continue
        raise AssertionError(f"LookupDraft{bad} was accepted: raise ValueError")


hidden_LookupDraft()

# %% [markdown] task="measure_drafts" stars=2 minutes=25
# ## 8. Measure a draft
#
# Three results judge a draft: the share of its tokens that is accepted, the tokens that a pass of the target gives, and whether the text is still the same. Write `measure_drafts(model, drafts, prompts, max_tokens)`.
#
# - `model`: a model for the engine. `drafts`: a dict from names to draft objects (such as your `LookupDraft(2, 4)`). `prompts`: a list of lists of ids.
# - Serve the prompts greedily **one after the other** (`engine.generate([prompt], SamplingParams(max_tokens=max_tokens))` returns a list with one request, whose new tokens are `.output_token_ids`), first without a draft, then with each one. Use a fresh `Engine` for every draft, so that the counts start at 0.
# - After a run, `engine.runner` has counted `num_passes`, `num_draft_tokens` and `num_accepted_tokens`.
#
# Return a dict from each draft's name to a dict with
#
# | key | holds |
# |---|---|
# | `"acceptance"` | accepted over drafted tokens, all prompts together; 0.0 when nothing was drafted |
# | `"tokens_per_pass"` | output tokens over passes of the model, all prompts together; the pass over the prompt counts, since it gives the first token |
# | `"same_text"` | `True` when every output equals the one without a draft |
#
# Example: one prompt, 8 new tokens, a perfect draft of $k = 3$. The prompt pass gives 1 token, then $4$, then $3$ (only two more drafts are of use): 8 tokens in 3 passes, 2.667, and acceptance 1.0.
#
# <details><summary>Hint 1</summary>
#
# One inner function that serves all prompts with a given draft (or `None`) and returns the engine and the texts serves both the plain run and the drafts.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `engine = Engine(model, draft=draft)`; a list comprehension over the prompts gives the texts; their lengths add up to the output tokens.
#
# </details>


# %% solution="measure_drafts"
def measure_drafts(model, drafts, prompts, max_tokens):
    """For each draft: {"acceptance", "tokens_per_pass", "same_text"}, from greedy runs of the engine.

    model: a Llama. drafts: {name: object with propose and release}. prompts: lists of ids, at least one. max_tokens:
    new tokens for each, 1 or more. Raises ValueError for no prompts or max_tokens below 1.
    """
    ### BEGIN SOLUTION
    if not prompts:
        raise ValueError("nothing to measure: no prompts")

    def serve(draft):
        engine = Engine(model, draft=draft)
        params = SamplingParams(max_tokens=max_tokens)
        return engine.runner, [engine.generate([prompt], params)[0].output_token_ids for prompt in prompts]

    plain = serve(None)[1]
    results = {}
    for name, draft in drafts.items():
        counts, texts = serve(draft)
        results[name] = {
            "acceptance": counts.num_accepted_tokens / counts.num_draft_tokens if counts.num_draft_tokens else 0.0,
            "tokens_per_pass": sum(len(text) for text in texts) / counts.num_passes,
            "same_text": texts == plain,
        }
    return results
    ### END SOLUTION


# %% tryit="measure_drafts"
model = Llama(*load_tiny(), torch.float64)
drafts = {"look-up, n = 1": LookupDraft(1, 4), "look-up, n = 3": LookupDraft(3, 4)}
for name, row in measure_drafts(model, drafts, [[5, 17, 400, 5, 17], [7] * 6], 40).items():
    print(f"{name}: {row}")


# %% test="measure_drafts" points=2
def test_measure_drafts():
    import torch

    from mini_engine.engine import Engine
    from mini_engine.model import Llama
    from mini_engine.sequence import SamplingParams
    from mini_engine.weights import load_tiny

    model, prompts = Llama(*load_tiny(), torch.float64), [[5, 17, 400]]
    text = prompts[0] + Engine(model).generate(prompts, SamplingParams(max_tokens=8))[0].output_token_ids
    drafts = {"perfect": ReplayDraft([text], 3), "wrong": ReplayDraft([text], 3, error=1)}
    got = measure_drafts(model, drafts, prompts, 8)
    assert got is not None, "measure_drafts returned None: is there a return statement?"
    assert list(got) == ["perfect", "wrong"], f"a dict with the drafts' names as keys, not {list(got)}"
    keys = {"acceptance", "tokens_per_pass", "same_text"}
    assert set(got["perfect"]) == keys, f"each draft gets the keys {sorted(keys)}, yours are {sorted(got['perfect'])}"
    assert got["perfect"]["acceptance"] == 1.0, f"a perfect draft: acceptance 1.0, not {got['perfect']['acceptance']}"
    assert got["wrong"]["acceptance"] == 0.0, f"a wrong draft: acceptance 0.0, not {got['wrong']['acceptance']}"
    value = got["perfect"]["tokens_per_pass"]
    assert abs(value - 3.5) > 1e-9, "3.5 leaves one token or the prompt's pass out: 8 tokens in 3 passes"
    assert abs(value - 8 / 3) < 1e-9, f"8 tokens in 3 passes (1 + 4 + 3): 2.667 tokens per pass, you have {value}"
    assert got["wrong"]["tokens_per_pass"] == 1.0, "a wrong draft gives one token per pass"
    assert got["perfect"]["same_text"] is True and got["wrong"]["same_text"] is True, (
        "both drafts leave the greedy text as it was: same_text is True"
    )


test_measure_drafts()


# %% hidden="measure_drafts" points=3
def hidden_measure_drafts():
    import torch

    from mini_engine.engine import Engine
    from mini_engine.model import Llama
    from mini_engine.sequence import SamplingParams
    from mini_engine.speculative import NgramDraft, ngram_draft
    from mini_engine.weights import load_tiny

    model = Llama(*load_tiny(), torch.float64)
    prompts = [[5, 17, 400, 5, 17], [7] * 6, [100, 101, 102, 103]]
    for max_tokens in (1, 2, 25):
        texts = [
            prompt + Engine(model).generate([prompt], SamplingParams(max_tokens=max_tokens))[0].output_token_ids
            for prompt in prompts
        ]
        drafted = accepted = passes = 0
        for prompt, text in zip(prompts, texts, strict=True):
            length = len(prompt) + 1
            passes += 1
            while length < len(text):
                draft = ngram_draft(text[:length], 4, 3, 1)[: len(text) - length - 1]
                kept = 0
                while kept < len(draft) and draft[kept] == text[length + kept]:
                    kept += 1
                drafted, accepted, passes, length = drafted + len(draft), accepted + kept, passes + 1, length + kept + 1
        drafts = {"look-up": NgramDraft(4, 3, 1), "none": NgramDraft(0), "again": NgramDraft(4, 3, 1)}
        got = measure_drafts(model, drafts, prompts, max_tokens)
        assert set(got) == set(drafts), f"a dict with the drafts' names as keys, not {list(got)}"
        want = accepted / drafted if drafted else 0.0
        for name in ("look-up", "again"):
            row = got[name]
            assert abs(row["acceptance"] - want) < 1e-12, (
                f"{max_tokens} tokens: {accepted} of {drafted} drafts are accepted, you have {row['acceptance']}"
            )
            value = len(prompts) * max_tokens / passes
            assert abs(row["tokens_per_pass"] - value) < 1e-12, (
                f"{max_tokens} tokens: {len(prompts) * max_tokens} tokens in {passes} passes are {value}, you have "
                f"{row['tokens_per_pass']} (all prompts together? one after the other? a fresh engine for each draft?)"
            )
            assert row["same_text"] is True, "the text did not change"
        row = got["none"]
        assert row["acceptance"] == 0.0 and row["tokens_per_pass"] == 1.0, f"no drafts: 0.0 and 1.0, you have {row}"

    class Forgetful(torch.nn.Module):
        """Behaves as the model, but in passes of several tokens behind a cache it chooses other tokens."""

        lends = ("config", "device", "dtype", "hidden_states", "lm_head")

        def __init__(self):
            super().__init__()
            self.config, self.dtype, self.device = model.config, model.dtype, model.device

        def hidden_states(self, ids, cache):
            self.is_draft = 1 < ids.shape[1] < 5
            return model.hidden_states(ids, cache)

        def lm_head(self, hidden):
            return -model.lm_head(hidden) if self.is_draft else model.lm_head(hidden)

    for prompts in ([[7] * 6], [[7] * 6, [3]], [[3], [7] * 6]):
        row = measure_drafts(Forgetful(), {"look-up": NgramDraft(3, 3, 1)}, prompts, 6)["look-up"]
        assert row["same_text"] is False, "a model whose answers depend on the pass writes another text, be it once"
    for prompts, max_tokens in (([], 4), ([[1]], 0)):
        try:
            measure_drafts(model, {}, prompts, max_tokens)
        except ValueError:
            continue
        raise AssertionError(f"{len(prompts)} prompts, max_tokens={max_tokens} was accepted: raise ValueError")
    names = {"plain", "baseline", "none", ""}
    got = set(measure_drafts(model, {name: NgramDraft(0) for name in names}, [[5]], 1))
    assert got == names, f"drafts may have any name: {sorted(names - got)} is missing"


hidden_measure_drafts()

# %% [markdown] task="commit_step" stars=3 minutes=25
# ## 9. Bug museum: after the verification
#
# `speculative_step` has decided; now the request's state must follow: the text, the number of tokens whose keys and values in the cache are right, and whether the request has ended. This is where real engines broke. Here is a version that passed its tests for a month, because they never rejected a draft and never met the end of a text:
#
# ```python
# def commit_step(tokens, num_cached, draft, new_tokens, eos, max_len):
#     tokens = tokens + new_tokens
#     num_cached = num_cached + 1 + len(draft)
#     reason = "stop" if new_tokens[-1] == eos else "length" if len(tokens) == max_len else None
#     return tokens, num_cached, reason
# ```
#
# and a trace of it (2 is the end-of-text token, `max_len` is 12):
#
# ```
# tokens [8, 4, 9]                 cached 2                           next pass feeds 9 at position 2
# draft  [5, 6, 7]  new [5, 1]  -> tokens [8, 4, 9, 5, 1]              cached 6, reason None
#                                  next pass feeds 1 at position 6     ← its position is 4
# draft  [2, 5]     new [2, 5, 3] -> tokens [8, 4, 9, 5, 1, 2, 5, 3]   reason None
#                                  ← the text ended at 2, and goes on
# ```
#
# Three faults: the cache is said to hold the rejected drafts, an end-of-text token inside the accepted ones goes unseen, and more tokens than `max_len` slip through where several arrive at once. Write the fixed `commit_step(tokens, num_cached, draft, new_tokens, eos, max_len)`.
#
# - Before: `tokens` is the whole text, `num_cached` is `len(tokens) - 1`, since the newest token has not been fed. The pass fed it and the `draft`. `new_tokens` are the accepted drafts and one more.
# - Keep `new_tokens` up to and including the first `eos`, and never let the text grow beyond `max_len` tokens. `eos` may be `None`: then nothing ends the text but its length.
# - Return `(tokens, num_cached, reason)`: the text as a **new** list; `num_cached`, again one less than the text; and `"stop"` when the last kept token is `eos`, else `"length"` when the text has `max_len` tokens, else `None`.
# - A `num_cached` that is not `len(tokens) - 1`, or `new_tokens` that are empty, more than the draft and one, or do not begin with the accepted part of the draft, are a fault of the caller: raise `ValueError`.
#
# Example: `commit_step([8, 4, 9], 2, [5, 6, 7], [5, 1], 2, 12)` gives `([8, 4, 9, 5, 1], 4, None)`.
#
# <details><summary>Hint 1</summary>
#
# The pass wrote keys and values for the newest token and all drafts. Which of these belong to the text that you keep? The rest is overwritten by the next pass, if it starts at the right position.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Cut the new tokens twice (`list.index` finds the first `eos`; `max_len - len(tokens)` is the room), then count from what is left. "Begin with the accepted part": all of `new_tokens` but the last equal the front of `draft`.
#
# </details>


# %% solution="commit_step"
def commit_step(tokens, num_cached, draft, new_tokens, eos, max_len):
    """Follow a verification: (new text, tokens whose K and V in the cache are right, "stop", "length" or None).

    tokens: the text before, max_len tokens at most less one. num_cached: len(tokens) - 1. draft: the drafted ids.
    new_tokens: accepted drafts and one more. eos: an id or None. Raises ValueError where these do not fit together.
    """
    ### BEGIN SOLUTION
    if num_cached != len(tokens) - 1:
        raise ValueError(f"{num_cached} tokens cached of {len(tokens)}: the newest one alone should be missing")
    if not new_tokens or new_tokens[:-1] != draft[: len(new_tokens) - 1]:
        raise ValueError(f"new tokens {new_tokens} do not follow from the draft {draft}")
    kept = new_tokens[: max_len - len(tokens)]
    if eos in kept:
        kept = kept[: kept.index(eos) + 1]
    tokens = [*tokens, *kept]
    reason = "stop" if tokens[-1] == eos else "length" if len(tokens) == max_len else None
    return tokens, num_cached + len(kept), reason
    ### END SOLUTION


# %% tryit="commit_step"
state = ([8, 4, 9], 2)
for draft, new in (([5, 6, 7], [5, 1]), ([2, 5], [2, 5, 3])):
    *state, reason = commit_step(*state, draft, new, eos=2, max_len=12)
    print(f"draft {draft}, new {new} -> text {state[0]}, cached {state[1]}, {reason}")


# %% test="commit_step" points=2
def test_commit_step():
    before = [8, 4, 9]
    got = commit_step(before, 2, [5, 6, 7], [5, 1], 2, 12)
    assert got is not None, "commit_step returned None: is there a return statement?"
    assert before == [8, 4, 9], "the list `tokens` was changed: return a new one"
    assert list(got[0]) == [8, 4, 9, 5, 1], f"the text goes on with 5 and 1, yours is {got[0]}"
    assert got[1] != 6, "6 counts the rejected drafts as cached: the next token would be fed at position 6 instead of 4"
    assert got[1] != 5, "5: the newest token has not been fed yet, so its keys and values are not there"
    assert got[1] == 4, f"the cache holds right keys and values of 4 tokens, you returned {got[1]}"
    assert got[2] is None, f"nothing ends this text: None, you returned {got[2]!r}"
    got = commit_step([8, 4, 9, 5, 1], 4, [2, 5], [2, 5, 3], 2, 12)
    assert list(got[0]) == [8, 4, 9, 5, 1, 2], (
        f"the end-of-text token 2 was accepted: the text ends there, not {got[0]}"
    )
    assert got[2] == "stop", f'the reason is "stop", you returned {got[2]!r}'
    assert got[1] == 5, f"the cache count is one less than the text again: 5, you returned {got[1]}"
    got = commit_step([8, 4], 1, [5, 6, 7], [5, 6, 7, 1], 2, 4)
    assert len(got[0]) <= 4, f"max_len is 4, and your text has {len(got[0])} tokens"
    assert (list(got[0]), got[1], got[2]) == ([8, 4, 5, 6], 3, "length"), (
        f'two more tokens fit: ([8, 4, 5, 6], 3, "length"), you returned {got}'
    )
    try:
        got = commit_step([8, 4, 9], 3, [5], [5, 1], 2, 12)
    except ValueError:
        pass
    else:
        raise AssertionError(
            f"3 of 3 tokens cached before the step: the newest one was not fed, raise ValueError, not {got}"
        )


test_commit_step()


# %% hidden="commit_step" points=4
def hidden_commit_step():
    import numpy as np

    rng = np.random.default_rng(111)
    for _ in range(400):
        tokens = rng.integers(0, 6, int(rng.integers(1, 5))).tolist()
        draft = rng.integers(0, 6, int(rng.integers(0, 5))).tolist()
        new = [*draft[: int(rng.integers(0, len(draft) + 1))], int(rng.integers(0, 6))]
        eos = None if rng.random() < 0.2 else int(rng.integers(0, 6))
        max_len = len(tokens) + int(rng.integers(1, 7))
        text, reason = list(tokens), None
        for token in new:  # one at a time, as if each had come from a pass of its own
            text.append(token)
            if token == eos:
                reason = "stop"
            elif len(text) == max_len:
                reason = "length"
            if reason:
                break
        kept, drafted, given = list(tokens), list(draft), list(new)
        got = commit_step(tokens, len(tokens) - 1, draft, new, eos, max_len)
        case = f"commit_step({tokens}, {len(tokens) - 1}, {draft}, {new}, eos={eos}, max_len={max_len})"
        assert (list(got[0]), got[1], got[2]) == (text, len(text) - 1, reason), (
            f"{case}: one token at a time gives {(text, len(text) - 1, reason)}, you returned {got}"
        )
        assert (tokens, draft, new) == (kept, drafted, given), f"{case}: an argument was changed"
    got = commit_step([2, 7], 1, [], [4], 2, 9)
    assert got[2] is None, "an end-of-text token in the prompt does not end the answer"
    for what, bad in (
        ("two tokens not cached", ([8, 4, 9], 1, [5], [5, 1])),
        ("no new token", ([8, 4, 9], 2, [5], [])),
        ("more than the draft and one", ([8, 4, 9], 2, [5], [5, 1, 1])),
        ("a token that was not drafted", ([8, 4, 9], 2, [5, 6], [4, 1])),
        ("drafts out of order", ([8, 4, 9], 2, [5, 6], [6, 5, 1])),
    ):
        try:
            got = commit_step(*bad, None, 20)
        except ValueError:
            continue
        raise AssertionError(f"{what}: commit_step{bad} returned {got}, raise ValueError")


hidden_commit_step()

# %% [markdown]
# ## Your drafts, a real model
#
# Nothing to write and no points: your `LookupDraft` and your `speculative_step` serve SmolLM2-135M, on a text that repeats itself and on one that does not. It runs where the model has been fetched before (`python -m mini_engine generate "Hello"` does that) and says so where not.

# %%
from mini_engine.weights import load_smollm2, smollm2_is_cached

if not smollm2_is_cached():
    print('SmolLM2-135M is not on this machine: skipped. `python -m mini_engine generate "Hello"` fetches it.')
else:
    from mini_engine.tokenizer import load_smollm2_tokenizer

    tokenizer = load_smollm2_tokenizer()
    real = Llama(*load_smollm2())
    for text in ('[{"name": "Anna", "city": "Rome"},\n {"name": "Ben", "city":', "The sky is blue because"):
        written = []
        for draft in (None, LookupDraft(2, 2)):
            engine = Engine(real, draft=draft, speculative_step=speculative_step, prefix_caching=False)
            start = time.perf_counter()
            seq = engine.generate([tokenizer.encode(text)], SamplingParams(max_tokens=32))[0]
            seconds = time.perf_counter() - start
            written.append(seq.output_token_ids)
            name = "plain  " if draft is None else "look-up"
            print(f"{name} {seconds:5.2f} s, {32 / engine.runner.num_passes:.2f} tokens per pass")
        print("same text:", written[0] == written[1], repr(tokenizer.decode(written[0])[:60]))

# %% [markdown]
# **Before you close this.** Whatever the draft said, the distribution of the output stayed the target's own: exactly, over all outcomes, and token for token at temperature 0. And you measured what it buys: tokens per pass, which is a property of the text, and seconds, which also need a pass over several tokens to cost little more than a pass over one.
