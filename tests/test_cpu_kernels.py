"""The compiled kernels: against NumPy and torch, and bit for bit the same in any batch, any chunks, on any threads."""

import os
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
import warm

from mini_engine import loading
from mini_engine.bench.random_model import random_weights
from mini_engine.cpu import compiler, matrices
from mini_engine.cpu.forward import head_product
from mini_engine.cpu.lanes import LANES, load, store
from mini_engine.cpu.model import CompiledLlama
from mini_engine.cpu.pointwise import WIDTH, exponential
from mini_engine.engine import Engine
from mini_engine.files.fetch import fetch_gguf
from mini_engine.files.gguf import GGUFFile
from mini_engine.generate import greedy
from mini_engine.kv_cache import KVCache
from mini_engine.loading import load as load_model
from mini_engine.model import Llama
from mini_engine.paged_cache import PagedKVCache
from mini_engine.weights import load_tiny, smollm2_is_cached

FORMATS = {
    "float32": matrices.as_float32,
    "int8": matrices.as_int8,
    "int8 groups": matrices.as_int8_groups,
    "int4": matrices.as_int4_groups,
}
SHAPES = [(32, 1), (64, 7), (96, 65), (576, 960), (1536, 130)]


@pytest.fixture
def threads():
    """A function that sets torch's number of threads; it is put back afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def multiply(matrix, x, num_out, num_parts=1):
    """x @ matrix by the kernels: float32 [rows, out]."""
    y = np.full((len(x), -(-num_out // LANES) * LANES), np.nan, np.float32)
    tiles = np.zeros((num_parts, x.shape[1] * LANES), np.float32)
    head_product(matrices.stacked([matrix]), x, y, tiles, num_parts)
    return y[:, :num_out]


def untiled(array, num_out):
    """[tiles, rows, LANES] as [rows, out] again."""
    return array.swapaxes(0, 1).reshape(array.shape[1], -1)[:, :num_out]


def dequantized(matrix, num_out):
    """The float64 matrix [in, out] that a matrix in any format stands for, without the kernels."""
    if isinstance(matrix, matrices.Float32):
        return untiled(matrix.w, num_out).astype(np.float64)
    if isinstance(matrix, matrices.Int8):
        return untiled(matrix.q, num_out) * matrix.scales.reshape(-1)[:num_out].astype(np.float64)
    scales = np.repeat(untiled(matrix.scales, num_out).view(np.float16).astype(np.float64), 32, axis=0)
    if isinstance(matrix, matrices.Int8Groups):
        return untiled(matrix.q, num_out) * scales
    packed = untiled(matrix.q, num_out)
    q = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1, num_out)
    return q * scales + np.repeat(untiled(matrix.minima, num_out).view(np.float16).astype(np.float64), 32, axis=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_products_are_right_and_bit_for_bit_the_same_in_any_batch(kind, shape):
    rng = np.random.default_rng(shape[0] + shape[1])
    (num_in, num_out), weight = shape, rng.normal(size=shape).astype(np.float32)
    matrix = FORMATS[kind](weight)
    x = rng.normal(size=(150, num_in)).astype(np.float32)
    alone = np.concatenate([multiply(matrix, x[r : r + 1], num_out) for r in range(len(x))])
    exact = x.astype(np.float64) @ dequantized(matrix, num_out)
    assert np.abs(alone - exact).max() < 2e-6 * np.sqrt(num_in) * np.abs(exact).max()
    for num_rows in (2, 3, 4, 5, 6, 7, 8, 9, 16, 31, 64, 65, 97, 150):  # from 48 a thread on, tiles are shared
        for num_parts in (1, 2, 3):
            got = multiply(matrix, x[:num_rows], num_out, num_parts)
            assert np.array_equal(got, alone[:num_rows]), f"{num_rows} rows in {num_parts} parts differ"
    shuffled = rng.permutation(len(x))
    assert np.array_equal(multiply(matrix, x[shuffled], num_out, 2), alone[shuffled]), "a row knows its neighbours"


@pytest.mark.parametrize("kind, error", [("float32", 0), ("int8", 5e-3), ("int8 groups", 4e-3), ("int4", 6.7e-2)])
def test_formats_lose_what_their_bits_lose(kind, error):
    rng = np.random.default_rng(5)
    weight = rng.uniform(-1, 1, size=(256, 70)).astype(np.float32)
    got = dequantized(FORMATS[kind](weight), 70)
    assert np.abs(got - weight).max() <= error
    assert error == 0 or np.abs(got - weight).max() > error / 20


def test_int4_takes_few_bytes():
    weight = np.random.default_rng(6).normal(size=(576, 1920)).astype(np.float32)
    sizes = {kind: matrices.num_bytes(as_format(weight)) / weight.size for kind, as_format in FORMATS.items()}
    assert sizes["int4"] <= 0.65
    assert sizes["int8"] < 1.01 and sizes["int8 groups"] < 1.07 and sizes["float32"] == 4


def test_groups_that_do_not_fit_are_refused():
    for as_format in (matrices.as_int8_groups, matrices.as_int4_groups):
        with pytest.raises(ValueError, match="do not divide the 33 inputs"):
            as_format(np.ones((33, 4), np.float32))
        with pytest.raises(ValueError, match="float16"):
            as_format(np.full((32, 4), 1e9, np.float32))


@pytest.mark.skipif(not smollm2_is_cached(), reason="SmolLM2-135M is not cached here")
def test_int4_is_exact_on_the_shipped_file():
    file = GGUFFile(fetch_gguf())
    for name in ("blk.0.attn_q.weight", "blk.13.ffn_down.weight", "blk.29.ffn_gate.weight"):
        weight = file.tensor(name).T
        matrix = matrices.as_int4_groups(weight)
        assert np.array_equal(dequantized(matrix, weight.shape[1]).astype(np.float32), weight), name
        x = np.random.default_rng(7).normal(size=(3, len(weight))).astype(np.float32)
        got = multiply(matrix, x, weight.shape[1])
        assert np.array_equal(got, multiply(matrices.as_float32(weight), x, weight.shape[1])), "other bits than float32"


def logits_in_chunks(model, ids, chunks, cache):
    """Logits [N, V] of one sequence fed in chunks."""
    starts = np.cumsum([0, *chunks])
    return torch.cat([model(ids[:, a:b], cache)[0] for a, b in zip(starts, starts[1:], strict=False)])


@pytest.mark.parametrize("quant", [None, "int8", "int4"])
def test_the_model_is_the_same_in_any_batch_and_chunks_on_any_threads(quant, threads):
    model = CompiledLlama(*load_tiny(), quant)
    ids = torch.randint(0, 512, (3, 40), generator=torch.Generator().manual_seed(8))
    threads(1)
    alone = torch.stack([model(row[None])[0] for row in ids])
    for num_threads in (1, 2, 3):
        threads(num_threads)
        assert torch.equal(model(ids), alone)
        for chunks in ([1] * 40, [39, 1], [7, 9, 24], [20, 20]):
            assert torch.equal(logits_in_chunks(model, ids[1:2], chunks, model.new_cache(40)), alone[1])


@pytest.mark.parametrize("group", [1, 3, 4])
def test_any_number_of_heads_shares_a_kv_head(group):
    """Three heads and four keys are computed together, and what that leaves, alone: the same bits in any chunks."""
    config = replace(load_tiny()[0], num_attention_heads=12, num_key_value_heads=12 // group)
    weights = random_weights(config)
    weights |= {"layers": list(weights["layers"])}
    ids = torch.randint(0, 512, (1, 30), generator=torch.Generator().manual_seed(12))
    model = CompiledLlama(config, weights)
    got = model(ids)[0]
    assert (got - Llama(config, weights, dtype=torch.float64)(ids)[0]).abs().max() < 2e-5 * got.abs().max()
    for chunks in ([1] * 30, [7, 9, 14]):
        assert torch.equal(logits_in_chunks(model, ids, chunks, model.new_cache(30)), got)


@pytest.mark.parametrize("block_size", [1, 3, 16, 64])
def test_a_paged_cache_gives_the_same_bits(block_size):
    model = CompiledLlama(*load_tiny())
    ids = torch.randint(0, 512, (2, 30), generator=torch.Generator().manual_seed(9))
    want = torch.stack([model(row[None])[0] for row in ids])
    cache = PagedKVCache(model.config, 64, block_size)
    free = np.random.default_rng(10).permutation(64).tolist()
    tables = [[free.pop() for _ in range(-(-30 // block_size))] for _ in ids]
    hidden = torch.zeros(2, 30, model.config.hidden_size)
    for starts, counts in (([0, 0], [11, 4]), ([11, 4], [1, 26]), ([12, 30], [18, 0])):
        rows = [i for i in (0, 1) if counts[i]]
        starts, counts = [starts[i] for i in rows], [counts[i] for i in rows]
        tokens = torch.zeros(len(rows), max(counts), dtype=torch.long)
        for i, row in enumerate(rows):
            tokens[i, : counts[i]] = ids[row, starts[i] : starts[i] + counts[i]]
        cache.begin([tables[row] for row in rows], starts, counts)
        got = model.hidden_states(tokens, cache)
        for i, row in enumerate(rows):
            hidden[row, starts[i] : starts[i] + counts[i]] = got[i, : counts[i]]
    assert torch.equal(model.lm_head(hidden), want)


@pytest.mark.parametrize("quant, error", [(None, 2e-5), ("int8", 0.3), ("int8 groups", 0.3), ("int4", 3.0)])
def test_logits_are_those_of_torch(quant, error):
    """Against float64; the tiny checkpoint's random weights lose much in few bits, its logits reach 4."""
    ids = torch.randint(0, 512, (2, 50), generator=torch.Generator().manual_seed(11))
    want = Llama(*load_tiny(), dtype=torch.float64)(ids)
    got = CompiledLlama(*load_tiny(), quant)(ids)
    assert (got - want).abs().max() < error


@numba.njit
def exponentials(x, out):
    for i in range(0, len(x), WIDTH):
        store(out, i, exponential(load(x, i, WIDTH)))


def test_exponential():
    x = np.linspace(-87, 88, 1 << 16).astype(np.float32)
    got = np.empty_like(x)
    exponentials(x, got)
    assert (np.abs(got / np.exp(x.astype(np.float64)) - 1)).max() < 2.5e-7
    x = np.array([-np.inf, -1e30, -200, 200, 1e30] + [0] * 11, np.float32)
    exponentials(x, got[:16])
    assert (got[:3] < 1.3e-38).all() and (got[3:5] > 1e38).all() and np.isfinite(got[:5]).all() and got[5] == 1


def test_what_the_model_refuses():
    config, weights = load_tiny()
    with pytest.raises(ValueError, match="unknown scheme 'int5'"):
        CompiledLlama(config, weights, "int5")
    model = CompiledLlama(config, weights)
    for bad in (-1, 512):
        with pytest.raises(IndexError, match="outside the vocabulary"):
            model(torch.tensor([[3, bad]]))
    with pytest.raises(ValueError, match="cache is full"):
        model(torch.tensor([[1, 2, 3]]), model.new_cache(2))
    with pytest.raises(ValueError, match="float32"):
        model(torch.tensor([[1]]), KVCache(config, 4, dtype=torch.float64))


def run_python(code, **environment):
    """stdout and stderr of a process that runs the code on this checkout; it has torch, but not Numba, loaded."""
    root = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(root)} | environment
    done = warm.run([sys.executable, "-c", code], root, environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


# the smallest entry: a whole forward pass would compile for half a minute
PROGRAM = """
import numpy as np
from mini_engine.cpu.forward import head_product
from mini_engine.cpu.lanes import LANES
from mini_engine.cpu.matrices import as_float32, stacked
x, y = np.ones((2, 3000), np.float32), np.zeros((2, LANES), np.float32)
head_product(stacked([as_float32(np.ones((3000, LANES)))]), x, y, np.zeros((2, 1), np.float32), 2)
print(y.mean())
"""


# compiled in a moment
SMALL = """
import numpy as np
from mini_engine.cpu.compiler import entry
def twice(x, num_parts):
    return 2 * x[0]
print(entry(twice)(np.ones(3), 1))
"""


def test_compiled_code_is_kept_and_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    first, said = run_python(SMALL, MINI_ENGINE_CACHE=str(tmp_path))
    assert said.count("compiling the kernels") == 1
    files = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.suffix for path in files} == {".nbi", ".nbc"} and all("compiled" in path.parts for path in files)
    assert run_python(SMALL, MINI_ENGINE_CACHE=str(tmp_path)) == (first, ""), "it compiled again"
    for path in files:
        path.write_bytes(b"no longer compiled code")
    again, said = run_python(SMALL, MINI_ENGINE_CACHE=str(tmp_path))
    assert again == first and "cannot use the compiled code" in said
    (tmp_path / "file").write_text("no folder can be made here")
    again, said = run_python(SMALL, MINI_ENGINE_CACHE=str(tmp_path / "file"))
    assert again == first and said.count("cannot keep compiled code") == 1


def test_numbas_simplest_threads_will_do():
    code = PROGRAM + "import numba; print(numba.threading_layer())"
    result, _ = run_python(code, NUMBA_THREADING_LAYER="workqueue")
    assert result.split() == [*run_python(PROGRAM)[0].split(), "workqueue"]


WHICH = """
from mini_engine.cpu.lanes import LANES
from mini_engine.cpu.processor import vector_bits
from mini_engine.loading import load
print(vector_bits(), LANES, *(type(load("tiny", quant)[0]).__name__ for quant in (None, "int8", "int4")))
"""


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="the names are those of x86")
@pytest.mark.parametrize(
    "name, found",
    [("skylake-avx512", "512 64 " + 3 * "CompiledLlama "), ("haswell", "256 32 Llama CompiledLlama CompiledLlama")]
    + [(name, "0 32 " + 3 * "Llama ") for name in ("generic", "nehalem", "no-such-chip")],
)
def test_the_processor_decides_which_kernels_are_used(name, found):
    result, said = run_python(WHICH, NUMBA_CPU_NAME=name)
    assert result.split() == found.split()
    lines = [line for line in said.splitlines() if "torch in float32 is used: nobody has measured" in line]
    assert len(lines) == (3 if "0 32" in found else 0)
    assert len(said.splitlines()) == len(lines) or name == "no-such-chip", "LLVM complains of an unknown name itself"
    assert all(name in line for line in lines)


def test_the_kernels_can_be_chosen(capsys):
    assert type(load_model("tiny", compiled=False)[0]) is type(load_model("tiny", dtype=torch.float64)[0]) is Llama
    assert isinstance(load_model("tiny", "int8", compiled=True)[0], CompiledLlama)
    assert load_model("tiny", "w8a8")[0].takes_ragged_rows is False
    with pytest.raises(ValueError, match="for a CPU, in float32"):
        load_model("tiny", dtype=torch.float64, compiled=True)
    assert capsys.readouterr().err == ""


def test_a_model_that_does_not_fit_the_kernels_is_computed_by_torch(capsys, monkeypatch):
    config, weights = load_tiny()
    narrow = replace(config, num_attention_heads=2 * config.num_attention_heads, head_dim=config.head_dim // 2)
    monkeypatch.setattr(loading, "load_tiny", lambda: (narrow, weights))
    if config.head_dim // 2 % WIDTH:
        assert isinstance(load_model("tiny", "int8")[0], Llama)
        assert "torch in float32 is used: the compiled kernels need a head_dim" in capsys.readouterr().err
        with pytest.raises(ValueError, match="head_dim"):
            load_model("tiny", "int8", compiled=True)


def test_one_core_is_enough():
    assert run_python(PROGRAM, NUMBA_NUM_THREADS="1", OMP_NUM_THREADS="1")[0] == run_python(PROGRAM)[0]


def test_the_compiler_is_loaded_only_where_it_is_used():
    code = "import sys, mini_engine.commands.generate, mini_engine.commands.serve, mini_engine.loading\n"
    code += "print('numba' in sys.modules, 'llvmlite' in sys.modules)"
    assert run_python(code)[0].split() == ["False", "False"]


def test_what_only_torch_can_do_is_refused():
    model = CompiledLlama(*load_tiny())
    with pytest.raises(ValueError, match="compiled=False"):
        Engine(model, graphs=True)
    with pytest.raises(ValueError, match="compiled=False"):
        greedy(model, [1, 2], 3, "graph")


def test_a_busy_machine_gets_fewer_threads(monkeypatch):
    clock, others = [100.0], [50.0]
    monkeypatch.setattr(compiler, "NUM_CORES", 8)
    monkeypatch.setattr(compiler, "max_threads", lambda: 4)
    monkeypatch.setattr(compiler, "NEIGHBOURS", compiler.Neighbours())
    monkeypatch.setattr(compiler, "others_seconds", lambda: others[0])
    monkeypatch.setattr(compiler.time, "monotonic", lambda: clock[0])
    # (seconds, cores that the others kept busy in them, threads then)
    looks = ((0, 0, 4), (0.2, 20, 1), (0.01, 0, 1), (0.2, 5.3, 3), (0.2, 0.1, 4))
    for seconds, busy, threads in looks:
        clock[0] += seconds
        others[0] += seconds * busy
        assert compiler.num_threads() == threads
    monkeypatch.undo()
    assert compiler.others_seconds() >= 0


PARALLEL = """
import os, time, torch
from mini_engine.device import give_up_threads
def num_threads(): return len(os.listdir("/proc/self/task"))
torch.set_num_threads(2)
before = num_threads()
torch.ones(1 << 20).exp()
assert num_threads() == before + 1, "nothing was shared, so nothing is tested"
give_up_threads()
while num_threads() > before:
    time.sleep(0.01)
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="libgomp and /proc")
def test_a_thread_gives_its_helpers_up():
    run_python(PARALLEL)


def test_code_of_old_versions_goes(tmp_path):
    for name, days in (("old", 31), ("used", 29)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "code.nbc").write_bytes(b"x")
        moment = time.time() - days * 24 * 3600
        os.utime(tmp_path / name, (moment, moment))
    compiler.forget_old_code(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["used"]


def test_without_numba_torch_is_used():
    code = "import sys; sys.modules['numba'] = None\nfrom mini_engine.loading import load\n"
    result, said = run_python(code + "print(type(load('tiny', 'int8')[0]).__name__)")
    assert result.split() == ["Llama"] and len(said.splitlines()) == 1 and "need Numba" in said
