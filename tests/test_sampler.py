"""The sampler against transformers' logits processors, and its draws against the exact law."""

import numpy as np
import pytest
import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from mini_engine.sampler import Sampler, new_generator, top_logprobs
from mini_engine.sequence import SamplingParams


def oracle(logits, params):
    """transformers, row by row."""
    scores = logits.double()[None]
    scores = TemperatureLogitsWarper(params.temperature)(None, scores)
    if params.top_k:
        scores = TopKLogitsWarper(params.top_k)(None, scores)
    if params.top_p < 1:
        scores = TopPLogitsWarper(params.top_p)(None, scores)
    if params.min_p:
        scores = MinPLogitsWarper(params.min_p)(None, scores)
    return scores.softmax(-1)[0]


def test_a_batch_of_different_settings_has_transformers_distributions():
    rng = np.random.default_rng(0)
    settings = [
        SamplingParams(
            temperature=float(rng.uniform(0.2, 2)),
            top_k=int(rng.choice([0, 1, 3, 17, 50, 99])),
            top_p=float(rng.choice([1.0, 0.999, 0.9, 0.5, 0.01])),
            min_p=float(rng.choice([0.0, 0.05, 0.5, 1.0])),
        )
        for _ in range(60)
    ]
    logits = torch.tensor(rng.normal(0, 3, (len(settings), 50)))
    got = Sampler().probabilities(logits, settings)
    for row, params in enumerate(settings):
        torch.testing.assert_close(got[row], oracle(logits[row], params), rtol=1e-9, atol=1e-12, msg=str(params))


def test_temperature_zero_is_the_argmax_whatever_the_filters():
    logits = torch.tensor([[0.0, 2.0, 2.0], [5.0, 1.0, 1.0]])
    params = [SamplingParams(top_k=2, top_p=0.5), SamplingParams(min_p=0.3)]
    assert Sampler().probabilities(logits, params).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert Sampler()(logits, params, [new_generator(p) for p in params]) == [1, 0]


@pytest.mark.parametrize(
    "params, expected",
    [
        (SamplingParams(temperature=1.0), [0.25] * 4),
        (SamplingParams(temperature=1.0, top_k=2), [0.25] * 4),  # ties with the second stay
        (SamplingParams(temperature=1.0, top_k=9), [0.25] * 4),
        (SamplingParams(temperature=1.0, top_p=0.5), [0, 0, 0.5, 0.5]),
        (SamplingParams(temperature=1.0, top_p=1e-9), [0, 0, 0, 1]),
        (SamplingParams(temperature=1.0, min_p=1.0), [0.25] * 4),
    ],
)
def test_equal_logits(params, expected):
    got = Sampler().probabilities(torch.zeros(1, 4), [params])[0].tolist()
    assert sorted(got) == pytest.approx(expected)  # which of equal tokens stay is open


def test_top_k_of_one_row_leaves_the_other_rows_alone():
    params = [SamplingParams(temperature=1.0), SamplingParams(temperature=1.0, top_k=2)]
    got = Sampler().probabilities(torch.arange(4.0).repeat(2, 1), params)
    assert (got > 0).sum(-1).tolist() == [4, 2]


def test_top_p_keeps_the_token_that_crosses():
    logits = torch.tensor([[0.5, 0.3, 0.2]]).log()
    params = SamplingParams(temperature=1.0, top_p=0.6)
    assert Sampler().probabilities(logits, [params])[0].tolist() == pytest.approx([0.625, 0.375, 0])


class Uniform:
    """A generator that returns one given number."""

    def __init__(self, u):
        self.u = u

    def random(self):
        return self.u


def test_draws_follow_the_law_exactly():
    """Every u of a fine grid: the share of each token is its probability up to one grid cell."""
    logits = torch.tensor([[0.1, 0.0, 0.4, 0.3, 0.2]]).log()
    params = SamplingParams(temperature=1.0)
    num_cells = 1000
    generators = [Uniform((i + 0.5) / num_cells) for i in range(num_cells)]
    tokens = Sampler()(logits.repeat(num_cells, 1), [params] * num_cells, generators)
    counts = np.bincount(tokens, minlength=5)
    assert np.abs(counts - num_cells * np.array([0.1, 0.0, 0.4, 0.3, 0.2])).max() <= 1
    assert counts[1] == 0
    edge = torch.tensor([[1.0, 1.0, -torch.inf]])
    assert Sampler()(edge, [params], [Uniform(1 - 1e-17)]) == [1], "the last possible token, not the one after it"


@pytest.mark.parametrize("spread", [0.0, 5.0], ids=["flat", "peaked"])
def test_top_p_over_a_large_vocabulary(spread):
    """More tokens than are looked at first: flat laws need most of them, peaked ones few."""
    logits = torch.linspace(0, -spread, 5000, dtype=torch.float64)[torch.randperm(5000)][None] - 1e-9 * torch.arange(
        5000
    )
    params = SamplingParams(temperature=1.0, top_p=0.7)
    torch.testing.assert_close(Sampler().probabilities(logits, [params])[0], oracle(logits[0], params))


def test_a_seed_repeats_a_row_in_any_batch():
    logits = torch.randn(8, 100, generator=torch.Generator().manual_seed(0))
    params = [SamplingParams(temperature=1.5, seed=i) for i in range(8)]
    together = Sampler()(logits, params, [new_generator(p) for p in params])
    alone = [Sampler()(logits[i : i + 1], [p], [new_generator(p)])[0] for i, p in enumerate(params)]
    assert together == alone
    assert len(set(together)) > 1


def test_logprobs_are_those_of_the_logits_and_sorted():
    logits = torch.randn(3, 50, generator=torch.Generator().manual_seed(0)).double()
    wanted = logits.log_softmax(-1)
    (first, top), (second, _) = top_logprobs(logits, [7, 9], 5)
    assert first == pytest.approx(wanted[0, 7].item(), abs=1e-5) and second == pytest.approx(
        wanted[1, 9].item(), abs=1e-5
    )
    assert [token for token, _ in top] == wanted[0].argsort(descending=True)[:5].tolist()
    assert [p for _, p in top] == pytest.approx(sorted(wanted[0].tolist())[:-6:-1], abs=1e-5)
    assert top_logprobs(logits, [7], 0)[0][1] == []
