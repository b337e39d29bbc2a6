"""The quantized layers, the int8 cache and the kernels, against float64 products of the dequantized weights."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from mini_engine.bench import tuning
from mini_engine.bench.random_model import random_llama
from mini_engine.config import LLAMA_2_7B, TINY
from mini_engine.gpu import kernels
from mini_engine.kv_cache import KVCache
from mini_engine.layers import Linear
from mini_engine.model import Llama
from mini_engine.quant.arrays import quantize
from mini_engine.quant.caches import Int8KVCache, StaticInt8KVCache
from mini_engine.quant.modules import (
    SCHEMES,
    Int4Linear,
    Int8Linear,
    W8A8Linear,
    bytes_read_per_token,
    per_group_int4,
    per_output_int8,
    quantize_model,
)
from mini_engine.weights import load_tiny, load_tiny_expected

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def layer():
    generator = torch.Generator().manual_seed(5)
    weight = torch.randn(96, 80, generator=generator) * 0.2
    x = torch.randn(7, 96, generator=generator)
    x[:, 11] *= 50  # an outlier channel: 8-bit activations lose the others' digits
    return weight, x


def relative_error(got, expected):
    return float((got.double() - expected).norm() / expected.norm())


def test_int8_linear_keeps_the_activations(layer):
    weight, x = layer
    q, scales = per_output_int8(weight)
    exact = x.double() @ (q.double() * scales.double()[:, None]).T
    in_bfloat16 = relative_error(x.bfloat16() @ (q.T.float() * scales).bfloat16(), exact)
    assert relative_error(Int8Linear(weight)(x), exact) < 0.1 * in_bfloat16
    assert 1e-3 < relative_error(W8A8Linear(weight)(x), exact) < 0.1, "8-bit activations must show"
    assert relative_error(exact, x.double() @ weight.double()) < 0.02
    assert q.abs().max() == 127 and q.dtype == torch.int8


def test_int8_extremes():
    weight = torch.zeros(8, 16)
    weight[:, 0] = 1
    layer = Int8Linear(weight)
    for x in (torch.zeros(2, 8), torch.full((2, 8), -1e30), torch.full((2, 8), 3e-20), torch.eye(8)):
        got = layer(x)
        torch.testing.assert_close(got[:, 0], x.sum(1), rtol=1e-3, atol=0)
        assert not got[:, 1:].any()


def test_a_row_of_whole_numbers_does_not_depend_on_its_neighbours(layer):
    weight, x = layer
    linear = W8A8Linear(weight)
    together = linear(x.view(1, 7, 96))
    assert together.shape == (1, 7, 80)
    for i in range(7):
        torch.testing.assert_close(together[0, i], linear(x[i : i + 1])[0], rtol=0, atol=0)


def test_one_scale_for_the_batch_does_depend_on_the_neighbours(layer):
    weight, x = layer
    linear = W8A8Linear(weight, per_row=False)
    x = x.clone()
    x[3] *= 30
    assert not torch.equal(linear(x)[:1], linear(x[:1])), "this is why it is never used where equality is claimed"


def test_int4_linear_multiplies_with_the_blocks(layer):
    weight, x = layer
    stored = quantize(weight.numpy(), 4, 32, symmetric=False)
    exact = x.double() @ torch.from_numpy(stored.dequantize()).double()
    assert relative_error(Int4Linear(weight)(x), exact) < 1e-6


@pytest.mark.parametrize("scale", [1e-3, 1.0, 300.0])
def test_int4_groups_in_torch_are_those_of_numpy(scale):
    weight = torch.randn(96, 40, generator=torch.Generator().manual_seed(2)) * scale
    weight[32:64, 5] = 0.25 * scale  # a group without a spread
    weight[:, 6] = 0
    stored = quantize(weight.numpy(), 4, 32, symmetric=False)
    q, scales, minima = per_group_int4(weight, 32)
    assert torch.equal(q, torch.from_numpy(stored.q).T)
    assert torch.equal(scales, torch.from_numpy(stored.scales).T)
    assert torch.equal(minima, torch.from_numpy(stored.minima).T)


@pytest.fixture(scope="module")
def tiny():
    return load_tiny()


def test_quantize_model(tiny):
    ids = torch.from_numpy(load_tiny_expected()[0]["ids"]).long()[None]
    exact = Llama(*tiny)(ids).double()
    errors = {}
    for scheme in SCHEMES:
        model = quantize_model(Llama(*tiny), scheme)
        assert not any(isinstance(module, Linear) for module in model.modules()), "a linear layer was left as it was"
        errors[scheme] = relative_error(model(ids), exact)
    assert errors["int8"] < errors["w8a8"] < 0.05, errors
    assert errors["int8"] < 0.02 < errors["int4"] < 0.3, errors
    with pytest.raises(ValueError, match="int5"):
        quantize_model(Llama(*tiny), "int5")


def test_a_quantized_model_is_the_float_model_of_its_weights(tiny):
    """int8 logits against a float64 model built from the dequantized integers: only the arithmetic differs."""
    config, weights = tiny

    def round_trip(w):
        q, scales = per_output_int8(torch.from_numpy(w))
        return (q.double() * scales.double()[:, None]).T.contiguous().numpy()

    rounded = {name: round_trip(w) if name == "lm_head" else w for name, w in weights.items() if name != "layers"}
    rounded["layers"] = [
        {n: round_trip(w) if w.ndim == 2 else w for n, w in part.items()} for part in weights["layers"]
    ]
    ids = torch.from_numpy(load_tiny_expected()[1]["ids"]).long()[None]
    exact = Llama(config, rounded, torch.float64)(ids)
    got = quantize_model(Llama(config, weights), "int8")(ids)
    assert relative_error(got, exact) < 1e-3


@pytest.mark.parametrize("scheme", ["int8", "int4"])
def test_cached_decode_of_a_quantized_model_equals_recomputation(tiny, scheme):
    model = quantize_model(Llama(*tiny), scheme)
    ids = torch.from_numpy(load_tiny_expected()[2]["ids"]).long()[None]
    cache = model.new_cache(ids.shape[1])
    stepwise = torch.cat([model(ids[:, i : i + 1], cache) for i in range(ids.shape[1])], dim=1)
    assert relative_error(stepwise, model(ids).double()) < 1e-5


def test_bytes_read_per_token(tiny):
    config, _ = tiny
    float_model = Llama(*tiny)
    matrices = sum(m.weight.numel() for m in float_model.modules() if isinstance(m, Linear))
    outputs = sum(m.weight.shape[1] for m in float_model.modules() if isinstance(m, Linear))
    norms = (2 * config.num_hidden_layers + 1) * config.hidden_size
    assert bytes_read_per_token(float_model) == 4 * (matrices + norms)
    assert bytes_read_per_token(quantize_model(Llama(*tiny), "int8")) == matrices + 4 * outputs + 4 * norms


def test_int8_kv_cache(tiny):
    config, _ = tiny
    model = Llama(*tiny)
    ids = torch.from_numpy(load_tiny_expected()[3]["ids"]).long()[None]
    cache = Int8KVCache(config, ids.shape[1] + 2)
    split = ids.shape[1] // 2
    got = torch.cat([model(ids[:, :split], cache), model(ids[:, split:], cache)], dim=1)
    error = relative_error(got, model(ids).double())
    assert 1e-4 < error < 0.02, f"int8 keys and values lose a little, not {error}"
    assert cache.k.dtype == torch.int8 and cache.length == ids.shape[1]
    half = KVCache(config, ids.shape[1] + 2, dtype=torch.float16)
    assert cache.num_bytes * 2 * config.head_dim == half.num_bytes * (config.head_dim + 2)
    with pytest.raises(ValueError, match="full"):
        model(torch.zeros(1, 3, dtype=torch.long), cache)


def test_static_int8_kv_cache_is_the_growing_one(tiny):
    model = Llama(*tiny)
    ids = torch.from_numpy(load_tiny_expected()[3]["ids"]).long()[None]
    caches = [make(model.config, 40) for make in (Int8KVCache, StaticInt8KVCache)]
    for part in (ids[:, :10], ids[:, 10:11], ids[:, 11:]):
        grown, static = (model(part, cache) for cache in caches)
        torch.testing.assert_close(static, grown, rtol=1e-4, atol=1e-5)
    assert caches[0].num_bytes == caches[1].num_bytes


@pytest.mark.parametrize("scheme", [None, "int8", "int4"])
def test_random_llama_has_the_shape_and_bytes_of_its_config(scheme):
    config = replace(TINY, num_hidden_layers=3)
    model = random_llama(config, scheme)
    expected = Llama(TINY, load_tiny()[1]) if scheme is None else quantize_model(Llama(*load_tiny()), scheme)
    shapes = [(name, tuple(t.shape)) for name, t in expected.state_dict().items()]
    found = [(name, tuple(t.shape)) for name, t in model.state_dict().items() if not name.startswith("layers.2.")]
    assert found == shapes
    logits = model(torch.tensor([[5, 6, 7]]))
    assert logits.isfinite().all() and logits.std() > 0.1
    assert torch.equal(logits, random_llama(config, scheme)(torch.tensor([[5, 6, 7]]))), "the seed decides"


def test_random_llama_without_room(monkeypatch):
    monkeypatch.setattr("mini_engine.device.free_bytes", lambda device: 10**9)
    with pytest.raises(ValueError, match="llama-2-7b with 32 layers needs 14.8 GB, 1.0 GB are free on cpu"):
        random_llama(LLAMA_2_7B, None, torch.bfloat16)


def test_int8_kv_cache_stores_each_vector_to_half_a_step(tiny):
    config, _ = tiny
    generator = torch.Generator().manual_seed(6)
    k = torch.randn(1, config.num_key_value_heads, 5, config.head_dim, generator=generator)
    k[0, 0, 2] = 0
    k[0, 1, 3] *= 1000
    cache = Int8KVCache(config, 8)
    stored, value, mask = cache.update(0, k, 2 * k)
    assert mask is None
    step = k.abs().amax(-1, keepdim=True) / 127
    assert ((stored - k).abs() <= 0.5 * step * 1.01 + 1e-7).all()
    assert ((value - 2 * k).abs() <= step * 1.01 + 1e-7).all()


# rows, inputs, outputs, group size: one row and many, one group and several, groups of 48 that are no power of two
KERNEL_CASES = (
    (1, 96, 40, 32),
    (1, 192, 16, 192),
    (1, 64, 5, 32),
    (1, 96, 7, 48),
    (3, 192, 50, 64),
    (2, 192, 16, 192),
    (20, 128, 33, 32),
    (2, 48, 9, 24),
    (40, 64, 8, 32),
)


def kernel_cases():
    generator = torch.Generator().manual_seed(7)
    for rows, num_in, num_out, group_size in KERNEL_CASES:
        x = torch.randn(rows, num_in, generator=generator)
        q8 = torch.randint(-127, 128, (num_out, num_in), dtype=torch.int8, generator=generator)
        q4 = torch.randint(0, 16, (num_out, num_in), dtype=torch.uint8, generator=generator)
        scales = torch.rand(num_out, num_in // group_size, generator=generator)
        minima = torch.randn(num_out, num_in // group_size, generator=generator)
        wide_scales, wide_minima = (s.double().repeat_interleave(group_size, 1) for s in (scales, minima))
        w8, w4 = q8.double() * wide_scales, q4.double() * wide_scales + wide_minima
        yield x, q8, q4, scales, minima, x.double() @ w8.T, x.double() @ w4.T


def check_kernels():
    """int8_linear and int4_linear, in whatever form this process has them, against float64."""
    for x, q8, q4, scales, minima, exact8, exact4 in kernel_cases():
        packed = kernels.pack_rows(q4)
        for knobs in (None, kernels.Knobs(4, 32, 1), kernels.Knobs(16, 512, 2)):
            assert relative_error(kernels.int8_linear(x, q8, scales, knobs), exact8) < 1e-6, (x.shape, knobs)
            assert relative_error(kernels.int4_linear(x, packed, scales, minima, knobs), exact4) < 1e-6, x.shape
        half = kernels.int8_linear(x, q8, scales, out_dtype=torch.float16)
        assert half.dtype == torch.float16 and relative_error(half, exact8) < 1e-3


def test_kernel_fallbacks():
    check_kernels()
    x, q8, q4, scales, minima, *_ = next(kernel_cases())
    assert torch.equal(kernels.unpack_rows(kernels.pack_rows(q4)), q4)
    for bad in ((x[:, :64], q8, scales), (x, q8, scales[:-1]), (x, q8, torch.ones(40, 5))):
        with pytest.raises(ValueError, match="do not fit"):
            kernels.int8_linear(*bad)
    with pytest.raises(ValueError, match="do not fit"):
        kernels.int4_linear(x, kernels.pack_rows(q4)[:, :40], scales, minima)


def test_why_not_triton(monkeypatch):
    monkeypatch.setattr(kernels, "triton", None)
    assert "Triton is not installed" in kernels.why_not_triton(torch.ones(1, 4))
    monkeypatch.setattr(kernels, "triton", object())
    monkeypatch.setattr(kernels, "INTERPRETED", False)
    assert "not on a GPU" in kernels.why_not_triton(torch.ones(1, 4))
    monkeypatch.setattr(kernels, "INTERPRETED", True)
    assert kernels.why_not_triton(torch.ones(32, 4)) is None
    assert "33 rows are more than 32" in kernels.why_not_triton(torch.ones(33, 4))


def test_tune_takes_the_fastest_and_leaves_out_what_fails(monkeypatch):
    grid = [kernels.Knobs(1, 512, 2), kernels.Knobs(2, 512, 2), kernels.Knobs(4, 512, 2)]
    seconds = {1: [3.0, 9.0, 3.0], 2: [2.0, 1.0, 2.0]}

    def time_calls(replay, device, num_rounds, warmup):
        (block_out,) = replay()
        return seconds[block_out]

    def product(knobs):
        if knobs.block_out == 4:
            raise RuntimeError("out of resources: registers")
        return knobs.block_out

    monkeypatch.setattr(tuning, "time_calls", time_calls)
    best, timed = tuning.tune(product, "cpu", grid, num_calls=1)
    assert best == grid[1] and timed == [(grid[1], 2.0), (grid[0], 3.0)]
    with pytest.raises(ValueError, match="none of the knobs"):
        tuning.tune(product, "cpu", grid[2:], num_calls=1)


def run_python(code, **environment):
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests"), *sys.path]),
    } | environment
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_under_tritons_interpreter():
    code = (
        "import test_quantized as t; assert t.kernels.why_not_triton(t.torch.ones(1, 2)) is None; t.check_kernels();"
        "print('ran')"
    )
    done = run_python(code, TRITON_INTERPRET="1")
    assert done.stdout.strip() == "ran", done.stderr


COMPILE = """
import re, sys
from triton import compile as compile_kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from mini_engine.gpu import kernels

types = dict(x="*bf16", scales="*bf16", minima="*bf16", y="*bf16")
for per_byte, q in ((1, "*i8"), (2, "*u8")):
    for kernel, sizes, warps in (
        (kernels._one_row_kernel, dict(BLOCK_OUT=4, BLOCK_IN=1024, RUN=16), 4),
        (kernels._rows_kernel, dict(ROWS=16, BLOCK_OUT=32, BLOCK_IN=32), 4),
    ):
        names, constants = kernel.arg_names, sizes | dict(PER_BYTE=per_byte)
        signature = {n: "constexpr" if n in constants else types.get(n, q if n == "q" else "i32") for n in names}
        plain = constants | dict(num_rows=0)
        aligned = {(i,): [["tt.divisibility", 16]] for i, name in enumerate(names) if name not in plain}
        source = ASTSource(fn=kernel, signature=signature, constexprs=constants, attrs=aligned)
        built = compile_kernel(source, target=GPUTarget("cuda", 90, 32), options={"num_warps": warps})
        ptx = built.asm["ptx"]
        print(per_byte, len(built.asm["cubin"]) > 0, "v4.b32" in ptx, ".local" in ptx, "mma" in ptx)
"""


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_kernels_compile_for_a_gpu_that_is_not_here(tmp_path):
    """For Hopper: 16 bytes per load and nothing spilled; several rows meet the weights in the matrix units."""
    done = run_python(COMPILE, TRITON_CACHE_DIR=str(tmp_path), TRITON_INTERPRET="0")
    lines = [line.split() for line in done.stdout.splitlines()]
    assert len(lines) == 4, done.stderr
    for line, is_rows in zip(lines, (False, True, False, True), strict=True):
        assert line[1] == "True" and line[3] == "False" and line[4] == str(is_rows), lines
        assert is_rows or line[2] == "True", f"narrow loads: {lines}"


def test_import_without_triton():
    code = "import sys; sys.modules['triton'] = None; import test_quantized as t; t.check_kernels(); print('ran')"
    done = run_python(code, TRITON_INTERPRET="1")
    assert done.stdout.strip() == "ran", done.stderr
