"""Every formula against a known value, a count made by hand, or a library that we did not write."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from mini_engine import accounting as acc
from mini_engine.config import (
    LLAMA_2_7B,
    LLAMA_2_13B,
    LLAMA_2_70B,
    LLAMA_3_8B,
    LLAMA_3_70B,
    MODELS,
    SMOLLM2_135M,
    TINY,
    ModelConfig,
)

A100 = {"peak_flops": 312e12, "bandwidth": 2.039e12}


def hf_config(config, attention="eager"):
    """The same shape as a transformers configuration."""
    return LlamaConfig(
        num_hidden_layers=config.num_hidden_layers,
        hidden_size=config.hidden_size,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        intermediate_size=config.intermediate_size,
        vocab_size=config.vocab_size,
        head_dim=config.head_dim,
        tie_word_embeddings=config.tie_word_embeddings,
        attn_implementation=attention,
    )


@pytest.mark.parametrize(
    "config, count",
    [
        (LLAMA_2_7B, 6_738_415_616),
        (LLAMA_2_13B, 13_015_864_320),
        (LLAMA_2_70B, 68_976_648_192),
        (LLAMA_3_8B, 8_030_261_248),
        (LLAMA_3_70B, 70_553_706_496),
        (SMOLLM2_135M, 134_515_008),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_parameter_count_of_released_models(config, count):
    assert acc.parameter_count(config) == count


@pytest.mark.parametrize("config", MODELS.values(), ids=lambda config: config.name)
def test_parameter_count_is_that_of_transformers(config):
    with torch.device("meta"):
        model = LlamaForCausalLM(hf_config(config))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert acc.parameter_count(config) == acc.parameter_count(hf_config(config)) == count


@pytest.mark.parametrize("n_tokens, context", [(1, 0), (7, 0), (1, 9), (5, 4)])
def test_forward_flops_is_what_torch_counts(n_tokens, context):
    config = ModelConfig("odd", 3, 48, 6, 2, 56, 31, 10)  # head_dim is not hidden_size / num_attention_heads
    model = LlamaForCausalLM(hf_config(config)).eval()
    ids = torch.arange(context + n_tokens)[None] % config.vocab_size
    with torch.no_grad():
        cache = model(ids[:, :context], use_cache=True).past_key_values if context else None
        with FlopCounterMode(display=False) as counter:
            model(ids[:, context:], past_key_values=cache, use_cache=True)
    # torch counts the masked scores of standard attention too
    masked = n_tokens * (n_tokens - 1) // 2
    masked_flops = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim * masked
    assert acc.forward_flops(config, n_tokens, context) == counter.get_total_flops() - masked_flops


def test_forward_flops_counts_each_visible_pair():
    config, n_tokens, context = TINY, 6, 5
    pairs = sum(1 for i in range(n_tokens) for j in range(context + n_tokens) if j <= context + i)
    linear = acc.forward_flops(config, 1, 0) - 4 * config.num_hidden_layers * 64
    assert acc.forward_flops(config, n_tokens, context) == n_tokens * linear + 4 * config.num_hidden_layers * 64 * pairs
    assert acc.forward_flops(config, 0, 10) == 0


@given(st.integers(1, 40), st.integers(1, 40))
def test_a_request_costs_as_much_as_one_pass_over_all_it_computes(prompt, output):
    request = acc.request_flops(TINY, prompt, output)
    assert request["total"] == request["prefill"] + request["decode"]
    assert request["total"] == acc.forward_flops(TINY, acc.tokens_processed(prompt, output, cached=True))


@pytest.mark.parametrize(
    "tokens, prefill, decode",
    [((10, 100), 64_444.45, 645_887.74), ((500, 1500), 3_254_962.43, 10_165_382.40)],
)
def test_the_popular_estimate_gives_the_popular_figures(tokens, prefill, decode):
    simple = acc.request_flops_simple(LLAMA_2_7B, *tokens)
    assert round(simple["prefill"] / 1e6, 2) == prefill
    assert round(simple["decode"] / 1e6, 2) == decode
    assert simple["total"] == simple["prefill"] + simple["decode"]


def test_kv_bytes():
    known = {LLAMA_2_7B: 524_288, LLAMA_3_8B: 131_072, LLAMA_3_70B: 327_680, SMOLLM2_135M: 23_040}
    assert {config: acc.kv_bytes_per_token(config) for config in known} == known
    assert acc.kv_cache_bytes(4, 24, 2048, 8, 128, 2) == 805_306_368
    assert acc.kv_cache_bytes(32, 32, 8192, 32, 128, 2) == 137_438_953_472
    assert acc.kv_cache_bytes(32, 32, 8192, 8, 128, 2) == 34_359_738_368
    assert 5 * 110 * acc.kv_bytes_per_token(LLAMA_2_7B) == 275 * 2**20
    assert round(100 * 2000 * acc.kv_bytes_per_token(LLAMA_2_7B) / 2**30, 3) == 97.656
    arrays = torch.zeros(2, 3, TINY.num_hidden_layers, TINY.num_key_value_heads, 5, TINY.head_dim, dtype=torch.float16)
    assert acc.kv_cache_bytes(3, 2, 5, 2, 16, 2) == arrays.nbytes


def test_attention_bytes():
    assert acc.score_matrix_bytes(2, 16, 4096, 2) == 1_073_741_824
    assert acc.gqa_cache_saving(32, 8) == 4.0
    assert [acc.num_blocks_for(n, 16) for n in (0, 9, 16, 17)] == [0, 1, 1, 2]


def test_weight_and_quantized_bytes():
    assert acc.weight_bytes(LLAMA_3_8B, 2) == 16_060_522_496
    assert acc.quantized_bytes(7e9, 8, 128) == 7_109_375_000
    assert acc.quantized_bytes(7e9, 4, 128) == 3_609_375_000
    assert acc.quantized_bytes(7e9, 4, 32, zero_bytes=2) == 4_375_000_000
    assert acc.quantized_bytes(130, 8, 128) == 130 + 2 * 2  # the short last group has its own scale


def test_tokens_processed():
    assert acc.tokens_processed(100, 1000, cached=False) == 599_500
    assert acc.tokens_processed(512, 2000, cached=False) == 3_023_000
    assert acc.tokens_processed(100, 1000, cached=True) == 1_099
    for prompt, new in itertools.product(range(1, 5), repeat=2):
        assert acc.tokens_processed(prompt, new, cached=False) == sum(range(prompt, prompt + new))
    assert math.isclose(acc.cache_work_ratio(10, 10**7) / 10**7, 0.5, rel_tol=1e-5)


def test_intensity():
    assert acc.decode_attention_ops(4096, 4096) == 16_777_216
    assert round(acc.attention_intensity_prefill(1024, 128), 2) == 56.89
    assert math.isclose(acc.attention_intensity_prefill(10**9, 128), 64, rel_tol=1e-6)
    assert round(acc.attention_intensity_decode(1024, 128), 3) == 0.984
    assert math.isclose(acc.linear_intensity(1, 4096, 4096), 1, rel_tol=1e-3)
    assert math.isclose(acc.linear_intensity(10**9, 4096, 4096), 2048, rel_tol=1e-3)


@given(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50))
def test_linear_intensity_counts_three_arrays(batch, d_in, d_out):
    x, w = torch.zeros(batch, d_in, dtype=torch.bfloat16), torch.zeros(d_in, d_out, dtype=torch.bfloat16)
    with FlopCounterMode(display=False) as counter:
        y = x @ w
    expected = counter.get_total_flops() / (x.nbytes + w.nbytes + y.nbytes)
    assert math.isclose(acc.linear_intensity(batch, d_in, d_out), expected)


def test_roofline():
    assert round(acc.ridge_point(**A100)) == 153
    assert acc.roofline(1, **A100) == 2.039e12
    assert acc.roofline(1000, **A100) == 312e12
    assert math.isclose(acc.roofline(acc.ridge_point(**A100), **A100), 312e12)
    assert acc.read_seconds(40e9, 2e12) == 0.02
    assert acc.decode_floor_ms(30e9, 10e9, 2e12) == 20
    assert math.isclose(acc.tokens_per_second_ceiling(30e9, 10e9, 2e12, batch=8), 400)
    assert round(acc.decode_floor_ms(acc.weight_bytes(LLAMA_3_70B) / 8, 0, 2.039e12), 2) == 8.65
    assert acc.decode_speedup_bound(16e9, 4e9) == 4
    ridges = [round(acc.ridge_point(device.peak_flops, device.bandwidth)) for device in acc.DEVICES.values()]
    assert ridges == [153, 295, 206]


def test_lifetime_ratio():
    assert acc.lifetime_ratio(8e9, 15e12, 45e12, 1) == 1
    assert acc.lifetime_ratio(8e9, 15e12, 0, 365) == 0


@pytest.mark.parametrize("gpu_bytes, known", [(80e9, [238, 119, 59]), (80 * 2**30, [260, 130, 65])])
def test_max_batch_size(gpu_bytes, known):
    assert [acc.max_batch_size(LLAMA_3_8B, gpu_bytes, context) for context in (2048, 4096, 8192)] == known


def test_max_batch_size_says_why_nothing_fits():
    assert acc.max_batch_size(LLAMA_3_8B, 80e9, 8192).message == ""
    weights = acc.max_batch_size(LLAMA_3_70B, 80e9, 8192)
    assert weights == 0 and "141.11 GB" in weights.message
    cache = acc.max_batch_size(LLAMA_3_8B, 17e9, 8192)
    assert cache == 0 and "1.07 GB" in cache.message
    exact = acc.weight_bytes(LLAMA_3_8B) + 3 * 8192 * 131_072
    assert [acc.max_batch_size(LLAMA_3_8B, exact + extra, 8192) for extra in (-1, 0)] == [2, 3]


def test_max_batch_size_tp():
    assert [acc.max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=tp) for tp in (1, 2, 4, 8)] == [59, 134, 283, 581]
    assert acc.max_batch_size_tp(LLAMA_3_70B, 80e9, 8192, tp=8) == 185
    assert acc.max_batch_size_tp(LLAMA_3_70B, 0.9 * 80e9, 8192, tp=8) == 162
    assert acc.max_batch_size_tp(LLAMA_3_70B, 80e9, 8192, kv_bytes_per=1, tp=8) == 371
    for tp, words in ((16, "8 KV heads"), (3, "32 query heads")):
        with pytest.raises(ValueError, match=f"tp={tp} does not divide the {words}"):
            acc.max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=tp)


def test_replicated_kv_heads_cost_what_one_gpu_really_holds():
    config, tp, context, gpu_bytes = LLAMA_3_8B, 16, 8192, 80e9
    kv_projections = 2 * 32 * 4096 * 8 * 128
    held = (acc.parameter_count(config) - kv_projections) / tp + kv_projections / 8
    one_head = acc.kv_cache_bytes(1, 32, context, 1, 128, 2)
    assert acc.max_batch_size_tp(config, gpu_bytes, context, tp=tp, replicate_kv=True) == (
        (gpu_bytes - 2 * held) // one_head
    )
    table = acc.capacity_table(config, gpu_bytes, context, tp=tp, replicate_kv=True)
    assert table["kv_per_request_gb"] == 16 * one_head / 1e9
    with pytest.raises(ValueError, match="tp=16"):  # 16 is no multiple of 3 KV heads
        acc.max_batch_size_tp(ModelConfig("k3", 1, 96, 48, 3, 8, 8, 2), 1e9, 8, tp=16, replicate_kv=True)


def test_capacity_table_and_users():
    table = acc.capacity_table(LLAMA_3_8B, 80e9, 8192)
    assert table["parameters"] == 8_030_261_248 and table["max_batch"] == 59 and table["message"] == ""
    assert round(table["parameter_memory_gb"], 2) == 16.06 and round(table["kv_per_request_gb"], 3) == 1.074
    assert acc.concurrent_users(LLAMA_3_8B, 10e9, 8192, 2) == 9
    assert acc.concurrent_users(LLAMA_3_8B, 10e9, 8192, 1) == 18
    assert acc.concurrent_users(LLAMA_3_8B, 0, 8192, 2) == 0


def test_latency():
    assert acc.ttft_ms(10, 90, 1) == 101
    assert acc.total_latency_ms(101, 20, 50) == 1081
    assert acc.total_latency_ms(101, 20, 1) == 101
    assert math.isclose(acc.littles_law(1000, 0.05), 50)


def test_speculation():
    assert round(acc.linear_speedup(4, 0.75, 0.10), 6) == 2.857143
    assert acc.expected_tokens(0.75, 4) == 3.05078125
    assert round(acc.expected_tokens(0.8, 5), 5) == 3.68928
    assert acc.expected_tokens(1, 4) == 5 and acc.expected_tokens(0, 4) == 1
    assert round(acc.expected_speedup(0.75, 4, 0.1), 4) == 2.1791
    assert [acc.best_draft_length(a, c, 30) for a, c in ((0.75, 0.1), (0.9, 0.05), (0.3, 0.2))] == [5, 13, 1]


@given(st.floats(0, 0.999), st.integers(0, 12))
def test_expected_tokens_is_the_mean_over_all_outcomes(alpha, k):
    mean = sum(alpha**kept * (1 - alpha) * (kept + 1) for kept in range(k)) + alpha**k * (k + 1)
    assert math.isclose(acc.expected_tokens(alpha, k), mean)


@pytest.mark.parametrize(
    "call",
    [
        lambda: acc.weight_bytes(TINY, 0),
        lambda: acc.kv_bytes_per_token(TINY, -1),
        lambda: acc.kv_cache_bytes(-1, 1, 1, 1, 1, 1),
        lambda: acc.quantized_bytes(10, 4, -1),
        lambda: acc.gqa_cache_saving(8, -1),
        lambda: acc.forward_flops(TINY, -1),
        lambda: acc.forward_flops(TINY, 1, -1),
        lambda: acc.request_flops(TINY, 1, -1),
        lambda: acc.request_flops_simple(TINY, -1, 1),
        lambda: acc.tokens_processed(-1, 1, True),
        lambda: acc.attention_intensity_prefill(-1, 8),
        lambda: acc.attention_intensity_decode(-1, 8),
        lambda: acc.linear_intensity(-1, 8, 8),
        lambda: acc.roofline(-1, 1, 1),
        lambda: acc.ridge_point(1, -1),
        lambda: acc.read_seconds(-1, 1),
        lambda: acc.read_seconds(1, -1),
        lambda: acc.decode_floor_ms(-1, 0, 1),
        lambda: acc.max_batch_size(TINY, -1, 8),
        lambda: acc.max_batch_size(TINY, 1, -1),
        lambda: acc.max_batch_size_tp(TINY, 1, 1, tp=-1),
        lambda: acc.concurrent_users(TINY, 1, -1),
        lambda: acc.concurrent_users(TINY, -1, 1),
        lambda: acc.lifetime_ratio(-1, 1, 1, 1),
        lambda: acc.ttft_ms(-1, 1, 1),
        lambda: acc.total_latency_ms(1, 1, -1),
        lambda: acc.expected_tokens(-1, 1),
        lambda: acc.best_draft_length(0.5, 0.1, -1),
    ],
)
def test_nonsense_is_refused_by_value(call):
    with pytest.raises(ValueError, match="-1|got 0"):
        call()


def test_zero_divisors_and_not_a_number_are_refused():
    for call in (
        lambda: acc.ridge_point(1, 0),
        lambda: acc.gqa_cache_saving(8, 0),
        lambda: acc.gqa_cache_saving(8, 3),
        lambda: acc.expected_tokens(1.5, 2),
        lambda: acc.tokens_per_second_ceiling(0, 0, 1),
        lambda: acc.max_batch_size(TINY, math.nan, 8),
    ):
        with pytest.raises(ValueError):
            call()
