"""Speculative decoding: the law of one step by enumeration, and the drafts."""

from itertools import product

import numpy as np
import pytest

from mini_engine.sequence import Sequence
from mini_engine.speculative import NgramDraft, ngram_draft, speculative_step

V = 3
CELLS = 12  # every threshold below is a multiple of 1/12, so 12 equally likely cells give the law without an error


class Cells:
    """A generator whose numbers are the centres of given cells."""

    def __init__(self, cells):
        self.cells = iter(cells)

    def random(self):
        return (next(self.cells) + 0.5) / CELLS


def law(name, prefix):
    """A distribution over 3 tokens in quarters that depends on the whole prefix."""
    choices = [(2, 1, 1), (4, 0, 0), (0, 3, 1), (1, 2, 1), (1, 0, 3), (2, 2, 0)]
    index = sum((i + 2) * (token + 1) for i, token in enumerate(prefix)) + len(name)
    return np.array(choices[index % len(choices)]) / 4


def joint(name, length):
    """Probability of every token string of a length when drawn one token at a time."""
    total = {(): 1.0}
    for _ in range(length):
        total = {(*s, t): w * law(name, s)[t] for s, w in total.items() for t in range(V)}
    return total


@pytest.mark.parametrize("k", [0, 1, 2])
@pytest.mark.parametrize("draft_name", ["q", "target", "point"])
def test_output_law_is_the_targets(k, draft_name):
    """Enumerate drafts and random cells; complete short outputs by the target's law; compare with the target's law."""
    drafts = {(0, 1, 2)[:k]: 1.0} if draft_name == "point" else joint(draft_name, k)
    got = dict.fromkeys(product(range(V), repeat=k + 1), 0.0)
    for draft, weight in drafts.items():
        if not weight:
            continue
        p = np.array([law("target", draft[:i]) for i in range(k + 1)])
        q = (
            np.eye(V)[list(draft)]
            if draft_name == "point"
            else np.array([law(draft_name, draft[:i]) for i in range(k)])
        )
        for cells in product(range(CELLS), repeat=k + 1):
            out = speculative_step(p, q, list(draft), Cells(cells))
            assert 1 <= len(out) <= k + 1
            share = {tuple(out): weight / CELLS ** (k + 1)}
            for _ in range(k + 1 - len(out)):
                share = {(*s, t): w * law("target", s)[t] for s, w in share.items() for t in range(V)}
            for string, w in share.items():
                got[string] += w
    want = joint("target", k + 1)
    assert max(abs(got[s] - want[s]) for s in got) < 1e-12


def test_acceptance_is_the_overlap_of_p_and_q():
    """Alpha = sum of min(p, q) (2211.17192, theorem 3.5 and corollary 3.6)."""
    p, q = np.array([[0.5, 0.25, 0.25], [1, 0, 0]]), np.array([[0.25, 0.25, 0.5]])
    accepted = sum(
        q[0, token] / CELLS**2
        for token in range(V)
        for cells in product(range(CELLS), repeat=2)
        if len(speculative_step(p, q, [token], Cells(cells))) == 2
    )
    assert accepted == pytest.approx(np.minimum(p[0], q[0]).sum(), abs=1e-12)


@pytest.mark.parametrize("rejected", [0, 1, 2, None])
def test_greedy_rows_accept_up_to_the_first_difference(rejected):
    target = [4, 2, 0, 3]
    draft = [(t + 1) % 5 if i == rejected else t for i, t in enumerate(target[:3])]
    out = speculative_step(np.eye(5)[target], np.eye(5)[draft], draft, np.random.default_rng(0))
    assert out == target[: len(target) if rejected is None else rejected + 1]


def test_ngram_draft_takes_the_latest_longest_match():
    assert ngram_draft([1, 2, 9, 1, 2, 7, 8, 1, 2], 3) == [7, 8, 1]
    assert ngram_draft([5, 1, 2, 3, 4, 9, 2, 3, 6, 1, 2, 3], 2) == [4, 9], "three equal tokens beat a later two"
    assert ngram_draft([1, 1, 1], 4) == [1], "a match may overlap the end"
    assert ngram_draft([1, 2, 3], 4) == []
    assert ngram_draft([7], 4) == [] and ngram_draft([1, 2, 1, 2], 0) == []
    assert NgramDraft(2).propose(Sequence(0, [1, 2, 3, 1, 2])) == ([3, 1], None)
    with pytest.raises(ValueError, match="min_n=3"):
        NgramDraft(2, max_n=2, min_n=3)
