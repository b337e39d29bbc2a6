"""The road of chapter 13: one product of a real model, from a loop in Python to the memory's speed.

Each step is predicted by two lines, bytes / bandwidth and work / peak, checked against float64 and then timed, in
rounds that take turns. `python -m mini_engine.bench.cpu_road book/data/cpu_road.json` records it.
"""

import statistics
import sys

import numba
import numpy as np
import torch

from mini_engine.bench.machine import machine
from mini_engine.bench.timing import interleaved, spread, write_json
from mini_engine.cpu import matrices
from mini_engine.cpu.attention import attend
from mini_engine.cpu.compiler import OPTIONS
from mini_engine.cpu.forward import head_product
from mini_engine.cpu.model import CompiledLlama
from mini_engine.generate import greedy
from mini_engine.model import Llama
from mini_engine.weights import load_smollm2

PART = 64  # the Python loop computes 1 / PART of the outputs, and its time is multiplied
NUM_ROWS = 16
CONTEXT, BLOCK_SIZE = 1024, 16
PROMPT = [504, 3575, 282, 4649, 314]  # "The capital of France is"


@numba.njit(**OPTIONS)
def plain_product(w, x, y):
    """y[o] = sum over k of w[o, k] * x[k], one output after the other, as one would write it first."""
    for o in range(len(w)):
        total = np.float32(0)
        for k in range(len(x)):
            total += w[o, k] * x[k]
        y[o] = total


@numba.njit(**OPTIONS)
def walk(q, keys, values, table, scores, out):
    """Attention of every query head over CONTEXT positions, block by block. q, out: [H_kv, G * D]."""
    for head in range(len(q)):
        attend(q[head], keys, values, 0, head, table, CONTEXT, scores, out[head])


def python_product(columns, x):
    """The outputs of a list of columns, by Python's own arithmetic."""
    result = []
    for column in columns:
        total = 0.0
        for weight, value in zip(column, x, strict=True):
            total += weight * value
        result.append(total)
    return result


def on(num_threads, function):
    """The function, run with so many threads of torch (the engine's kernels follow them)."""

    def run():
        torch.set_num_threads(num_threads)
        return function()

    return run


def ceilings(num_threads, columns, x):
    """What the two lines need: bytes/s read and multiply-adds/s, on one thread, on all, and of the interpreter."""
    data, a = torch.ones(1 << 26), torch.randn(1024, 1024)
    found = {}
    for count in (1, num_threads):
        times = interleaved({"read": on(count, data.sum), "peak": on(count, lambda: a @ a)}, 7)
        found[str(count)] = {
            "bandwidth": data.nbytes / statistics.median(times["read"]),
            "peak": 1024**3 / statistics.median(times["peak"]),
        }
    times = interleaved({"": lambda: python_product(columns[:1], x)}, 50)[""]
    return found | {"python": {"peak": len(x) / statistics.median(times)}}


def compiled_product(weight, x):
    """A function that computes x @ weight with the engine's kernels. weight: in one of the formats of matrices.py."""
    matrix = matrices.stacked([weight])
    num_out = matrix[0].shape[1] * matrix[0].shape[-1]
    y = np.zeros((len(x), num_out), np.float32)

    def run():
        num_parts = torch.get_num_threads()
        buffer = np.zeros((num_parts, x.shape[1] * y.shape[1] // matrix[0].shape[1]), np.float32)
        head_product(matrix, x, y, buffer, num_parts)
        return y

    return run, matrices.num_bytes(matrix)


def product_steps(weight, x, num_threads):
    """{name: (run, bytes, rows, threads, who computes)} of each step. weight: float32 [in, out]; x: [NUM_ROWS, in]."""
    transposed, one = np.ascontiguousarray(weight.T), x[:1]
    columns, row = transposed[: len(transposed) // PART].tolist(), x[0].tolist()
    y = np.zeros(weight.shape[1], np.float32)
    as_torch, x_torch = torch.from_numpy(transposed), torch.from_numpy(x[0])

    def plain():
        plain_product(transposed, x[0], y)
        return y[None]

    formats = (matrices.as_float32, matrices.as_int8, matrices.as_int4_groups)
    floats, int8, int4 = (as_format(weight) for as_format in formats)
    steps = {
        "Python loop": (lambda: np.array([python_product(columns, row)]), weight.nbytes, 1, 1, "python"),
        "NumPy": (lambda: (transposed @ x[0])[None], weight.nbytes, 1, num_threads, "processor"),
        "torch": (lambda: torch.mv(as_torch, x_torch)[None].numpy(), weight.nbytes, 1, num_threads, "processor"),
        "compiled, output by output": (plain, weight.nbytes, 1, 1, "processor"),
    }
    for name, matrix, rows, threads in (
        ("compiled, outputs as lanes", floats, one, 1),
        (f"on {num_threads} threads", floats, one, num_threads),
        ("int8 weights", int8, one, num_threads),
        ("int4 weights", int4, one, num_threads),
        (f"int8, {NUM_ROWS} rows", int8, x, num_threads),
    ):
        run, num_bytes = compiled_product(matrix, rows)
        steps[name] = (run, num_bytes, len(rows), threads, "processor")
    return steps


def weights_of(name, weight):
    """The weights that a step really uses, in float64 [in, out]: rounded where its name says so."""
    if "int" not in name:
        return weight.astype(np.float64)
    if "int4" in name:
        packed, *halves = matrices.as_int4_groups(weight)
        spread_out = (np.repeat(part.view(np.float16), matrices.GROUP_SIZE, 1) for part in halves)
        scales, minima = (part.astype(np.float64) for part in spread_out)
        q = np.stack([packed & 15, packed >> 4], 2).reshape(scales.shape)
        used = q * scales + minima
    else:
        q, scales = matrices.as_int8(weight)
        used = q * scales[:, None].astype(np.float64)
    return used.swapaxes(0, 1).reshape(len(weight), -1)


def checked(steps, weight, x):
    """{name: largest error relative to the largest output}, against float64 with the weights that the step has."""
    errors = {}
    for name, (run, _, num_rows, threads, _) in steps.items():
        used = weights_of(name, weight)
        expected = x[:num_rows] @ used
        got = on(threads, run)()
        count = min(got.shape[1], weight.shape[1])
        errors[name] = float(np.abs(got[:, :count] - expected[:, :count]).max() / np.abs(expected).max())
        if errors[name] > 1e-5:
            raise AssertionError(f"{name}: off by {errors[name]:.1e} of the largest output")
    return errors


def predicted(num_bytes, multiply_adds, threads, who, found):
    """(seconds, which line is the longer): the two-line model."""
    reading = num_bytes / found[str(threads)]["bandwidth"]
    work = multiply_adds / found["python" if who == "python" else str(threads)]["peak"]
    return max(reading, work), "reading" if reading >= work else "arithmetic"


def product_road(weight, x, num_threads, num_rounds):
    """The ceilings and one row for each step; see the module's docstring."""
    steps = product_steps(weight, x, num_threads)
    errors = checked(steps, weight, x)
    found = ceilings(num_threads, weight.T[:2].tolist(), x[0].tolist())
    times = interleaved({name: on(step[3], step[0]) for name, step in steps.items()}, num_rounds)
    rows = []
    for name, (_, num_bytes, num_rows, threads, who) in steps.items():
        scale = PART if who == "python" else 1
        seconds, limit = predicted(num_bytes, weight.size * num_rows, threads, who, found)
        rows.append({"name": name, "num_bytes": num_bytes, "num_rows": num_rows, "num_threads": threads})
        rows[-1] |= {"predicted_s": seconds, "limit": limit, "error": errors[name]}
        rows[-1] |= {"seconds": spread([scale * seconds for seconds in times[name]])}
    single, many = steps["int8 weights"][0], steps[f"int8, {NUM_ROWS} rows"][0]
    bits = [on(threads, single)()[0].tobytes() for threads in (1, num_threads)]
    same = len({*bits, on(num_threads, many)()[0].tobytes()}) == 1
    return {"ceilings": found, "rows": rows, "same_bits": same}


def attention_road(config, num_rounds):
    """Seconds of one layer's attention over CONTEXT positions in blocks: gathered first, and walked."""
    rng, num_blocks = np.random.default_rng(13), 2 * CONTEXT // BLOCK_SIZE
    shape = (1, num_blocks, config.num_key_value_heads, BLOCK_SIZE, config.head_dim)
    keys, values = (rng.standard_normal(shape).astype(np.float32) for _ in range(2))
    q = rng.standard_normal((config.num_attention_heads, config.head_dim)).astype(np.float32)
    table, out = rng.permutation(num_blocks)[: CONTEXT // BLOCK_SIZE].astype(np.int64), np.zeros_like(q)
    by_kv_head, out = q.reshape(config.num_key_value_heads, -1), out.reshape(config.num_key_value_heads, -1)
    scores = np.zeros((len(q) // len(out), CONTEXT), np.float32)
    tensors = [torch.from_numpy(part[0]) for part in (keys, values)]
    index, q_torch = torch.from_numpy(table), torch.from_numpy(q)[None, :, None]

    def gathered():
        k, v = (part[index].transpose(0, 1).flatten(1, 2)[None] for part in tensors)
        return torch.nn.functional.scaled_dot_product_attention(q_torch, k, v, enable_gqa=True)[0, :, 0].numpy()

    def walked():
        walk(by_kv_head, keys, values, table, scores, out)
        return out.reshape(q.shape)

    error = float(np.abs(gathered() - walked()).max())
    if error > 1e-5:
        raise AssertionError(f"attention over blocks is off by {error:.1e}")
    times = interleaved({"gathered": on(1, gathered), "walked": on(1, walked)}, 10 * num_rounds)
    num_bytes = 2 * CONTEXT * config.num_key_value_heads * config.head_dim * 4
    return {"num_bytes": num_bytes, "error": error} | {name: spread(seconds) for name, seconds in times.items()}


def step_road(config, weights, num_threads, num_new=24):
    """Seconds of a decode step of the whole model, with the text that each engine writes."""
    rows = []
    for name, make in (
        ("torch float32", lambda: Llama(config, weights)),
        ("compiled float32", lambda: CompiledLlama(config, weights)),
        ("compiled int8", lambda: CompiledLlama(config, weights, "int8")),
    ):
        torch.set_num_threads(num_threads)
        model = make()
        ids = greedy(model, PROMPT, num_new, "cache")
        cache = model.new_cache(64)
        model(torch.tensor([PROMPT]), cache)
        seconds = interleaved({"": lambda m=model, c=cache: m(torch.tensor([[7042]]), c)}, 40)[""]
        rows.append({"name": name, "ids": ids, "seconds": spread(seconds)})
    return rows


@torch.inference_mode()
def record(num_rounds=9):
    """The whole road on SmolLM2-135M, as a dict for JSON."""
    num_threads = torch.get_num_threads()
    config, weights = load_smollm2()
    weight = np.ascontiguousarray(np.asarray(weights["embedding"], np.float32).T)
    x = np.random.default_rng(13).standard_normal((NUM_ROWS, len(weight))).astype(np.float32)
    result = {"machine": machine(), "command": "python -m mini_engine.bench.cpu_road book/data/cpu_road.json"}
    result |= {"model": config.name, "shape": list(weight.shape), "python_part": PART, "block_size": BLOCK_SIZE}
    result["product"] = product_road(weight, x, num_threads, num_rounds)
    result["attention"] = {"context": CONTEXT} | attention_road(config, num_rounds)
    result["step"] = step_road(config, weights, num_threads)
    torch.set_num_threads(num_threads)
    return result


if __name__ == "__main__":
    write_json(sys.argv[1], record())
