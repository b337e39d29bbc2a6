"""The reference answers of 01 and 02 against code that we did not write: transformers, and the real tokenizer."""

import numpy as np
import pytest
import torch
import transformers
from oracle import expected_logits, transformers_llama
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from autograder.assignment.notebooks import ROOT
from autograder.assignment.script import read_script
from mini_engine.config import MODELS, ModelConfig
from mini_engine.weights import smollm2_is_cached


def reference_answers(topic):
    """What the set-up and solution cells of an assignment define: {name: value}."""
    names = {}
    for cell in read_script(ROOT / "solutions" / topic / f"{topic}.py"):
        if cell.kind in ("setup", "solution"):
            exec(compile(cell.source, f"{topic}:{cell.line}", "exec"), names)
    return names


@pytest.fixture(scope="module")
def forward():
    return reference_answers("02_llama_forward")


def random_weights(config, seed):
    rng = np.random.default_rng(seed)
    d, inner = config.hidden_size, config.intermediate_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    shapes = {"w_q": (d, q), "w_k": (d, kv), "w_v": (d, kv), "w_o": (q, d)}
    shapes |= {"w_gate": (d, inner), "w_up": (d, inner), "w_down": (inner, d)}

    def layer():
        arrays = {name: rng.standard_normal(shape) * 1.5 / shape[0] ** 0.5 for name, shape in shapes.items()}
        return arrays | {name: rng.uniform(0.5, 1.5, d) for name in ("attn_norm", "mlp_norm")}

    weights = {"embedding": rng.standard_normal((config.vocab_size, d)), "final_norm": rng.uniform(0.5, 1.5, d)}
    weights["layers"] = [layer() for _ in range(config.num_hidden_layers)]
    if not config.tie_word_embeddings:
        weights["lm_head"] = rng.standard_normal((d, config.vocab_size)) / d**0.5
    return weights


@pytest.mark.parametrize("tied", (False, True), ids=("untied", "tied"))
@pytest.mark.parametrize("heads", ((4, 4, 8), (4, 2, 8), (6, 1, 10)), ids=("MHA", "GQA", "MQA"))
def test_llama_forward_is_that_of_transformers(forward, heads, tied):
    num_heads, num_kv_heads, head_dim = heads
    config = ModelConfig(
        "oracle",
        3,
        24,
        num_heads,
        num_kv_heads,
        40,
        64,
        head_dim,
        500.0,
        64,
        tie_word_embeddings=tied,
        rms_norm_eps=1e-3,
    )
    weights = random_weights(config, seed=num_kv_heads + 10 * tied)
    ids = [int(i) for i in np.random.default_rng(3).integers(0, 64, 17)]
    want = expected_logits(transformers_llama(config, weights, torch.float64), ids)
    # 5e-5: transformers computes the rotary angles in float32, whatever the weights are
    np.testing.assert_allclose(forward["llama_forward"](ids, weights, config), want, atol=5e-5)


@pytest.mark.parametrize("dtype", (torch.float16, torch.float32))
def test_rms_norm_is_that_of_transformers(forward, dtype):
    torch.manual_seed(0)
    x = (torch.randn(5, 32) * 300).to(dtype)
    norm = LlamaRMSNorm(32, eps=1e-5).to(dtype)
    norm.weight.data = torch.rand(32).to(dtype)
    got = forward["rms_norm"](x.numpy(), norm.weight.detach().numpy(), 1e-5)
    assert got.dtype == x.numpy().dtype and np.isfinite(got).all()
    tolerance = 2e-3 if dtype == torch.float16 else 1e-6  # transformers rounds to float16 before the gain
    np.testing.assert_allclose(got, norm(x).detach().numpy(), rtol=tolerance, atol=1e-6)


def test_rope_is_that_of_transformers(forward):
    positions = np.array([0, 3, 57, 200])
    cos, sin = forward["rope_tables"](16, positions, 10000.0)
    rng = np.random.default_rng(4)
    q, k = rng.standard_normal((2, 3, 4, 16))
    tables = torch.tensor(cos)[None], torch.tensor(sin)[None]
    want = apply_rotary_pos_emb(torch.tensor(q)[None], torch.tensor(k)[None], *tables)
    for array, rotated in zip((q, k), want, strict=True):
        np.testing.assert_allclose(forward["apply_rope"](array, cos, sin), rotated[0].numpy(), atol=1e-12)
    llama = transformers.LlamaConfig(hidden_size=64, num_attention_heads=4, head_dim=16)
    rotary = transformers.models.llama.modeling_llama.LlamaRotaryEmbedding(llama)
    theirs = rotary(torch.zeros(1, 4, 64, dtype=torch.float64), torch.tensor(positions)[None])
    np.testing.assert_allclose(cos, theirs[0][0], atol=1e-5)
    np.testing.assert_allclose(sin, theirs[1][0], atol=1e-5)


@pytest.mark.parametrize("config", [c for c in MODELS.values() if c.name != "tiny"], ids=lambda c: c.name)
def test_parameter_count_is_that_of_transformers(forward, config):
    llama = transformers.LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        tie_word_embeddings=config.tie_word_embeddings,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(llama)
    model.tie_weights()
    assert forward["parameter_count"](config) == model.num_parameters()


@pytest.mark.skipif(not smollm2_is_cached(), reason="SmolLM2-135M is not cached here")
def test_bpe_encode_is_the_real_tokenizer():
    import json

    from mini_engine.tokenizer import load_smollm2_tokenizer

    bpe_encode = reference_answers("01_tokens_to_logits")["bpe_encode"]
    backend = load_smollm2_tokenizer().backend
    model = json.loads(backend.to_str())["model"]
    merges = [tuple(m.split(" ", 1)) if isinstance(m, str) else tuple(m) for m in model["merges"]]
    for word in ("inference", "tokenization", "antidisestablishmentarianism", "quantization", "SmolLM", "qxzj"):
        for text in (word, "Ġ" + word):  # Ġ is the byte alphabet's space
            assert bpe_encode(text, merges, model["vocab"]) == backend.encode(text.replace("Ġ", " ")).ids, text
