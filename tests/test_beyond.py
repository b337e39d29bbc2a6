"""The parts that came after LLaMA, against random models of transformers and against formulas written out."""

from dataclasses import replace
from itertools import combinations, product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from mini_engine.beyond.cut import cut_model, set_top_k
from mini_engine.beyond.decoder import from_transformers
from mini_engine.beyond.experts import Experts, expected_distinct, expert_load, split_mlp
from mini_engine.beyond.window import WindowCache, visible
from mini_engine.beyond.yarn import yarn_frequencies
from mini_engine.config import TINY
from mini_engine.engine import Engine
from mini_engine.generate import generate
from mini_engine.layers import attention
from mini_engine.loading import CharTokenizer
from mini_engine.model import Llama
from mini_engine.sequence import SamplingParams
from mini_engine.weights import load_tiny

SIZES = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "rms_norm_eps": 1e-6,
    "pad_token_id": None, "bos_token_id": None, "eos_token_id": None, "attn_implementation": "eager",
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
KINDS = {
    "mixtral": ("MixtralForCausalLM", {"num_local_experts": 6, "num_experts_per_tok": 2, "sliding_window": None}),
    "mistral": ("MistralForCausalLM", {"sliding_window": 5}),
    "yarn": ("LlamaForCausalLM", {"rope_parameters": YARN}),
    "gpt_oss": ("GptOssForCausalLM", {"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 5,
                                     "rope_parameters": YARN | {"truncate": False}}),
    "deepseek_v2": ("DeepseekV2ForCausalLM", {"num_key_value_heads": 4, "head_dim": None, "kv_lora_rank": 24,
                    "q_lora_rank": None, "qk_nope_head_dim": 12, "qk_rope_head_dim": 8, "v_head_dim": 10,
                    "first_k_dense_replace": 3}),
    "qwen3_next": ("Qwen3NextForCausalLM", {"layer_types": ["linear_attention"] * 3, "mlp_only_layers": [0, 1, 2],
                   "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8,
                   "linear_value_head_dim": 12}),
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def pair(request):
    """(transformers' random model, ours with its weights, the kind)."""
    name, sizes = KINDS[request.param]
    torch.manual_seed(17)
    model = getattr(transformers, name)
    theirs = model(model.config_class(**SIZES | sizes)).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():  # far from where they are set, so that each one counts
            parameter.normal_(0, 0.2 if parameter.ndim > 1 else 0.5)
    return theirs, from_transformers(theirs), request.param


IDS = torch.from_numpy(np.random.default_rng(17).integers(0, 97, (2, 40)))


@torch.inference_mode()
def test_logits_equal_transformers(pair):
    theirs, ours, kind = pair
    wanted = theirs(IDS, use_cache=False).logits
    assert wanted.std() > 0.1, "logits that are all alike would prove nothing"
    assert (ours(IDS) - wanted).abs().max() < 1e-4, kind


@torch.inference_mode()
@pytest.mark.parametrize("split", [(40,), (1,) * 40, (7, 1, 1, 13, 2, 16)])
def test_a_text_in_pieces_is_the_same_text(pair, split):
    _, ours, kind = pair
    cache = ours.new_cache(40, batch=2)
    got = torch.cat([ours(part, cache) for part in IDS.split(split, dim=1)], dim=1)
    wanted = ours(IDS)
    assert (got - wanted).abs().max() < 1e-4, kind


@torch.inference_mode()
def test_the_engines_loop_writes_what_transformers_writes(pair):
    theirs, ours, kind = pair
    options = {"max_new_tokens": 12, "do_sample": False, "use_cache": kind != "qwen3_next"}  # theirs needs attention
    wanted = theirs.generate(IDS[:1, :9], **options)[0, 9:].tolist()
    assert list(generate(ours, IDS[0, :9].tolist(), 12)) == wanted, kind


def test_bytes_are_the_formulas(pair):
    _, ours, kind = pair
    long, short = ours.new_cache(40).num_bytes, ours.new_cache(20).num_bytes
    full = 3 * 2 * 2 * 16 * 4  # layers, K and V, KV heads, head size, float32
    wanted = {
        "mistral": (5 * full, 5 * full),
        "gpt_oss": (full * (40 + 2 * 5) // 3, full * (20 + 2 * 5) // 3),
        "deepseek_v2": tuple(3 * n * (24 + 8) * 4 for n in (40, 20)),
        "qwen3_next": (3 * 4 * (4 * 8 * 12 + 3 * 80),) * 2,
    }
    assert (long, short) == wanted.get(kind, (40 * full, 20 * full)), kind


@pytest.mark.parametrize("num_first, window", [(0, 1), (0, 4), (1, 3), (4, 6), (3, 50)])
def test_a_ring_sees_what_a_mask_over_everything_sees(num_first, window):
    config = replace(TINY, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=2, head_dim=4)
    ring = WindowCache(config, 30, [window], num_first, dtype=torch.float64)
    k, v, q = torch.randn(3, 1, 2, 30, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    at = torch.arange(30)
    wanted = attention(q, k, v, visible(at, at, window, num_first)[None, None])
    parts, start = [], 0
    for num_new in (1, 2, 9, 1, 1, 7, 9):
        new = slice(start, start + num_new)
        parts.append(attention(q[:, :, new], *ring.update(0, k[:, :, new], v[:, :, new])))
        ring.advance(num_new)
        start += num_new
    assert torch.allclose(torch.cat(parts, dim=2), wanted, atol=1e-12)
    assert ring.num_bytes == 2 * 2 * 4 * 8 * min(30, num_first + window)


def test_what_is_forgotten_does_not_come_back(pair):
    _, ours, kind = pair
    cache = ours.new_cache(40)
    ours(IDS[:1, :20], cache)
    if kind in ("mistral", "gpt_oss", "qwen3_next"):
        with pytest.raises(ValueError, match="20 .* to 12|20 tokens cannot go back to 12"):
            cache.truncate(12)
        assert cache.length == 20
        cache.truncate(0)
        assert torch.allclose(ours(IDS[:1, :20], cache), ours(IDS[:1, :20]), atol=1e-4)
    else:
        cache.truncate(12)
        assert torch.allclose(ours(IDS[:1, 12:20], cache), ours(IDS[:1, :20])[:, 12:], atol=1e-4)
    with pytest.raises(ValueError, match="20 of 40"):
        cache.positions(21)


def test_each_woken_expert_is_read_once():
    calls = []

    class Counting(Experts):
        def one(self, expert, x):
            calls.append((expert, len(x)))
            return super().one(expert, x)

    torch.manual_seed(3)
    experts = Counting(torch.randn(8, 6, 10), torch.randn(8, 5, 6))
    chosen = torch.tensor([[0, 5], [5, 2], [2, 5], [5, 0]])
    experts(torch.randn(4, 6), chosen, torch.rand(4, 2))
    assert calls == [(0, 2), (2, 2), (5, 4)] and expert_load(chosen, 8).tolist() == [2, 0, 2, 0, 0, 4, 0, 0]


def test_expected_distinct_is_the_mean_of_all_choices():
    picks = list(combinations(range(5), 2))
    for num_tokens in range(4):
        every = [len(set().union(*choice)) for choice in product(picks, repeat=num_tokens)]
        assert expected_distinct(5, 2, num_tokens) == pytest.approx(np.mean(every))
    assert expected_distinct(8, 8, 1) == 8
    for bad in ((8, 0, 1), (8, 9, 1), (8, 2, -1)):
        with pytest.raises(ValueError, match="no such choice"):
            expected_distinct(*bad)


@torch.inference_mode()
def test_a_cut_model_is_the_model_while_all_experts_serve():
    whole, cut = Llama(*load_tiny()), Llama(*load_tiny())
    text = torch.arange(1, 201)[None]
    cut_model(cut, 8, 8, text)
    assert torch.allclose(whole(text), cut(text), atol=1e-4)
    prompts = [list(range(5, 25)), list(range(40, 47))]
    engines = [Engine(model, CharTokenizer(), num_blocks=32, block_size=16) for model in (whole, cut)]
    texts = [
        [seq.output_token_ids for seq in each.generate(prompts, SamplingParams(max_tokens=12))] for each in engines
    ]
    assert texts[0] == texts[1], "a mixture of experts changes no cache, so the whole engine serves it"
    set_top_k(cut, 3)
    assert not torch.allclose(whole(text), cut(text), atol=1e-2)
    with pytest.raises(ValueError, match="160 channels cannot be split into 7"):
        split_mlp(whole.layers[0].mlp, 7)


def test_yarn_leaves_fast_pairs_and_slows_slow_ones():
    plain, one = yarn_frequencies(64, 1e4, 1, 4096)
    assert one == 1 and torch.allclose(plain, 1e4 ** -(torch.arange(0, 64, 2).double() / 64), rtol=1e-12)
    slow, scale = yarn_frequencies(64, 1e4, 8, 4096)
    turns = plain * 4096 / (2 * np.pi)
    assert (slow[turns > 64] == plain[turns > 64]).all() and scale == pytest.approx(0.1 * np.log(8) + 1)
    assert torch.allclose(slow[turns < 0.5], plain[turns < 0.5] / 8)
    with pytest.raises(ValueError, match="0.5"):
        yarn_frequencies(64, 1e4, 0.5, 4096)


def test_other_models_are_refused():
    sizes = {"model_type": "gpt2", "hidden_size": 8}
    with pytest.raises(ValueError, match="gpt2"):
        from_transformers(SimpleNamespace(config=SimpleNamespace(**sizes), model=None))
