"""A draft head: what it is fed, and that the text does not depend on it."""

import dataclasses

import numpy as np
import pytest
import torch

from mini_engine.beyond.draft_head import DraftHead, HeadDraft
from mini_engine.engine import Engine
from mini_engine.model import Llama
from mini_engine.sequence import SamplingParams
from mini_engine.weights import load_tiny


@pytest.fixture(scope="module")
def model():
    return Llama(*load_tiny(), dtype=torch.float64)


def random_head(config, seed=0, cls=DraftHead, num_ids=300):
    """An untrained head of the tiny model, its layer the target's last."""
    weights = load_tiny()[1]
    rng, d = np.random.default_rng(seed), config.hidden_size
    parts = {"fuse": rng.normal(0, d**-0.5, (2 * d, d)), "embedding_norm": np.ones(d), "hidden_norm": np.ones(d)}
    parts = {name: array.astype(np.float32) for name, array in parts.items()}
    parts |= {"ids": np.sort(rng.permutation(config.vocab_size)[:num_ids]), "final_norm": weights["final_norm"]}
    embedding = np.asarray(weights["embedding"])
    lm_head = embedding.T if config.tie_word_embeddings else weights["lm_head"]
    return cls(config, parts | {"layers": weights["layers"][-1:]}, embedding, lm_head)


class Witness(DraftHead):
    """A head that knows the text, lies at every third place, and notes what it was fed."""

    def forward(self, hidden, token_ids, cache, positions):
        self.seen.append((positions[0].tolist(), token_ids[0].tolist(), hidden[0].clone()))
        self.last = positions[0, -1].item()
        return super().forward(hidden, token_ids, cache, positions)

    def guess(self, hidden):
        place = self.last + 2
        return self.text[place] if place % 3 and place < len(self.text) else 7


def served(model, prompts, draft=None, num_tokens=16, **options):
    engine = Engine(
        model if draft is None else draft.watched(model), num_blocks=64, block_size=4, draft=draft, **options
    )
    params = SamplingParams(max_tokens=num_tokens)
    outputs = [seq.output_token_ids for seq in engine.generate(prompts, params)]
    engine.check_invariants()
    return outputs, engine


PROMPTS = [[72, 101, 108, 108, 111], list(range(65, 90)), [87], [72, 101, 108, 108, 111, 32, 72]]


@pytest.mark.parametrize("num_draft_tokens", [0, 1, 3])
@pytest.mark.parametrize("options", [{}, {"max_num_batched_tokens": 8, "max_num_seqs": 3}])
def test_the_text_does_not_depend_on_the_head(model, num_draft_tokens, options):
    draft = HeadDraft(random_head(model.config), num_draft_tokens)
    plain, _ = served(model, PROMPTS, **options)
    drafted, engine = served(model, PROMPTS, draft, **options)
    assert drafted == plain
    assert (engine.runner.num_draft_tokens > 0) == (draft.num_passes > 0) == (num_draft_tokens > 0)
    assert not draft._texts, "a finished request leaves something behind"


def test_a_prefix_from_the_cache_costs_only_acceptance(model):
    draft = HeadDraft(random_head(model.config), 2)
    engine = Engine(draft.watched(model), num_blocks=64, block_size=4, draft=draft)
    for _ in range(3):
        (seq,) = engine.generate([PROMPTS[1]], SamplingParams(max_tokens=12))
        assert seq.output_token_ids == served(model, [PROMPTS[1]], num_tokens=12)[0][0]
    assert seq.num_cached_tokens == 24 and draft.num_passes > 0


def test_the_text_survives_preemption(model):
    """Six blocks for two requests that grow to eight: one is put back and computed again."""
    draft = HeadDraft(random_head(model.config), 2)
    plain = [served(model, [prompt])[0][0] for prompt in PROMPTS[::3]]
    engine = Engine(draft.watched(model), num_blocks=6, block_size=4, draft=draft, watermark=0.0)
    sequences = engine.generate(PROMPTS[::3], SamplingParams(max_tokens=16))
    assert [seq.output_token_ids for seq in sequences] == plain and engine.stats.num_preemptions


@torch.inference_mode()
def test_the_head_reads_the_models_own_states(model):
    """Where the drafts were rejected too: each true state is read once, with the token that came after it."""
    (plain,), _ = served(model, PROMPTS[:1])
    head = random_head(model.config, cls=Witness)
    head.seen, head.text = [], PROMPTS[0] + plain
    draft = HeadDraft(head, 3)
    (drafted,), engine = served(model, PROMPTS[:1], draft)
    assert drafted == plain
    assert 0 < engine.runner.num_accepted_tokens < engine.runner.num_draft_tokens
    true = model.hidden_states(torch.tensor([head.text]))[0]
    read = []
    for positions, tokens, hidden in head.seen:
        if hidden.dtype == torch.float64:  # what it made itself is float32
            read += positions
            assert tokens == [head.text[place + 1] for place in positions]
            torch.testing.assert_close(hidden, true[positions], atol=1e-9, rtol=0)
    assert read == list(range(len(read))) and len(read) > 10


def test_sampling_takes_certain_drafts(model):
    """With a temperature the drafts are a distribution with a single 1: the rule needs no more."""
    draft = HeadDraft(random_head(model.config), 2)
    engine = Engine(draft.watched(model), num_blocks=64, draft=draft)
    params = SamplingParams(max_tokens=10, temperature=1.0, seed=3)
    assert len(engine.generate([PROMPTS[0]], params)[0].output_token_ids) == 10


def test_a_context_that_is_nearly_full_is_drafted_to_its_end(model):
    config = dataclasses.replace(model.config, max_position_embeddings=24)
    small = Llama(config, load_tiny()[1], dtype=torch.float64)
    plain, _ = served(small, PROMPTS[:1], num_tokens=19)
    assert served(small, PROMPTS[:1], HeadDraft(random_head(config), 3), num_tokens=19)[0] == plain
