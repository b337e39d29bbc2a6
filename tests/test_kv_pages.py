"""KV caches in 8 and 4 bits: the bytes of GGUF's blocks, and no text depends on batch, chunk, page or draft."""

import argparse
from dataclasses import replace
from functools import cache

import gguf
import numpy as np
import pytest
import torch

from mini_engine.__main__ import main
from mini_engine.accounting import kv_bytes_per_token
from mini_engine.bench.random_model import random_weights
from mini_engine.commands.capacity import main as capacity
from mini_engine.commands.serve import add_engine_arguments, make_engine
from mini_engine.cpu.model import CompiledLlama
from mini_engine.engine import Engine
from mini_engine.generate import generate
from mini_engine.loading import add_model_argument
from mini_engine.model import Llama
from mini_engine.quant.pages import (
    FORMATS,
    QuantizedKVCache,
    QuantizedPagedKVCache,
    decode,
    encode,
    new_cache,
    new_paged_cache,
    vector_bytes,
)
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import NgramDraft
from mini_engine.weights import load_tiny

PEERS = {"int8": gguf.GGMLQuantizationType.Q8_0, "int4": gguf.GGMLQuantizationType.Q4_1}
NUM_NEW = 8


@cache
def tiny():
    return Llama(*load_tiny(), dtype=torch.float64)


@cache
def whole_blocks():
    """(config, weights) of a small model whose heads are whole blocks, four query heads for each KV head."""
    config, weights = load_tiny()
    config = replace(config, num_attention_heads=8, num_key_value_heads=2, head_dim=64)
    weights = random_weights(config, seed=3)
    layers = [{name: w.numpy() for name, w in layer.items()} for layer in weights.pop("layers")]
    return config, {name: w.numpy() for name, w in weights.items()} | {"layers": layers}


@pytest.mark.parametrize("kv_dtype", FORMATS)
def test_the_bytes_are_those_of_gguf(kv_dtype):
    generator = torch.Generator().manual_seed(0)
    for scale in (1e-9, 1e-3, 1, 300):
        x = torch.randn(40, 3, 128, generator=generator) * scale
        x[0], x[1, 0], x[2] = 0, 2.5 * scale, -scale  # zeros, and blocks of one value
        x[3] = torch.arange(128) * scale / 4  # halves
        x[4, :, 5] = 1000 * scale
        want = gguf.quants.quantize(x.numpy(), PEERS[kv_dtype])
        stored = encode(x, kv_dtype)
        assert stored.dtype == torch.uint8 and stored.shape[-1] == vector_bytes(kv_dtype, 128)
        assert np.array_equal(stored.numpy(), want), f"scale {scale}"
        assert np.array_equal(decode(stored, kv_dtype, 128).numpy(), gguf.quants.dequantize(want, PEERS[kv_dtype]))


@pytest.mark.parametrize("kv_dtype, steps", [("int8", 254), ("int4", 15)])
def test_no_number_is_off_by_more_than_half_a_step(kv_dtype, steps):
    x = torch.randn(200, 16, generator=torch.Generator().manual_seed(1))  # 32 does not divide 16: one block
    span = x.abs().amax(-1) * 2 if kv_dtype == "int8" else x.amax(-1) - x.amin(-1)
    error = (decode(encode(x, kv_dtype), kv_dtype, 16) - x).abs().amax(-1)
    assert (error <= span / steps * 0.51 + 1e-3 * span).all()


def texts_of(model, kv_dtype, prompts):
    return [list(generate(model, prompt, NUM_NEW, kv_dtype=kv_dtype)) for prompt in prompts]


@cache
def prompts():
    rng = np.random.default_rng(5)
    shared = rng.integers(0, 512, 12).tolist()
    return [shared, shared + [7, 8], rng.integers(0, 512, 3).tolist() * 6, shared[:8] + [9], [3]]


OPTIONS = {
    "batched": {},
    "chunked, small pool": {"num_blocks": 10, "max_num_batched_tokens": 16, "max_num_seqs": 8, "watermark": 0.0},
    "no prefix, pages of 1": {"block_size": 1, "num_blocks": 400, "prefix_caching": False},
    "drafts": {"draft": NgramDraft(3, min_n=1)},
    "recorded passes": {"graphs": True},
}


def check_engine(model, kv_dtype, options):
    engine = Engine(model, **{"num_blocks": 64, "block_size": 4, "kv_dtype": kv_dtype} | options)
    want = texts_of(model, kv_dtype, prompts())
    got = engine.generate(prompts(), SamplingParams(max_tokens=NUM_NEW))
    assert [seq.output_token_ids for seq in got] == want
    again = engine.generate(prompts(), SamplingParams(max_tokens=NUM_NEW))  # with the prefixes of the first
    assert [seq.output_token_ids for seq in again] == want
    engine.check_invariants()
    return engine


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kv_dtype", FORMATS)
def test_the_engine_writes_the_same_text_whatever_is_on(kv_dtype, options):
    engine = check_engine(tiny(), kv_dtype, OPTIONS[options])
    if options.startswith("chunked"):
        assert engine.stats.num_preemptions > 0, "the pool was meant to be too small"


@pytest.mark.parametrize("kv_dtype", FORMATS)
def test_compiled_attention_reads_the_pages_that_torch_writes(kv_dtype):
    model, reference = CompiledLlama(*whole_blocks()), Llama(*whole_blocks())
    ids = torch.randint(0, 512, (2, 40), generator=torch.Generator().manual_seed(8))
    caches = [QuantizedKVCache(model.config, 40, 2, kv_dtype) for _ in range(3)]
    got = model(ids, caches[0])
    assert (got - reference(ids, caches[1])).abs().max() < 1e-4
    assert torch.equal(caches[0].k[0], caches[1].k[0]) and torch.equal(caches[0].v[0], caches[1].v[0])
    assert (got - model(ids)).abs().max() > 1e-3, "the cache was not quantized"
    chunks = [model(ids[:, a:b], caches[2]) for a, b in ((0, 7), (7, 8), (8, 38), (38, 40))]
    assert torch.equal(torch.cat(chunks, 1), got) and torch.equal(caches[2].k, caches[0].k)
    for options in ("chunked, small pool", "drafts"):
        check_engine(model, kv_dtype, OPTIONS[options])


def test_fewer_bytes_hold_more_tokens(capsys):
    config, _ = load_tiny()
    config = replace(config, head_dim=64)
    sizes = {kv: QuantizedPagedKVCache(config, 4, 16, kv).block_bytes for kv in FORMATS}
    floats = 16 * kv_bytes_per_token(config, 2)
    assert {kv: 8 * 2 * size / floats for kv, size in sizes.items()} == {"int8": 8.5, "int4": 5.0}
    batches = []
    for kv_bytes in ("2", "int8", "int4"):
        assert capacity(["--model", "llama-3-8b", "--kv-bytes", kv_bytes]) == 0
        batches.append(int(capsys.readouterr().out.split("max batch")[1].split()[0]))
    assert batches == [59, 112, 190]


def test_the_command_line_has_one_option_for_it(capsys):
    argv = ["generate", "ab", "--model", "tiny", "--max-tokens", "8", "--kernels", "torch"]
    ids = list(generate(Llama(*load_tiny()), [97, 98], 8, kv_dtype="int4"))
    assert main([*argv, "--kv-dtype", "int4"]) == 0
    assert capsys.readouterr().out == "ab" + "".join(map(chr, ids)) + "\n"
    for more, words in (("--kernels compiled", "head_dim is 16; torch's can"), ("--no-cache", "and to use none")):
        assert main([*argv, "--kv-dtype", "int4", *more.split()]) != 0
        assert words in capsys.readouterr().err
    args = argparse.ArgumentParser()
    add_model_argument(args)
    add_engine_arguments(args)
    engine = make_engine(args.parse_args("--model tiny --kernels torch --kv-dtype int8".split()))
    assert engine.cache.kv_dtype == "int8" and engine.cache.keys[0].dtype == torch.uint8


def test_what_is_refused(capsys):
    model = tiny()
    for make in (lambda: new_cache(model, 8, "int3"), lambda: Engine(model, kv_dtype="fp8")):
        with pytest.raises(ValueError, match="unknown type '(int3|fp8)' of a KV cache; known: int8, int4"):
            make()
    with pytest.raises(ValueError, match="head_dim must be even, got 15"):
        vector_bytes("int4", 15)
    with pytest.raises(ValueError, match="blocks of 32, and head_dim is 16"):
        new_paged_cache(CompiledLlama(*load_tiny()), 4, 4, "int8")
    with pytest.raises(ValueError, match="got int8"):
        CompiledLlama(*load_tiny())(torch.tensor([[1]]), QuantizedKVCache(model.config, 4, 1, "int8"))
    with pytest.raises(SystemExit):
        capacity(["--model", "llama-3-8b", "--kv-bytes", "int5"])
    assert "int5" in capsys.readouterr().err
