"""The speculation figure computes what mini_engine.speculative computes: its `compute` runs in node on random input."""

import numpy as np
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine.speculative import speculative_step


class Listed:
    """A generator that gives the listed numbers and counts them."""

    def __init__(self, numbers):
        self.numbers, self.used = numbers, 0

    def random(self):
        self.used += 1
        return self.numbers[self.used - 1]


def random_state(rng):
    """A step over up to 5 tokens, drafted from q; some laws have zeros, some drafts are certain or perfect."""
    k, v = int(rng.integers(0, 5)), int(rng.integers(2, 6))
    p, q = (rng.dirichlet(np.full(v, 0.6), n) * (rng.random((n, v)) > 0.2) for n in (k + 1, k))
    for law in (p, q):
        law[law.sum(axis=1) == 0] = 1
        law /= law.sum(axis=1, keepdims=True)
    kind = rng.integers(4)
    if kind == 0:
        q = np.eye(v)[q.argmax(axis=1)].reshape(k, v)
    elif kind == 1:
        q = p[:k].copy()
    draft = [int(rng.choice(v, p=row)) for row in q]
    numbers = rng.random(k + 2)
    if rng.random() < 0.1:
        numbers[:] = rng.choice([0.0, np.nextafter(1.0, 0.0)])
    return {"p": p.tolist(), "q": q.tolist(), "draft": draft, "numbers": numbers.tolist()}


def test_speculation_agrees_with_the_engine():
    rng = np.random.default_rng(11)
    states = [random_state(rng) for _ in range(400)]
    refused = kept_all = 0
    for state, got in zip(states, figure_results("speculation", states), strict=True):
        p, q, draft = np.array(state["p"]), np.array(state["q"]), state["draft"]
        listed = Listed(state["numbers"])
        assert got["output"] == speculative_step(p, q.reshape(len(draft), p.shape[1]), draft, listed), state
        assert len(got["places"]) + 1 == listed.used, state
        for i, place in enumerate(got["places"]):
            assert abs(place["alpha"] - np.minimum(p[i], q[i]).sum()) < 1e-12, state
            assert abs(place["chance"] - min(1, p[i, draft[i]] / q[i, draft[i]])) < 1e-12, state
        last = got["last"]
        i = last["row"]
        if last["kind"] == "bonus":
            kept_all += 1
            np.testing.assert_allclose(last["law"], p[-1])
        else:
            refused += 1
            residual = np.maximum(p[i] - q[i], 0)
            np.testing.assert_allclose(last["law"], residual / residual.sum(), atol=1e-12)
    assert refused > 50 and kept_all > 50, "the random cases should hold both endings"


def test_the_sliders_give_laws():
    """What the page itself makes of its controls: laws that sum to 1, a perfect draft at difference 0."""
    states = [
        {"difference": d, "certain": certain, "seed": seed, "shown": 4}
        for d in (0, 35, 100)
        for certain in (False, True)
        for seed in (1, 2, 3)
    ]
    for state, got in zip(states, figure_results("speculation", states), strict=True):
        for row in (*got["p"], *got["q"]):
            assert abs(sum(row) - 1) < 1e-12
        if state["difference"] == 0 and not state["certain"]:
            assert len(got["output"]) == 4, "a draft equal to the target is always accepted"
