"""The figures of chapters 1 and 2 compute what mini_engine computes, and the records they show are whole."""

import random
from dataclasses import asdict

import torch
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from book._ext.figure_data import FIGURE_DATA
from mini_engine.accounting import forward_flops, parameter_count
from mini_engine.config import MODELS, SMOLLM2_135M, ModelConfig
from mini_engine.sampler import Sampler
from mini_engine.sequence import SamplingParams

TEMPERATURES = (0.0, 0.1, 0.5, 1.0, 1.5, 2.0)
TOP_K = (0, 200, 50, 20, 5, 3, 1)
TOP_P = (1, 0.99, 0.95, 0.9, 0.5, 0.1)
MIN_P = (0, 0.001, 0.01, 0.05, 0.2, 0.5)


def recorded_logits(prompt):
    """Logits of the whole vocabulary: the largest as recorded, the rest each at the middle of its bin."""
    rest = prompt["rest"]
    middles = [rest["low"] + (i + 0.5) * rest["width"] for i in range(len(rest["counts"]))]
    tail = [middle for middle, count in zip(middles, rest["counts"], strict=True) for _ in range(count)]
    return torch.tensor([logit for _, logit in prompt["top"]] + tail[::-1], dtype=torch.float64)


def test_next_token_agrees_with_the_sampler():
    data = FIGURE_DATA["next_token"]()
    rng = random.Random(1)
    choices = (range(len(data["prompts"])), TEMPERATURES, TOP_K, TOP_P, MIN_P)
    names = ("prompt", "temperature", "top_k", "top_p", "min_p")
    cases = [tuple(rng.choice(values) for values in choices) for _ in range(250)]
    states = [dict(zip(names, (str(case[0]), *case[1:]), strict=True)) for case in cases]
    num_kept = set()
    for case, got in zip(cases, figure_results("next-token", states, {"next_token": data}), strict=True):
        logits = recorded_logits(data["prompts"][case[0]])
        settings = dict(zip(names[1:], case[1:], strict=True))
        want = Sampler().probabilities(logits[None], [SamplingParams(**settings)])[0]
        shown = torch.tensor(got["probabilities"], dtype=torch.float64)
        torch.testing.assert_close(shown, want[: len(shown)], rtol=1e-9, atol=1e-12, msg=f"{settings}")
        assert got["num_kept"] == int((want > 0).sum()), settings
        entropy = -(want * want.clamp(min=1e-300).log2()).sum().item()
        assert abs(got["bits"] - entropy) < 1e-9, settings
        num_kept.add(got["num_kept"])
    assert min(num_kept) == 1 and max(num_kept) == SMOLLM2_135M.vocab_size and len(num_kept) > 20


def test_next_token_record_is_whole():
    for prompt in FIGURE_DATA["next_token"]()["prompts"]:
        assert "".join(prompt["pieces"]) == prompt["text"] and len(prompt["pieces"]) == len(prompt["ids"])
        top = [logit for _, logit in prompt["top"]]
        assert top == sorted(top, reverse=True)
        assert len(top) + sum(prompt["rest"]["counts"]) == SMOLLM2_135M.vocab_size


def test_llama_shapes_agree_with_accounting():
    rng = random.Random(2)
    models = dict(MODELS)
    for i in range(60):
        kv = rng.randint(1, 8)
        sizes = rng.randint(1, 60), 8 * rng.randint(1, 900), kv * rng.randint(1, 8), kv, rng.randint(1, 20000)
        vocab, dim = rng.randint(1, 200_000), 2 * rng.randint(1, 128)
        models[f"m{i}"] = ModelConfig(f"m{i}", *sizes, vocab, dim, tie_word_embeddings=rng.random() < 0.5)
    states = [
        {"model": rng.choice(list(models)), "tokens": rng.randint(1, 4096), "step": rng.randint(1, 20)}
        for _ in range(200)
    ]
    data = {"models": {name: asdict(config) for name, config in models.items()}}
    for state, got in zip(states, figure_results("llama-shapes", states, data), strict=True):
        config, tokens = models[state["model"]], state["tokens"]
        assert got["params"] == parameter_count(config), config
        assert got["flops"] == forward_flops(config, tokens), (config, tokens)
        assert len(got["steps"]) == 20 and got["step"] == got["steps"][state["step"] - 1]
        for before, after in zip(got["steps"][12:], got["steps"][13:], strict=False):
            chained = before["output"] == after["input"] or after["name"] in ("Up", "Add to the residual stream")
            assert chained, (before["name"], after["name"])
        for step in got["steps"]:
            if step["weight"] and len(step["weight"]) == 2 and step["name"] != "Embedding":
                assert step["input"][-1] == step["weight"][0] and step["output"][-1] == step["weight"][1], step["name"]


def test_wrong_rope_record_shows_what_chapter_02_says():
    record = FIGURE_DATA["wrong_rope"]()
    right, wrong = record["token_nll"]["right"], record["token_nll"]["wrong"]
    assert len(right) == len(wrong) > 100
    assert sum(wrong) / len(wrong) - sum(right) / len(right) > 1, "more than a nat per token"
    assert sum(row["right"] == row["wrong"] for row in record["capitals"]) >= len(record["capitals"]) - 1


def test_chapter_01_says_of_tokens_what_the_tokenizer_does(smollm2_tokenizer):
    request = FIGURE_DATA["one_request"]()
    prompt, split = request["prompt"], request["emoji"]
    assert prompt["ids"] == smollm2_tokenizer.apply_chat_template([{"role": "user", "content": prompt["question"]}])
    assert prompt["pieces"] == [smollm2_tokenizer.decode([i]) for i in prompt["ids"]]
    ids = smollm2_tokenizer.encode(split["text"] + " ok")
    assert [smollm2_tokenizer.token_bytes(i).hex() for i in ids] == [*split["token_bytes"], b" ok".hex()]
    assert [smollm2_tokenizer.decode([i]) for i in smollm2_tokenizer.encode("7 * 9 =")] == ["7", " *", " ", "9", " ="]
    # the ids in the drawing of the pipeline
    assert smollm2_tokenizer.encode("The capital of France is Paris") == [504, 3575, 282, 4649, 314, 7042]
