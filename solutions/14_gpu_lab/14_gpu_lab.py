# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 14 · The GPU lab
#
# One real model, SmolLM2-135M-Instruct, on the device in front of you: from a step that recomputes everything to one that does little more than read its weights. You measure the device's own limits, predict each step, prove that the text has not changed, and only then look at the clock.
#
# The notebook is the same with and without a GPU. On two CPU cores it takes less than five minutes; beside each measurement it says what to expect on a GPU. *Correctness* is graded, on either. *Speed* is yours to read, and no mark depends on it. The chapter *The GPU lab* of the book tells the story. No run on a GPU has been recorded for it: what it says of GPUs is predicted or cited.
#
# Exercises and lab steps take turns. A lab step uses what you have written so far and has no points. Each exercise has a cell for your code, a cell to try it, and a cell of checks: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant. And whatever you are given (arrays, lists, dicts) stays as it is, unless the exercise says otherwise.

# %% setup=True
import functools
import itertools
import json
import math
import os
import re
import statistics
import time

import numpy as np
import torch

from mini_engine.accounting import forward_flops, kv_bytes_per_token
from mini_engine.config import SMOLLM2_135M
from mini_engine.generate import generate
from mini_engine.layers import Linear
from mini_engine.model import Llama
from mini_engine.plotting import figure, show
from mini_engine.weights import ModelUnavailable, load_smollm2, load_tiny, smollm2_is_cached


class Replayable:
    """What a cache needs beside its own work so that a recorded step can be replayed. Used by exercise 4."""

    def seek(self, position):
        """Write a position into the tensor `self.position`, as the owner of a recorded step does between replays."""
        self.position.fill_(position)

    def addresses(self):
        """{name: address} of every tensor kept here: a recording knows tensors by their addresses alone."""
        return {name: value.data_ptr() for name, value in vars(self).items() if isinstance(value, torch.Tensor)}

    def is_recordable(self):
        """Whether a step works on a twin without values, as while a CUDA graph is recorded: only shapes are known."""
        shape = (self.batch, self.config.num_key_value_heads, 1, self.config.head_dim)
        new = torch.empty(shape, dtype=self.dtype, device="meta")
        try:
            twin = type(self)(self.config, self.max_tokens, self.batch, self.dtype, "meta")
            twin.positions(1)
            twin.update(0, new, new)
            twin.advance(1)
        except (RuntimeError, NotImplementedError):
            return False
        return True


class Counted(torch.nn.Module):
    """A module that can say what it keeps. Used by exercise 5."""

    def num_bytes(self):
        """Bytes of every tensor kept, registered or not."""
        plain = [value for value in vars(self).values() if isinstance(value, torch.Tensor)]
        return sum(tensor.nbytes for tensor in [*self.parameters(), *self.buffers(), *plain])

    def names(self):
        """Names of the registered tensors: those that move with the module to another device."""
        return sorted(self.state_dict())


def result_row(name, seconds, num_bytes, bandwidth, batch=1):
    """A row of the results, for a JSON file: median, spread, and the share of the bandwidth that a step reached."""
    median, floor = float(statistics.median(seconds)), float(num_bytes / bandwidth)
    row = {"name": name, "median_ms": 1e3 * median, "min_ms": 1e3 * min(seconds), "max_ms": 1e3 * max(seconds)}
    return row | {"tokens_per_s": batch / median, "floor_ms": 1e3 * floor, "share": floor / median}


# What belongs to your text in the kernels of exercises 7 to 10: it is put behind it.
KERNELS = {
    "int8_product": """
struct Size { rows: u32, words: u32 }
@group(0) @binding(0) var<storage, read> words: array<u32>;
@group(0) @binding(1) var<storage, read> scales: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> size: Size;
""",
    "rms_norm": """
struct Size { rows: u32, features: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<uniform> size: Size;
""",
    "attention": """
struct Size { heads: u32, kv_heads: u32, tokens: u32, features: u32 }
@group(0) @binding(0) var<storage, read> q: array<f32>;
@group(0) @binding(1) var<storage, read> keys: array<f32>;
@group(0) @binding(2) var<storage, read> values: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<uniform> size: Size;

struct State { most: f32, sum: f32, acc: f32 }
var<workgroup> products: array<f32, 64>;

fn score_of(query: u32, key: u32, lane: u32) -> f32 {
  if (lane < size.features) { products[lane] = q[query + lane] * keys[key + lane]; }
  workgroupBarrier();
  var sum = 0.0;
  for (var i = 0u; i < size.features; i += 1u) { sum += products[i]; }
  workgroupBarrier();
  return sum * inverseSqrt(f32(size.features));
}

fn pass_over(head: u32, first: u32, end: u32, lane: u32) -> State {
  var state = State(-3.0e38, 0.0, 0.0);
  for (var token = first; token < end; token += 1u) {
    let kv_head = head / (size.heads / size.kv_heads);
    let row = (kv_head * size.tokens + token) * size.features;
    let value = values[row + min(lane, size.features - 1u)];
    state = fold(state, score_of(head * size.features, row, lane), value);
  }
  return state;
}

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) local: vec3<u32>) {
  let middle = size.tokens / 2u;
  let early = pass_over(group.x, 0u, middle, local.x);
  let state = join(early, pass_over(group.x, middle, size.tokens, local.x));
  if (local.x < size.features) {
    y[group.x * size.features + local.x] = state.acc / state.sum;
  }
}
""",
    "softmax": """
struct Size { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> size: Size;
""",
}

# The kernel of exercise 10: somewhere in it a barrier is missing.
RACY_SOFTMAX = """
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) local: vec3<u32>) {
  let lane = local.x;
  let start = group.x * size.columns;
  var most = -3.0e38;
  for (var i = lane; i < size.columns; i += 64u) {
    most = max(most, x[start + i]);
  }
  part[lane] = most;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] = max(part[lane], part[lane + half]); }
    workgroupBarrier();
  }
  most = part[0];
  var sum = 0.0;
  for (var i = lane; i < size.columns; i += 64u) {
    sum += exp(x[start + i] - most);
  }
  part[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] += part[lane + half]; }
    workgroupBarrier();
  }
  for (var i = lane; i < size.columns; i += 64u) {
    y[start + i] = exp(x[start + i] - most) / part[0];
  }
}
"""


def words_of(wgsl):
    """The words and signs of a kernel's text, one blank between them, without comments."""
    return " ".join(re.findall(r"\w+|\S", re.sub(r"//.*|/\*[\s\S]*?\*/", " ", wgsl)))


def has_barrier_in_branch(wgsl):
    """Whether a barrier stands in an if or else, or in a loop with a head that differs between invocations."""
    text = words_of(wgsl)
    own = set(re.findall(r"@ builtin \( (?:local|global)_invocation_\w+ \) (\w+)", text))
    for name, value in re.findall(r"(?<!for \( )\b(?:let|var) (\w+) [^=;]*= ([^;]*);", text):
        if own & set(value.split()):
            own.add(name)
    words, inside, follows = text.split(), [], False
    for i, word in enumerate(words):
        if word in ("for", "while"):
            head = list(itertools.takewhile(lambda sign: sign != "{", words[i:]))
            # a variable of the loop's own hides one of the same name
            follows = bool(own & set(head) - {name for var, name in zip(head, head[1:]) if var == "var"})
        elif word in ("if", "else"):
            follows = True
        elif word == "{":
            inside.append(follows)
            follows = False
        elif word == "}" and inside:
            inside.pop()
        elif word.endswith("Barrier") and any(inside):
            return True
    return False


@functools.cache
def gpu():
    """This machine's WebGPU device, a software one where there is no GPU. While a notebook is graded only tests run."""
    from mini_engine.gpu.webgpu import device as webgpu

    if "NBGRADER_EXECUTION" in os.environ:
        raise webgpu.NoDevice("while a notebook is graded, kernels run in the tests only")
    return webgpu.open_device()


def run_kernel(name, wgsl, inputs, output, num_groups, sizes):
    """Run your text together with KERNELS[name] and return the output array.

    inputs: arrays. output: an array, what is in it at the start. num_groups: workgroups to start. sizes: the numbers
    of Size, a float for f32. Raises TypeError where the text is none, ValueError (ShaderError) where it is no kernel.
    """
    if not isinstance(wgsl, str):
        raise TypeError(f"your function returns the text of a kernel, a str, and not a {type(wgsl).__name__}")
    if has_barrier_in_branch(wgsl):
        raise ValueError(
            "a barrier within an if, or a loop that not all invocations run equally often: some may never reach it, "
            "and a browser refuses that"
        )
    if "storageBarrier" in words_of(wgsl).split():
        raise ValueError("storageBarrier orders storage buffers: what the invocations share is workgroup memory")
    bits = [np.float32(n).view(np.uint32) if isinstance(n, float) else n for n in sizes]
    uniform = np.array([*bits, 0, 0, 0, 0][:4], np.uint32)
    return gpu().run(f"{wgsl}\n{KERNELS[name]}", inputs, [output], (num_groups,), uniform)[0]


# %% [markdown]
# ## Lab: the device
#
# What this machine has, and what follows from it. For each thing that is missing one line says what is used instead. On a GPU the lab keeps two copies of the model: one in float32, to prove that texts are equal, and one in bfloat16, to be timed. On a CPU one float32 copy is both.

# %%
import sys

from tqdm import tqdm

from mini_engine.device import choose_device
from mini_engine.loading import CharTokenizer
from mini_engine.tokenizer import load_smollm2_tokenizer

torch.set_grad_enabled(False)
bar = functools.partial(tqdm, leave=False, file=sys.stdout)  # JupyterLab paints red what goes to stderr
# a person who runs this gets the real model; a grading run, or a machine without the model, the shipped one of 2 layers
is_lab = "get_ipython" in globals() and "NBGRADER_EXECUTION" not in os.environ
is_real = is_lab and smollm2_is_cached()
choice = choose_device(None if is_real else "cpu")
device, is_gpu = choice.device, choice.device.type == "cuda"
print(f"device: {device}, timed in {choice.dtype}")
for note in choice.notes:
    print("-", note)

if is_real:
    config, weights = load_smollm2()
    tokenizer = load_smollm2_tokenizer()
else:
    config, weights = load_tiny()
    tokenizer = CharTokenizer()
    print("- the lab steps run on the shipped 2-layer model, on the CPU: right, and too small to time.", end=" ")
    print('`python -m mini_engine generate "Hello"` fetches SmolLM2-135M; then run this again.')
exact = Llama(config, weights, torch.float32, device)
fast = Llama(config, weights, choice.dtype, device) if choice.dtype != torch.float32 else exact
prompt = tokenizer.apply_chat_template([{"role": "user", "content": "What is the capital of France?"}])
num_new = 10 if is_real else 8
print(f"{config.name}, {len(prompt)} tokens of prompt")

# %% [markdown] task="check_logits" stars=1 minutes=15
# ## 1. Load and check
#
# Before anything is made fast it must be right, and "the text looks fine" is no check: a model with a wrong rotary pairing still answers questions. So compare numbers. Write `check_logits(logits, oracle, tolerance=1e-4)` for two arrays `[N, V]`, one row per position. It returns a dict:
#
# | key | what |
# |---|---|
# | `"relative_error"` | $\max_{n,v} \lvert \text{logits} - \text{oracle} \rvert \,/\, \max_{n,v} \lvert \text{oracle} \rvert$, a `float` |
# | `"agreement"` | share of the positions in which both have their largest logit (of equal ones the first) at the same token, a `float` from 0 to 1 |
# | `"passed"` | whether the error is at most `tolerance`, a `bool` |
#
# One error for all positions together, because a logit has no scale of its own. Compute in float64, whatever arrives: half-precision logits subtracted in half precision hide their difference. A logit that is NaN **must not pass**. Shapes that differ, empty arrays and an oracle of zeros alone raise `ValueError`; `[1, V]` against `[N, V]` would broadcast, and the check would mean nothing.
#
# Example: oracle `[[0, 10], [4, 2]]`, logits `[[0, 10], [4, 4.5]]`: the error is $2.5 / 10 = 0.25$, the agreement 0.5, not passed.
#
# How large may it be? float32 on two machines adds in another order, which over 30 layers leaves some $10^{-5}$; bfloat16 keeps 8 bits, $2^{-8} = 0.004$ per rounding, and ends near $10^{-2}$.
#
# <details><summary>Hint 1</summary>
#
# Every comparison with NaN is false. Which of `error > tolerance` and `error <= tolerance` can you build on?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `np.asarray(x, dtype=np.float64)` converts. Compare the shapes before any arithmetic; `max` of an empty array raises `ValueError` by itself; `argmax(axis=-1)` of both gives two vectors.
#
# </details>


# %% solution="check_logits"
def check_logits(logits, oracle, tolerance=1e-4):
    """Compare logits with an oracle's: {"relative_error": float, "agreement": float, "passed": bool}.

    logits, oracle: float arrays [N, V], any precision. tolerance: the largest relative error that passes.
    Raises ValueError for shapes that differ, empty arrays, and an oracle of zeros alone.
    """
    ### BEGIN SOLUTION
    if np.shape(logits) != np.shape(oracle):
        raise ValueError(f"logits {np.shape(logits)} and oracle {np.shape(oracle)} must have one shape")
    difference = np.subtract(logits, oracle, dtype=np.float64)
    scale = float(np.abs(oracle).max())  # of an empty array: a ValueError
    if scale == 0:
        raise ValueError("the oracle is 0 everywhere: nothing was computed")
    error = float(np.abs(difference).max()) / scale
    agreement = float(np.mean(np.argmax(logits, axis=-1) == np.argmax(oracle, axis=-1)))
    return {"relative_error": error, "agreement": agreement, "passed": error <= tolerance}
    ### END SOLUTION


# %% tryit="check_logits"
print(check_logits(np.array([[0, 10], [4, 4.5]]), np.array([[0.0, 10], [4, 2]])))


# %% test="check_logits" points=1
def test_check_logits():
    import numpy as np

    oracle = np.array([[0.0, 10.0], [4.0, 2.0]])
    got = check_logits(np.array([[0.0, 10.0], [4.0, 4.5]]), oracle)
    assert got is not None, "check_logits returned None: is there a return statement?"
    keys = {"relative_error", "agreement", "passed"}
    assert set(got) == keys, f"missing or unknown keys: {sorted(set(got) ^ keys)}"
    assert abs(got["relative_error"] - 2.5) > 1e-9, "2.5 is the absolute error: divide by the oracle's largest |logit|"
    assert abs(got["relative_error"] - 0.25) < 1e-12, f"the error is 2.5 / 10 = 0.25, yours {got['relative_error']}"
    assert abs(got["agreement"] - 0.5) < 1e-12, f"the first of two positions agrees: 0.5, yours {got['agreement']}"
    assert not got["passed"], "an error of 0.25 passed a tolerance of 1e-4"
    assert check_logits(oracle + 1e-4, oracle)["passed"], "an error of 1e-5 is below the tolerance of 1e-4"
    nan = check_logits(np.array([[0.0, np.nan], [4.0, 2.0]]), oracle)
    assert not nan["passed"], "a NaN passed: `nan > tolerance` is False, so build on `error <= tolerance`"
    try:
        check_logits(oracle[:1], oracle)
    except ValueError:
        pass
    else:
        raise AssertionError("[1, 2] against [2, 2] was accepted: they broadcast, compare the shapes first")


test_check_logits()


# %% hidden="check_logits" points=2
def hidden_check_logits():
    import numpy as np

    rng = np.random.default_rng(131)
    for _ in range(12):
        num, vocab = int(rng.integers(1, 7)), int(rng.integers(2, 40))
        oracle = rng.normal(size=(num, vocab)) * 10.0 ** rng.integers(-3, 4)
        logits = oracle + rng.normal(size=(num, vocab)) * abs(oracle).max() * 0.05
        kept, kept_oracle = logits.copy(), oracle.copy()
        largest = max(abs(float(v)) for v in oracle.flat)
        error = max(abs(float(a) - float(b)) for a, b in zip(logits.flat, oracle.flat, strict=True)) / largest
        same = [
            row.tolist().index(max(row)) == other.tolist().index(max(other))
            for row, other in zip(logits, oracle, strict=True)
        ]
        case = f"[{num}, {vocab}], logits near {largest:.3g}"
        for tolerance in (0.9 * error, 1.1 * error):
            got = check_logits(logits, oracle, tolerance)
            assert abs(got["relative_error"] - error) <= 1e-10 * error, (
                f"{case}: error {got['relative_error']}, not {error}"
            )
            assert abs(got["agreement"] - sum(same) / num) < 1e-12, f"{case}: agreement {got['agreement']}, not {same}"
            assert got["passed"] == (tolerance > error), f"{case}: error {error}, tolerance {tolerance}"
            assert isinstance(got["passed"], bool), f"passed is a {type(got['passed']).__name__}, not a bool"
        assert np.array_equal(logits, kept) and np.array_equal(oracle, kept_oracle), "your function changed its input"
    # the worst logit may lie far below the oracle, and the largest of the oracle may be negative
    low = check_logits(np.array([[-8.0, -1.0]]), np.array([[-5.0, -1.0]]), 0.5)
    assert abs(low["relative_error"] - 0.6) < 1e-12, f"|-8 + 5| / |-5| is 0.6, you returned {low['relative_error']}"
    assert not low["passed"], "0.6 is above 0.5"
    exact = check_logits(np.array([[3.0, 4.0]]), np.array([[2.0, 4.0]]), 0.25)
    assert exact["passed"], "an error of exactly the tolerance passes"
    half = np.array([[1000.0, 0.0]], np.float16), np.array([[1000.25, 0.0]], np.float32)
    got = check_logits(*half)["relative_error"]
    assert abs(got - 0.25 / 1000.25) < 1e-12, f"float16 against float32: {got}, expected {0.25 / 1000.25}"
    wide = check_logits(np.array([[60000.0, -60000.0]], np.float16), np.array([[-60000.0, 1.0]], np.float16))
    assert abs(wide["relative_error"] - 2) < 1e-3, "the difference of two float16 overflowed: convert first"
    assert check_logits(np.array([[2.0]]), np.array([[2.0]]))["passed"], "one position, one token: that is a check too"
    for bad in (np.inf, -np.inf, np.nan):
        got = check_logits(np.array([[1.0, bad]]), np.array([[1.0, 2.0]]))
        assert not got["passed"], f"a logit of {bad} passed"
    assert check_logits(np.zeros((1, 3)), np.ones((1, 3)), 1.0)["agreement"] == 1, (
        "ties: the first largest on both sides"
    )
    for shapes in (((2, 3), (3, 2)), ((3,), (1, 3)), ((0, 3), (0, 3)), ((1, 3), (2, 3))):
        try:
            check_logits(np.ones(shapes[0]), np.ones(shapes[1]))
        except ValueError:
            continue
        raise AssertionError(f"shapes {shapes[0]} and {shapes[1]} were accepted")
    try:
        check_logits(np.zeros((2, 3)), np.zeros((2, 3)))
    except ValueError:
        pass
    else:
        raise AssertionError("an oracle of zeros alone was accepted: 0 / 0")


hidden_check_logits()


# %% [markdown]
# ## Lab step 1: load and check
#
# The oracle's logits were computed by `transformers` in float32 and are shipped. Your `check_logits` compares. The second line is the copy that will be timed; in bfloat16 its error is larger, and its tolerance too.

# %%
if is_real:
    from mini_engine.weights import load_smollm2_expected as load_oracle
else:
    from mini_engine.weights import load_tiny_expected as load_oracle


def check_model(model, tolerance):
    """Compare a model's logits with the oracle's, text by text."""
    for case in load_oracle():
        ids = list(map(int, case["ids"]))
        logits = model(torch.tensor([ids], device=device))[0].float().cpu().numpy()
        if is_real:  # of the real model the oracle keeps the largest logits after the last token
            logits, oracle = logits[-1:, case["top_ids"]], np.array([case["top_logits"]])
        else:
            oracle = case["logits"]
        print(f"{model.dtype}, {len(ids):3} tokens: {check_logits(logits, oracle, tolerance)}")


check_model(exact, 1e-4)
if fast is not exact:
    check_model(fast, 2e-2)

# %% [markdown] task="measure" stars=2 minutes=20
# ## 2. A clock that waits
#
# A GPU works on its own. `model(x)` returns when the work is *queued*, often long before it is done, so reading the clock there measures the queueing. `torch.cuda.synchronize()` waits until the device is idle. And the first runs are slow for reasons of their own: memory is allocated, kernels are compiled, clocks rise.
#
# Write `measure(run, synchronize, clock, warmup=3, repeats=10)`. It calls `run()` `warmup` times without measuring, then `repeats` times measured, and returns the list of `repeats` durations in seconds, in order. Each duration holds **all of the work of its own run and none of any other**. `synchronize()` waits for the device, `clock()` gives seconds; take the time only from there.
#
# The list is returned as it is: the median of a few runs forgives a hiccup, the smallest and the largest tell how far to believe it, and a mean does neither.
#
# Example: a run that queues 5 ms of work within 1 ms lasts 6 ms, not 1.
#
# <details><summary>Hint 1</summary>
#
# What is the device still doing when the measured part begins, right after the warm-up? And when you read the clock for the second time?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Two waits per measured run: before the first look at the clock and before the second. Collect the differences in a list.
#
# </details>


# %% solution="measure"
def measure(run, synchronize, clock, warmup=3, repeats=10):
    """Seconds of each of `repeats` runs, a list of floats, after `warmup` runs that are not measured.

    run: a function that starts work on the device. synchronize: waits until the device is idle. clock: gives seconds.
    Raises ValueError for repeats < 1 or warmup < 0.
    """
    ### BEGIN SOLUTION
    if repeats < 1 or warmup < 0:
        raise ValueError(f"repeats must be at least 1 and warmup at least 0, got {repeats} and {warmup}")
    for _ in range(warmup):
        run()
    seconds = []
    for _ in range(repeats):
        synchronize()
        start = clock()
        run()
        synchronize()
        seconds.append(clock() - start)
    return seconds
    ### END SOLUTION


# %% tryit="measure"
block = torch.ones(1 << 22)
seconds = measure(block.sum, lambda: None, time.perf_counter)
print(
    f"a sum over 16.8 MB: median {1e3 * statistics.median(seconds):.2f} ms, {1e3 * min(seconds):.2f} to {1e3 * max(seconds):.2f}"
)


# %% test="measure" points=1
def test_measure():
    # a device on paper: a run takes 1 s to queue and 5 s to do, and the clock is a number
    state = {"now": 100.0, "queued": 0.0, "runs": 0}

    def run():
        state["runs"] += 1
        state["now"] += 1
        state["queued"] += 5

    def synchronize():
        state["now"] += state["queued"]
        state["queued"] = 0.0

    def clock():
        return state["now"]

    got = measure(run, synchronize, clock, warmup=2, repeats=3)
    assert got is not None, "measure returned None: is there a return statement?"
    assert not isinstance(got, int | float), f"return the list of all durations, not one number ({got})"
    assert state["runs"] == 5, f"2 runs to warm up and 3 measured are 5, you made {state['runs']}"
    assert len(got) == 3, f"3 measured runs give 3 durations, you returned {len(got)}"
    assert got[0] != 16, "the first duration holds the work of the warm-up: wait for it before you read the clock"
    assert list(got) != [1, 1, 1], "1 s is the time to queue a run: wait for the work before you read the clock again"
    assert list(got) == [6, 6, 6], f"each run takes 1 + 5 s: expected [6, 6, 6], got {list(got)}"
    try:
        measure(run, synchronize, clock, 1, 0)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("repeats=0 was accepted: raise ValueError")


test_measure()


# %% hidden="measure" points=3
def hidden_measure():
    import numpy as np

    rng = np.random.default_rng(132)

    def device(costs):
        state = {"now": float(rng.integers(0, 1000)), "queued": 0.0, "runs": 0}

        def run():
            state["now"] += 0.5
            state["queued"] += costs[min(state["runs"], len(costs) - 1)]
            state["runs"] += 1

        def synchronize():
            state["now"] += state["queued"]
            state["queued"] = 0.0

        return state, run, synchronize, lambda: state["now"]

    for _ in range(8):
        warmup, repeats = int(rng.integers(0, 5)), int(rng.integers(1, 7))
        costs = [float(c) for c in rng.integers(1, 64, warmup + repeats)]
        state, run, synchronize, clock = device(costs)
        state["queued"] = 32.0  # somebody else's work is still going on
        got = measure(run, synchronize, clock, warmup, repeats)
        assert state["runs"] == warmup + repeats, f"warmup={warmup}, repeats={repeats}: {state['runs']} runs were made"
        want = [0.5 + c for c in costs[warmup:]]  # sums of eighths below 2**20 are exact
        assert list(got) == want, f"warmup={warmup}, runs of {costs} s each: expected {want}, got {list(got)}"
    state, run, synchronize, clock = device([0.123456])
    got = measure(run, synchronize, clock, 0, 1)
    assert abs(got[0] - 0.623456) < 1e-9, f"a run of 0.623456 s: nothing is rounded, got {got[0]}"
    state, run, synchronize, clock = device([8.0] * 13)
    got = measure(run, synchronize, clock)
    assert state["runs"] == 13 and len(got) == 10, (
        f"by default 3 + 10 runs; you made {state['runs']} and kept {len(got)}"
    )
    for warmup, repeats, value in ((1, 0, "0"), (1, -2, "-2"), (-1, 5, "-1")):
        state, run, synchronize, clock = device([1.0])
        try:
            measure(run, synchronize, clock, warmup, repeats)
        except ValueError as error:
            assert value in str(error), f"the message should hold the bad value {value}: {error}"
            assert state["runs"] == 0, "a rejected call must not run anything"
            continue
        raise AssertionError(f"warmup={warmup}, repeats={repeats} was accepted")


hidden_measure()


# %% [markdown]
# ## Lab step 1, continued: the ceilings of this device
#
# Three numbers describe the device well enough for everything that follows: how many bytes it moves per second (a large copy), how many FLOPs it makes (a large matrix product), and how long it takes to start a kernel that does nothing. Data sheets promise more than a program gets, so they are measured. A ceiling is what the *best* run reached; for everything else the median counts. (A CPU reads the target's memory before it writes there, so a copy moves more than it is credited for: the read beside it is the fairer ceiling, and the larger of the two is taken.)

# %%
from mini_engine.accounting import parameter_count, roofline
from mini_engine.gpu.graphs import capture

synchronize = torch.cuda.synchronize if is_gpu else lambda: None


def median_s(run, warmup=3, repeats=10):
    return statistics.median(measure(run, synchronize, time.perf_counter, warmup, repeats))


# far above the caches, and at most an eighth of what is free
num_bytes = min(1 << 32, torch.cuda.mem_get_info()[0] // 8) if is_gpu else 1 << (28 if is_real else 22)


def copy_and_read_bandwidth():
    source = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    copies = measure(lambda: target.copy_(source), synchronize, time.perf_counter)
    reads = measure(source.sum, synchronize, time.perf_counter)
    return 2 * source.nbytes / min(copies), source.nbytes / min(reads)  # a copy reads and writes each byte


def matmul_flops(size):
    square = torch.randn(size, size, dtype=fast.dtype, device=device)
    return 2 * size**3 / min(measure(lambda: square @ square, synchronize, time.perf_counter))


copied, read = copy_and_read_bandwidth()
bandwidth, peak_flops = max(copied, read), matmul_flops(8192 if is_gpu else 1024)
speck = torch.zeros(1, device=device)


def many_kernels():
    for _ in range(1000):
        speck.add_(1)


launch_s = median_s(many_kernels) / 1000
recorded = capture(many_kernels, device)
graph_launch_s = median_s(recorded.replay) / 1000
print(
    f"copy {copied / 1e9:.1f} GB/s, read {read / 1e9:.1f} GB/s, {peak_flops / 1e12:.3f} TFLOP/s, {1e6 * launch_s:.2f} µs to start a kernel"
)
print(f"{recorded.how}: {1e6 * graph_launch_s:.2f} µs")
print(f"ridge: {peak_flops / bandwidth:.0f} FLOP per byte")

weight_bytes = parameter_count(config) * fast.dtype.itemsize
fig, ax = figure()
intensity = np.logspace(-1, 4, 100)
ax.loglog(intensity, [roofline(i, peak_flops, bandwidth) / 1e9 for i in intensity], label="this device, measured")
for name, tokens, marker in (("decode, one sequence", 1, "o"), ("prefill of 512 tokens", 512, "s")):
    at = forward_flops(config, tokens) / weight_bytes
    ax.loglog(at, roofline(at, peak_flops, bandwidth) / 1e9, marker, label=name)
ax.set(xlabel="FLOP per byte", ylabel="attainable GFLOP/s")
ax.legend()
show(
    fig,
    alt="Roofline of this device: decode of one sequence lies on the slope, limited by bandwidth; a prefill of 512 "
    "tokens lies under the flat part, limited by arithmetic.",
)

# %% [markdown] task="predicted_step_s" stars=1 minutes=10
# ## 3. Two lines that predict a step
#
# A decode step of one sequence keeps two machines busy. The *host* starts hundreds of kernels, one after the other. The *device* reads every weight (and the cache) once, with a short gap between two kernels. Arithmetic does not count, as chapter 4 showed: at one row a byte read brings one FLOP.
#
# $$t_\text{host} = \text{kernels} \cdot t_\text{launch} \qquad t_\text{device} = \frac{\text{bytes}}{\text{bandwidth}} + \text{kernels} \cdot t_\text{gap}$$
#
# A GPU queues launches while earlier kernels run, so both work at the same time and the **slower** one sets the time of the step: a maximum, not a sum. Gaps are different: while the device waits between two kernels, its memory rests, so they add to the reading. A CUDA graph makes the host's line 0 and leaves the gaps. On a CPU each operator ends before the next one starts, so there the whole cost of a start is a gap.
#
# Write `predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s, gap_s=0.0)`: the seconds, a number. Bytes, bytes per second, a count, and seconds per kernel for host and device. All constants are measured on your device, not looked up.
#
# Example: 135M parameters in bf16 are 269 MB, read in 56 µs at 4.8 TB/s. 1,156 kernels of 5 µs each keep the host busy for 5,780 µs, so the step takes 5,780 µs. As a graph with gaps of 1.3 µs it takes 56 + 1,503 = 1,559 µs.
#
# <details><summary>Hint 1</summary>
#
# Two times, then the larger one. Check units: bytes divided by bytes per second; a number times seconds.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One `if` for the four that may be 0, one for the bandwidth, one `max` of two lines.
#
# </details>


# %% solution="predicted_step_s"
def predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s, gap_s=0.0):
    """Seconds of one step: the slower of the host, which launches, and the device, which reads and pauses.

    num_bytes: read in the step. bandwidth: bytes per second. num_kernels: started in the step. launch_s: the host's
    seconds for each. gap_s: the device's idle seconds after each. Raises ValueError for a negative number and for a
    bandwidth of 0.
    """
    ### BEGIN SOLUTION
    if min(num_bytes, num_kernels, launch_s, gap_s) < 0:
        raise ValueError(f"negative: {num_bytes=}, {num_kernels=}, {launch_s=}, {gap_s=}")
    if bandwidth <= 0:
        raise ValueError(f"bandwidth must be above 0, got {bandwidth}")
    return max(num_kernels * launch_s, num_bytes / bandwidth + num_kernels * gap_s)
    ### END SOLUTION


# %% tryit="predicted_step_s"
for name, num_bytes, kernels in (("135M, bf16", 269e6, 1156), ("135M, int8", 143e6, 1156), ("7B, bf16", 13.5e9, 1232)):
    queued = predicted_step_s(num_bytes, 4.8e12, kernels, 5e-6)
    replayed = predicted_step_s(num_bytes, 4.8e12, kernels, 0, 1.3e-6)
    print(f"{name:12} one by one {1e6 * queued:6.0f} µs, as a graph {1e6 * replayed:6.0f} µs")


# %% test="predicted_step_s" points=1
def test_predicted_step_s():
    got = predicted_step_s(269e6, 4.8e12, 600, 5e-6)
    assert got is not None, "predicted_step_s returned None: is there a return statement?"
    assert abs(got - (269e6 / 4.8e12 + 0.003)) > 1e-9, "3.056 ms is the sum: launches are queued while the device reads"
    assert abs(got - 0.003) < 1e-12, f"600 launches of 5 µs outlast 56 µs of reading: 0.003 s, you returned {got}"
    assert predicted_step_s(100, 50, 0, 1e-6) == 2, "100 bytes at 50 bytes per second and no kernel take 2 s"
    assert predicted_step_s(100, 50, 3, 0, 0.5) == 3.5, "gaps are idle time of the device: 2 s + 3 · 0.5 s"
    assert predicted_step_s(100, 50, 3, 2, 0.5) == 6, "3 launches of 2 s outlast 3.5 s on the device"
    for bad in ((-1, 1, 1, 1), (1, 0, 1, 1)):
        try:
            predicted_step_s(*bad)
        except ValueError:
            continue
        raise AssertionError(f"{bad} was accepted: raise ValueError")


test_predicted_step_s()


# %% hidden="predicted_step_s" points=2
def hidden_predicted_step_s():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(133)
    for _ in range(30):
        num_bytes, bandwidth = int(rng.integers(0, 2**40)), int(rng.integers(1, 2**43))
        num_kernels, launch_s, gap_s = int(rng.integers(0, 2000)), *(float(s) for s in rng.uniform(0, 2e-5, 2))
        for launch, gap in ((launch_s, 0.0), (0.0, gap_s), (launch_s, gap_s), (3 * launch_s, gap_s)):
            host = num_kernels * Fraction(launch)
            device = Fraction(num_bytes, bandwidth) + num_kernels * Fraction(gap)
            want = host if host > device else device
            got = predicted_step_s(num_bytes, bandwidth, num_kernels, launch, *([gap] if gap else []))
            assert isinstance(got, int | float), f"seconds are a number, yours is {type(got).__name__}"
            assert abs(Fraction(got) - want) <= want * Fraction(1, 10**12), (
                f"{num_bytes} bytes at {bandwidth}/s, {num_kernels} kernels, {launch} s to start each, gaps of {gap} s: "
                f"{float(want)}, you returned {got}"
            )
    assert predicted_step_s(0, 1, 0, 0) == 0, "nothing to read and nothing to start takes no time"
    for i, bad in ((0, -7), (2, -7), (3, -0.25), (4, -0.25)):
        arguments = [8, 2, 3, 0.5, 0.5]
        arguments[i] = bad
        try:
            predicted_step_s(*arguments)
        except ValueError as error:
            assert str(bad) in str(error), f"the message should hold the bad value {bad}: {error}"
            continue
        raise AssertionError(f"{arguments} was accepted")
    for bandwidth in (0, -3):
        try:
            predicted_step_s(8, bandwidth, 1, 1)
        except ValueError as error:
            assert str(bandwidth) in str(error), f"the message should hold {bandwidth}: {error}"
            continue
        raise AssertionError(f"a bandwidth of {bandwidth} was accepted")


hidden_predicted_step_s()

# %% [markdown] task="StaticCache" stars=3 minutes=40
# ## 4. A cache that never changes its shape
#
# Starting kernels one by one is what costs, so a GPU can record the whole list of them once, a *CUDA graph*, and start the list with one call. A recording knows no Python: it holds kernels with the **addresses and shapes** of their tensors, and plays them again blindly. A cache that hands out longer views at each step cannot be recorded. A cache that counts tokens in a Python integer would write every token into the row of the first.
#
# Write `class StaticCache(Replayable)`. The model `mini_engine.model.Llama` takes it instead of its own; set-up code and signatures are given.
#
# | method | does |
# |---|---|
# | `__init__(config, max_tokens, batch=1, dtype, device)` | beside the given lines: `self.k`, `self.v`, zeros of shape `[layers, batch, H_kv, max_tokens, head_dim]`, and `self.position`, an integer tensor `[1]` with 0, all on `device` |
# | `positions(num_new)` | an integer tensor `[batch, num_new]`: the positions of the next tokens |
# | `update(layer, k, v)` | writes `k`, `v` `[batch, H_kv, N, head_dim]` into the next N rows of the layer, **in place**; returns `(k_all, v_all, mask)` |
# | `advance(num_new)` | adds `num_new` to `self.position`, **in place** |
#
# `k_all` and `v_all` are the layer's *whole* rows, `[batch, H_kv, max_tokens, head_dim]`, filled or not. `mask` is boolean `[1, 1, N, max_tokens]`: new token `i` stands at `position + i` and may look at every row up to that one. The position changes only in `advance`, once per pass.
#
# The position is a tensor, and nothing may read it back into Python: no `int(…)`, no `.item()`, no slice with it, no `if`. On a GPU each of these waits for the device, and in a recording it is an error. (So the cache cannot reject a token too many: its owner counts.) Zeros and not whatever memory held, because a masked NaN times 0 is still NaN.
#
# Example, `max_tokens` 4, position 1, one new token: row 1 is written, the mask is `[True, True, False, False]`, and after `advance(1)` the position is 2. `cache.seek(1)` goes back.
#
# <details><summary>Hint 1</summary>
#
# The rows are `self.position + torch.arange(N, device=…)`: a tensor. Which PyTorch operation writes rows that a tensor names, in place? Which comparison of two aranges, one standing and one lying, gives a triangle?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `tensor.index_copy_(dim, rows, new)`, on one layer, with the dimension of the tokens. `columns <= rows[:, None]` is `[N, max_tokens]`; two `None` in front make the shape. `add_` works in place, `x = x + n` makes a new tensor at another address.
#
# </details>


# %% solution="StaticCache"
class StaticCache(Replayable):
    """Keys and values with fixed shapes and addresses, for `batch` sequences of equal length.

    config: a model spec. max_tokens: rows of each sequence. dtype, device: of keys and values.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        self.config, self.max_tokens, self.batch, self.dtype = config, max_tokens, batch, dtype
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        ### BEGIN SOLUTION
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        ### END SOLUTION

    def positions(self, num_new):
        """Positions of the next num_new tokens: an integer tensor [batch, num_new]."""
        ### BEGIN SOLUTION
        return (self.position + torch.arange(num_new, device=self.k.device)).expand(self.batch, num_new)
        ### END SOLUTION

    def update(self, layer, k, v):
        """Write one layer's new k, v [batch, H_kv, N, head_dim]; returns (k_all, v_all, mask).

        k_all, v_all: [batch, H_kv, max_tokens, head_dim]. mask: bool [1, 1, N, max_tokens], True where N may look.
        """
        ### BEGIN SOLUTION
        rows = self.positions(k.shape[2])[0]
        self.k[layer].index_copy_(2, rows, k)
        self.v[layer].index_copy_(2, rows, v)
        mask = torch.arange(self.max_tokens, device=rows.device) <= rows[:, None]
        return self.k[layer], self.v[layer], mask[None, None]
        ### END SOLUTION

    def advance(self, num_new):
        """Count num_new tokens, in place: called once, after the last layer of a pass."""
        ### BEGIN SOLUTION
        self.position += num_new
        ### END SOLUTION


# %% tryit="StaticCache"
tiny_model = Llama(*load_tiny())
cache = StaticCache(tiny_model.config, max_tokens=6)
tiny_model(torch.tensor([[3, 1]]), cache)
print("after 2 tokens the next position is", cache.positions(1).tolist())
one = torch.ones(1, 2, 1, 16)
print("the mask of token 2 is", cache.update(0, one, one)[2].int().tolist())
print("can be recorded:", cache.is_recordable())


# %% test="StaticCache" points=2
def test_StaticCache():
    import torch

    from mini_engine.config import TINY
    from mini_engine.model import Llama
    from mini_engine.weights import load_tiny

    cache = StaticCache(TINY, 4)
    shape = [2, 1, 2, 4, 16]
    assert list(cache.k.shape) == shape and list(cache.v.shape) == shape, (
        f"k and v should be [layers, batch, H_kv, max_tokens, head_dim] = {shape}, yours: {list(cache.k.shape)}"
    )
    assert float(cache.k.abs().max()) == 0 and float(cache.v.abs().max()) == 0, "an empty cache is filled with zeros"
    cache.seek(1)
    assert cache.positions(2).tolist() == [[1, 2]], (
        f"after seek(1) the next two positions are [[1, 2]], yours {cache.positions(2).tolist()}: they come from self.position"
    )
    before = cache.addresses()
    k, v, mask = cache.update(0, torch.full((1, 2, 1, 16), 3.0), torch.full((1, 2, 1, 16), 5.0))
    assert list(k.shape) == [1, 2, 4, 16], (
        f"all 4 rows are handed out, always: expected [1, 2, 4, 16], got {list(k.shape)} (a view up to the position?)"
    )
    assert k[0, 0, :, 0].tolist() == [0, 3, 0, 0], f"row 1 should be written, the rows are {k[0, 0, :, 0].tolist()}"
    assert v[0, 1, :, 0].tolist() == [0, 5, 0, 0], f"v should have 5 in row 1, it has {v[0, 1, :, 0].tolist()}"
    assert mask is not None, "without a mask the token looks at rows that hold nothing yet"
    assert list(mask.shape) == [1, 1, 1, 4], f"the mask should be [1, 1, N, max_tokens], yours is {list(mask.shape)}"
    assert mask[0, 0, 0].tolist() == [True, True, False, False], (
        f"the token at position 1 sees rows 0 and 1 (itself too): your mask is {mask[0, 0, 0].tolist()}"
    )
    assert cache.positions(1).tolist() == [[1]], "update moved the position: every layer of a pass writes the same rows"
    cache.advance(1)
    assert cache.positions(1).tolist() == [[2]], "after advance(1) the next position is 2"
    moved = [name for name, address in cache.addresses().items() if before.get(name) != address]
    assert not moved, f"{moved} got a new address: a recording still uses the old one, so change tensors in place"
    assert cache.is_recordable(), (
        "a pass reads a value back into Python (int(…), .item(), a slice or an `if` with the position): not recordable"
    )
    model = Llama(*load_tiny())
    ids = torch.tensor([[5, 17, 300, 2]])
    cache = StaticCache(TINY, 9)
    got = torch.cat([model(ids[:, :2], cache), model(ids[:, 2:3], cache), model(ids[:, 3:], cache)], dim=1)
    worst = float((got - model(ids)).detach().abs().max())
    assert worst < 1e-4, f"the model's logits through your cache differ by {worst:.1e} from those without any cache"


test_StaticCache()


# %% hidden="StaticCache" points=5
def hidden_StaticCache():
    import numpy as np
    import torch

    from mini_engine.config import ModelConfig
    from mini_engine.model import Llama

    rng = np.random.default_rng(135)
    for layers, heads, kv, dim, batch, room in ((1, 2, 1, 4, 3, 8), (3, 4, 2, 6, 2, 12), (2, 3, 3, 2, 1, 10)):
        config = ModelConfig("s", layers, 12, heads, kv, 14, 29, dim, 50.0, 64)
        case = f"{layers} layers, {kv} KV heads of {dim}, batch {batch}, {room} rows"
        cache = StaticCache(config, room, batch, torch.float64)
        assert cache.k.dtype == torch.float64 and cache.v.dtype == torch.float64, f"{case}: dtype=float64 was not kept"
        assert list(cache.v.shape) == [layers, batch, kv, room, dim], f"{case}: v has shape {list(cache.v.shape)}"
        assert cache.positions(3).tolist() == [[0, 1, 2]] * batch, (
            f"{case}: first positions {cache.positions(3).tolist()}"
        )
        assert cache.is_recordable(), f"{case}: a pass reads a value back into Python"
        want_k, want_v = np.zeros((layers, batch, kv, room, dim)), np.zeros((layers, batch, kv, room, dim))
        start, fixed = 0, cache.addresses()
        while start < room:
            num_new = int(rng.integers(1, min(4, room - start) + 1))
            for layer in range(layers):
                new_k, new_v = rng.normal(size=(batch, kv, num_new, dim)), rng.normal(size=(batch, kv, num_new, dim))
                want_k[layer, :, :, start : start + num_new] = new_k
                want_v[layer, :, :, start : start + num_new] = new_v
                k, v, mask = cache.update(layer, torch.from_numpy(new_k), torch.from_numpy(new_v))
                assert np.array_equal(np.asarray(k), want_k[layer]), f"{case}: K of layer {layer} at {start} is wrong"
                assert np.array_equal(np.asarray(v), want_v[layer]), f"{case}: V of layer {layer} at {start} is wrong"
                want = [[column <= start + i for column in range(room)] for i in range(num_new)]
                assert mask.dtype == torch.bool, f"{case}: the mask is {mask.dtype}, not bool"
                assert mask.tolist() == [[want]], f"{case}: {num_new} tokens at {start}: the mask should be {want}"
            cache.advance(num_new)
            start += num_new
            if start < room:
                assert cache.positions(1).tolist() == [[start]] * batch, f"{case}: {start} tokens advanced"
        for name, got, want in (("k", cache.k, want_k), ("v", cache.v, want_v)):
            assert np.array_equal(np.asarray(got), want), f"{case}: self.{name} is not what update was given"
        assert cache.addresses() == fixed, (
            f"{case}: a tensor was replaced; after a recording only its old address counts"
        )
        # what a replay does: the owner moves the position, old rows are written over, later ones stay
        cache.seek(room - 2)
        new = rng.normal(size=(batch, kv, 1, dim))
        k, _, mask = cache.update(0, torch.from_numpy(new), torch.from_numpy(new))
        want_k[0, :, :, room - 2] = new[:, :, 0]
        assert np.array_equal(np.asarray(k), want_k[0]), f"{case}: after seek({room - 2}) row {room - 2} is written"
        assert mask[0, 0, 0].tolist() == [True] * (room - 1) + [False], (
            f"{case}: the mask after seek is {mask.tolist()}"
        )

        draw = lambda *size: rng.standard_normal(size)
        sizes = {"w_q": (12, heads * dim), "w_k": (12, kv * dim), "w_v": (12, kv * dim), "w_o": (heads * dim, 12)}
        sizes |= {"w_gate": (12, 14), "w_up": (12, 14), "w_down": (14, 12), "attn_norm": (12,), "mlp_norm": (12,)}
        weights = {"embedding": draw(29, 12), "final_norm": draw(12), "lm_head": draw(12, 29)}
        weights["layers"] = [{name: draw(*size) for name, size in sizes.items()} for _ in range(layers)]
        model = Llama(config, weights, torch.float64)
        ids = torch.from_numpy(rng.integers(0, 29, (batch, 7)))
        cache = StaticCache(config, room, batch, torch.float64)
        parts = [model(ids[:, :3], cache), model(ids[:, 3:4], cache), model(ids[:, 4:], cache)]
        want = model(ids).detach()
        worst = float((torch.cat(parts, dim=1).detach() - want).abs().max() / want.abs().max())
        assert worst < 1e-10, f"{case}: the model through your cache, chunks of 3, 1, 3: off by {worst:.1e}"
        cache.seek(4)
        again = model(ids[:, 4:], cache).detach()
        worst = float((again - want[:, 4:]).abs().max() / want.abs().max())
        assert worst < 1e-10, f"{case}: after seek(4) the same tokens give other logits, off by {worst:.1e}"


hidden_StaticCache()


# %% [markdown]
# ## Lab step 2: the road
#
# No cache → cache → static cache → recorded. Each step must write the text of the first one, in float32, before it is timed. Before that it is *predicted*: bytes and kernels are counted, the constants are those of step 1. Where a step computes many tokens at once (no cache), the arithmetic can take longer than the reading, so the prediction takes the larger of the two.
#
# On a CPU there is no graph: the recording is a plain call, and the line below says so. Its launches are cheap beside the reading, so every step after *cache* lies near the floor. **On a GPU expect another picture**: the floor is some fifty microseconds, a step that starts its kernels one by one takes a hundred times as long, and the recorded one a fraction of that.

# %%
from mini_engine.bench.ceilings import count_kernels
from mini_engine.quant.modules import bytes_read_per_token


def make_step(model, recorded):
    """(run, token, cache): each run() feeds `token`, writes the next one over it, and moves the cache by one."""
    cache = StaticCache(config, len(prompt) + 64, 1, model.dtype, device)
    token = model(torch.tensor([prompt], device=device), cache)[:, -1:].argmax(-1)
    first = token.clone()

    def step():
        token.copy_(model(token, cache)[:, -1:].argmax(-1))
        return token

    run = capture(step, device).replay if recorded else step
    cache.seek(len(prompt))  # the warm-up of a recording has moved both
    token.copy_(first)
    return run, token, cache


def greedy_text(name, model):
    """The greedy continuation of the prompt, as each step of the road computes it."""
    if name in ("no cache", "cache"):
        return list(generate(model, prompt, num_new, use_cache=name == "cache"))
    run, token, _ = make_step(model, name == "recorded")
    ids = [int(token)]
    while len(ids) < num_new:
        run()
        ids.append(int(token))
    return ids


def timed_step(name, model):
    """A function that makes one decode step after the prompt, again and again."""
    if name == "no cache":
        ids = torch.tensor([prompt + [0]], device=device)
        return lambda: model.lm_head(model.hidden_states(ids)[:, -1])
    if name == "cache":
        cache, token = model.new_cache(len(prompt) + 1), torch.zeros(1, 1, dtype=torch.long, device=device)
        model(torch.tensor([prompt], device=device), cache)

        def step():
            model(token, cache)
            cache.truncate(len(prompt))

        return step
    run, _, cache = make_step(model, name == "recorded")

    def rewind():
        cache.seek(len(prompt))
        run()

    return rewind


road, rows = ("no cache", "cache", "static cache", "recorded"), []
step_bytes = bytes_read_per_token(fast) + len(prompt) * kv_bytes_per_token(config, fast.dtype.itemsize)
texts, counts = {}, {}
for name in bar(road, desc="texts and kernels"):
    texts[name] = greedy_text(name, exact)
    counts[name] = count_kernels(timed_step("static cache" if name == "recorded" else name, fast), device)
    assert texts[name] == texts["no cache"], f"{name} writes {texts[name]}, not {texts['no cache']}"
print("all four write:", repr(tokenizer.decode(texts["no cache"])))

for name in bar(road, desc="timing"):
    # on a GPU launches are queued; in a graph, and on a CPU, each start is a gap in the work
    starts = (launch_s, 0.0) if is_gpu and name != "recorded" else (0.0, graph_launch_s)
    compute_s = forward_flops(config, len(prompt) + 1 if name == "no cache" else 1) / peak_flops
    predicted = max(predicted_step_s(step_bytes, bandwidth, counts[name], *starts), compute_s)
    seconds = measure(timed_step(name, fast), synchronize, time.perf_counter, 1, 5 if name == "no cache" else 10)
    rows.append(result_row(name, seconds, step_bytes, bandwidth) | {"predicted_ms": 1e3 * predicted})
print(f"{'':14}{'kernels':>8}{'predicted':>11}{'measured':>10}{'spread':>20}{'floor':>8}{'share':>7}   (ms)")
for row in rows:
    spread = f"{row['min_ms']:.2f} to {row['max_ms']:.2f}"
    print(
        f"{row['name']:14}{counts[row['name']]:8}{row['predicted_ms']:11.2f}{row['median_ms']:10.2f}{spread:>20}",
        end="",
    )
    print(f"{row['floor_ms']:8.2f}{row['share']:7.0%}")

if is_gpu:  # why: how much of a step the device is busy at all
    from torch.profiler import ProfilerActivity, profile

    for name in ("static cache", "recorded"):
        step = timed_step(name, fast)
        with profile(activities=[ProfilerActivity.CUDA]) as profiler:
            step()
            synchronize()
        busy_ms = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e3
        print(f"{name}: kernels run {busy_ms:.2f} ms of the step; for the rest the device waits")

# %% [markdown] task="GroupedInt8Linear" stars=3 minutes=35
# ## 5. A linear layer in int8
#
# In chapter 7 you rounded arrays. Here is the layer that drops into the real model. Write `class GroupedInt8Linear(Counted)`; `Counted` is a `torch.nn.Module` that can say what it keeps.
#
# | method | does |
# |---|---|
# | `__init__(weight, group_size=64)` | `weight` is a float tensor `[in, out]`, as the engine's `Linear` holds it. Keeps two **buffers** and nothing else: `q`, `int8` `[out, in]`, and `scales`, `float16` `[out, in / group_size]` |
# | `forward(x)` | $y = x W$ for `x` `[…, in]`: `[…, out]` in `x`'s dtype |
#
# The integers are stored as `[out, in]`, so that the inputs of one output are neighbours in memory, which is how a kernel reads them for a dot product. A group is a run of `group_size` of them. Compute in float32, whatever the weight's dtype. Rounding is symmetric, as before: a group's scale is its largest $\lvert w \rvert / 127$, **rounded to float16 first**, and
#
# $$q = \text{clamp}\!\left(\text{round}\!\left(\tfrac{w}{\text{scale}}\right), -127, 127\right)$$
#
# The clamp is needed: a float16 scale may be a little, and for tiny weights much, smaller than it should be, and $+128$ in int8 is $-128$. A group of zeros gets scale 1. `forward` makes the float weight from `q` and `scales`, in `x`'s dtype, and multiplies. That is the teaching form. It saves memory *held*; the kernel that you read below converts in registers and saves memory *read*.
#
# Buffers (`self.register_buffer(name, tensor)`) move with the module to another device and are saved with it; a plain attribute stays behind. The float weight must not stay anywhere.
#
# Example: weight `[[2.54], [0.03], [1.0], [127.0]]` in groups of 2: `q` is `[[127, 1 or 2, 1, 127]]` and `scales` `[[0.02, 1.0]]`.
#
# <details><summary>Hint 1</summary>
#
# Transpose first, in float32. Then `[out, in]` seen as `[out, in / group_size, group_size]` has every group on its last axis.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `.abs().amax(dim=-1)` for the largest, `.half()`, `torch.where(scales == 0, …)`; divide by `scales.unsqueeze(-1)` (float32 by float16 is float32); `.round().clamp(-127, 127).to(torch.int8)` and back to two dimensions. In `forward` the same grouping in `x.dtype`, then `x @ w.T`.
#
# </details>


# %% solution="GroupedInt8Linear"
class GroupedInt8Linear(Counted):
    """y = x @ W with W kept as int8 and one float16 scale per group of inputs; the activations stay float.

    weight: float [in, out]. group_size: inputs that share a scale, divides in.
    Buffers: q int8 [out, in], scales float16 [out, in / group_size]. Raises ValueError for groups that do not fit.
    """

    def __init__(self, weight, group_size=64):
        super().__init__()
        ### BEGIN SOLUTION
        num_in, num_out = weight.shape
        if group_size < 1 or num_in % group_size:
            raise ValueError(f"group_size={group_size} does not divide {num_in} inputs")
        groups = weight.float().T.reshape(num_out, -1, group_size)
        scales = (groups.abs().amax(dim=-1) / 127).half()
        scales = torch.where(scales == 0, torch.ones_like(scales), scales)
        q = (groups / scales.unsqueeze(-1)).round().clamp(-127, 127)
        self.register_buffer("q", q.to(torch.int8).reshape(num_out, num_in))
        self.register_buffer("scales", scales)
        ### END SOLUTION

    def forward(self, x):
        """x [..., in] times the dequantized weight: [..., out] in x's dtype."""
        ### BEGIN SOLUTION
        groups = self.q.unflatten(1, (self.scales.shape[1], -1))
        weight = (groups * self.scales.to(x.dtype).unsqueeze(-1)).flatten(1)
        return x @ weight.T
        ### END SOLUTION


# %% tryit="GroupedInt8Linear"
layer = GroupedInt8Linear(torch.tensor([[2.54], [0.03], [1.0], [127.0]]), group_size=2)
print("q", layer.q.tolist(), "scales", layer.scales.tolist())
layer = GroupedInt8Linear(torch.randn(576, 1536), group_size=64)
print(f"576 x 1536 weights: {layer.num_bytes():,} bytes, {8 * layer.num_bytes() / (576 * 1536):.2f} bits each")


# %% test="GroupedInt8Linear" points=2
def test_GroupedInt8Linear():
    import torch

    layer = GroupedInt8Linear(torch.tensor([[2.54, 0.0], [0.05, 0.0], [1.0, -254.0], [127.0, 2.0]]), group_size=2)
    assert "q" in layer.names() and "scales" in layer.names(), (
        f"q and scales should be registered buffers, registered are {layer.names()}: plain attributes do not move along"
    )
    assert layer.names() == ["q", "scales"], f"registered should be q and scales alone, yours: {layer.names()}"
    assert list(layer.q.shape) == [2, 4], f"q is [out, in] = [2, 4], yours is {list(layer.q.shape)}"
    assert layer.q.dtype == torch.int8 and layer.scales.dtype == torch.float16, (
        f"q int8 and scales float16; yours are {layer.q.dtype} and {layer.scales.dtype}"
    )
    assert list(layer.scales.shape) == [2, 2], f"scales are [out, groups] = [2, 2], yours {list(layer.scales.shape)}"
    assert layer.scales[0, 1] == 1 and layer.scales[1, 1] == 2, (
        f"inputs 2 and 3 of output 0 hold 1 and 127: scale 1; of output 1 -254 and 2: scale 2; yours: {layer.scales.tolist()}"
    )
    assert layer.scales[1, 0] == 1, (
        f"a group of zeros has scale 1, yours has {float(layer.scales[1, 0])}: 0 / 0 lies near"
    )
    assert layer.q[1].tolist() == [0, 0, -127, 1], (
        f"output 1 is [0, 0, -254, 2]: expected q [0, 0, -127, 1], got {layer.q[1].tolist()}"
    )
    assert layer.q[0].tolist()[2:] == [1, 127], f"output 0 ends with [1, 127], got {layer.q[0].tolist()}"
    assert layer.num_bytes() == 8 + 8, (
        f"8 integers and 4 scales are 16 bytes, you keep {layer.num_bytes()}: a float copy?"
    )
    y = layer(torch.tensor([[0.0, 0.0, 1.0, 2.0]]))
    assert y is not None, "forward returned None: is there a return statement?"
    assert y.tolist() == [[255.0, -250.0]], f"1 * 1 + 2 * 127 = 255 and -254 + 2 * 2 = -250, you returned {y.tolist()}"
    try:
        GroupedInt8Linear(torch.ones(6, 2), 4)
    except ValueError as error:
        assert "4" in str(error), f"the message should hold the bad value 4: {error}"
    else:
        raise AssertionError("groups of 4 in 6 inputs were accepted: raise ValueError")


test_GroupedInt8Linear()


# %% hidden="GroupedInt8Linear" points=5
def hidden_GroupedInt8Linear():
    import numpy as np
    import torch

    rng = np.random.default_rng(136)
    for trial in range(10):
        num_groups, size, num_out = int(rng.integers(1, 5)), int(rng.integers(1, 9)), int(rng.integers(1, 7))
        num_in = num_groups * size
        w = rng.normal(size=(num_in, num_out)) * 10.0 ** rng.integers(-3, 3, (num_in, num_out))
        w[:size, 0] = 0
        weight = torch.from_numpy(w).to(torch.float32 if trial % 2 else torch.float64)
        kept = weight.clone()
        layer = GroupedInt8Linear(weight, size)
        case = f"[{num_in}, {num_out}] in groups of {size}"
        assert torch.equal(weight, kept), f"{case}: your layer changed the weight it was given"
        assert list(layer.q.shape) == [num_out, num_in], f"{case}: q has shape {list(layer.q.shape)}"
        assert list(layer.scales.shape) == [num_out, num_groups], (
            f"{case}: scales have shape {list(layer.scales.shape)}"
        )
        assert layer.q.dtype == torch.int8 and layer.scales.dtype == torch.float16, f"{case}: wrong dtypes"
        assert layer.num_bytes() == num_in * num_out + 2 * num_groups * num_out, (
            f"{case}: {layer.num_bytes()} bytes kept: int8 for each weight and float16 for each scale, and nothing else"
        )
        q, scales = layer.q.tolist(), layer.scales.tolist()
        back = np.zeros((num_in, num_out))
        for o in range(num_out):
            for g in range(num_groups):
                column = [float(weight[i, o]) for i in range(g * size, (g + 1) * size)]
                largest, s = max(map(abs, column)), scales[o][g]
                if largest == 0:
                    assert s == 1, f"{case}: a group of zeros has scale {s}, not 1"
                else:
                    # float16 keeps 11 bits, or steps of 6e-8 for the smallest
                    assert abs(s - largest / 127) <= 6e-4 * s + 6e-8, (
                        f"{case}: scale {s} for a largest weight {largest}"
                    )
                for i, value in enumerate(column):
                    step = q[o][g * size + i]
                    exact = min(max(value / s, -127), 127)
                    assert abs(step - exact) <= 0.5 + 1e-4, f"{case}: {value} with scale {s} became {step}"
                    back[g * size + i, o] = step * s
        for shape in ((num_in,), (3, num_in), (2, 3, num_in)):
            x = rng.normal(size=shape)
            y = layer(torch.from_numpy(x))
            assert y.dtype == torch.float64, f"{case}: x is float64, y is {y.dtype}"
            assert list(y.shape) == [*shape[:-1], num_out], f"{case}: x {list(shape)} gave y {list(y.shape)}"
            want = (x[..., :, None] * back).sum(-2)
            worst = float(np.abs(np.asarray(y) - want).max())
            assert worst <= 1e-9 * (1 + np.abs(want).max()), f"{case}: y differs from a plain sum by {worst:.1e}"
        assert layer.num_bytes() == num_in * num_out + 2 * num_groups * num_out, (
            f"{case}: {layer.num_bytes()} bytes kept after a forward pass, which must leave no float weight behind"
        )
        layer.q[:] = 0
        assert not layer(torch.ones(num_in, dtype=torch.float64)).any(), (
            f"{case}: q is all zeros now, and forward still multiplies with the old weight: it is kept somewhere"
        )
    tiny = GroupedInt8Linear(torch.tensor([[1e-5], [-1e-5]]), 2)
    assert tiny.q.tolist() in ([[127, -127]], [[84, -84]]), (
        f"1e-5 / 127 is below float16's steps: the integers must be clamped to 127, yours are {tiny.q.tolist()}"
    )
    ties = GroupedInt8Linear(torch.tensor([[127.0], [0.5], [1.5], [-2.5]]), 4)
    assert ties.q.tolist() == [[127, 0, 2, -2]], f"halves go to the even neighbour, got {ties.q.tolist()}"
    half = GroupedInt8Linear(torch.tensor([[127.0, 254.0], [-63.0, 2.0]], dtype=torch.bfloat16), 2)
    y = half(torch.tensor([[1.0, 2.0]], dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16, f"bfloat16 activations give bfloat16, you gave {y.dtype}"
    assert y.tolist() == [[1.0, 258.0]], f"127 - 126 = 1 and 254 + 4 = 258, you returned {y.tolist()}"
    given = torch.from_numpy(rng.normal(size=(64, 5))).bfloat16()
    assert torch.equal(GroupedInt8Linear(given, 32).q, GroupedInt8Linear(given.float(), 32).q), (
        "a bfloat16 weight gives other integers than the same weight in float32: compute in float32"
    )
    dense = rng.uniform(0.5, 1, (64, 16)).astype(np.float32)
    layer = GroupedInt8Linear(torch.from_numpy(dense), 32)
    q, scales = np.array(layer.q.tolist()), np.array(layer.scales.tolist())
    exact = np.clip(dense.T.reshape(16, 2, 32) / scales[..., None], -127, 127).reshape(16, 64)
    worst = float(np.abs(q - exact).max())
    assert worst <= 0.5 + 1e-4, f"an integer is {worst:.3f} steps off: divide by the scale as float16 keeps it"
    many = GroupedInt8Linear(torch.ones(128, 3))
    assert list(many.scales.shape) == [3, 2], f"128 inputs in groups of 64 by default: scales {list(many.scales.shape)}"
    for size in (0, -2, 3, 16):
        try:
            GroupedInt8Linear(torch.ones(8, 2), size)
        except ValueError as error:
            assert str(size) in str(error), f"the message should hold {size}: {error}"
            continue
        raise AssertionError(f"groups of {size} in 8 inputs were accepted")


hidden_GroupedInt8Linear()

# %% [markdown]
# ## Lab step 3: int8 weights
#
# First what fewer bytes can bring at all, by your `predicted_step_s`, on this device and on an H200 (NVIDIA's data sheet for the bandwidth; 1,156 kernels with gaps of 1.3 µs in a graph are an estimate until you have measured them). **At 135M parameters the answer for a GPU is: next to nothing.** Half of 56 µs is saved in a step of more than a millisecond. So why int8 here? Because the *quality* can be measured on a real model, and the next step shows where the speed is.

# %%
import itertools

from mini_engine.bench.quality import compare, hidden_of, read_windows, summarize
from mini_engine.quant.arrays import fake_quantize
from mini_engine.quant.modules import quantize_model


def with_linears(make):
    """A copy of the model with make(weight) instead of every linear layer but the head."""
    model = Llama(config, weights, device=device)
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Linear) and name != "lm_head":
                setattr(parent, name, make(child.weight))
    return model


def rounded(symmetric):
    """A layer whose weights went through 4 bits in groups of 32 and are float again."""
    return lambda w: Linear(torch.from_numpy(fake_quantize(w.cpu().numpy(), 4, 32, symmetric)).to(device))


def gain_of(before, after, *others):
    """How many times faster a step becomes that reads other bytes."""
    return predicted_step_s(before, *others) / predicted_step_s(after, *others)


half, eighth = 2 * parameter_count(SMOLLM2_135M), parameter_count(SMOLLM2_135M)
print(
    f"predicted for 135M, 16 to 8 bits: H200 {gain_of(half, eighth, 4.8e12, 1156, 0, 1.3e-6):.2f} times,",
    end=" ",
)
gain = gain_of(half, eighth, bandwidth, counts["recorded"], 0, graph_launch_s)
print(f"this device {gain:.2f} times faster, recorded")

int8_model = with_linears(lambda w: GroupedInt8Linear(w, 64 if is_real else 32))
linear_bytes = sum(m.num_bytes() for m in int8_model.modules() if isinstance(m, GroupedInt8Linear))
float_bytes = sum(m.weight.nbytes for m in exact.modules() if isinstance(m, Linear)) - exact.lm_head.weight.nbytes
print(f"linear layers: {float_bytes / 1e6:.1f} MB in float32, {linear_bytes / 1e6:.1f} MB in your int8")
for name, model in (("your layer", int8_model), ("the engine's int8", quantize_model(with_linears(Linear), "int8"))):
    seconds = measure(timed_step("cache", model), synchronize, time.perf_counter, 1, 3)
    rows.append(result_row(f"int8, {name}", seconds, bytes_read_per_token(model), bandwidth))
    print(f"{name}: {rows[-1]['median_ms']:.2f} ms per token; float {rows[1]['median_ms']:.2f}")

# the kernel and its knobs: outputs per program, inputs per step, warps per program
from mini_engine.bench.tuning import tune
from mini_engine.gpu import kernels

x = torch.randn(1, 4096, dtype=fast.dtype, device=device)
if reason := kernels.why_not_triton(x):
    print("tuning the kernel is left out:", reason)
else:
    turn = itertools.cycle([torch.randint(-127, 128, (11008, 4096), dtype=torch.int8, device=device) for _ in range(4)])
    scales = torch.rand(11008, 4096 // 64, device=device) / 127
    q = next(turn)
    error = check_logits(*(f(x.double(), q, scales).cpu() for f in (kernels.int8_linear, kernels.int8_reference)))
    print("kernel against float64:", error)
    for knobs, seconds in tune(lambda knobs: kernels.int8_linear(x, next(turn), scales, knobs), device)[1]:
        print(f"{knobs}: {1e6 * seconds:.1f} µs, {q.nbytes / seconds / 1e9:.0f} GB/s")

# %% [markdown]
# Your layer makes the float weight anew for every token, so it is slower than no quantization at all. It shows what a quantized layer computes; the kernel in the engine shows how to make it pay: integers become floats in registers, on the way from memory to the sum.
#
# Now the loss. KL divergence and top-1 agreement look at every position's whole prediction, perplexity at one probability in each. Two rows are there to be doubted. This checkpoint was *published* in Q4_1, 4 bits in groups of 32 with a minimum, and what you call its float weights are those 4 bits dequantized. So asymmetric int4 with groups of 32 finds the same grid again: its error is zero, and that proves nothing about 4 bits. And all errors here are against the dequantized weights; the full-precision model is not in this file. (`mini_engine.weights.load_safetensors` reads a full-precision checkpoint from a folder, if you have one.)

# %%
if is_real:
    windows = read_windows("persuasion.txt", tokenizer, 512)
else:
    windows = [[(7919 * i + 311) % config.vocab_size for i in range(64)]]
targets = torch.cat([torch.as_tensor(ids)[1:] for ids in windows])
on_cpu = Llama(config, weights) if is_gpu else exact
reference = hidden_of(on_cpu, windows)
recipes = {"int8, yours": None, "int4 g32 asymmetric": rounded(False), "int4 g32 symmetric": rounded(True)}
quality = []
for name, make in bar(recipes.items(), desc="quality"):
    model = (with_linears(make) if make else int8_model).cpu()
    model.device = torch.device("cpu")
    model.cos, model.sin = model.cos.cpu(), model.sin.cpu()
    hidden = hidden_of(model, windows)
    error = check_logits(model.lm_head(hidden[:128]).numpy(), on_cpu.lm_head(reference[:128]).numpy())
    row = summarize(*compare(reference, on_cpu.lm_head, hidden, model.lm_head, targets))
    quality.append({"name": name, "logit_error": error["relative_error"]} | row)
print(f"{len(targets)} predictions     logit error        KL   top-1   change of perplexity")
for row in quality:
    change = f"{row['change_percent']:+.2f}% ± {row['change_percent_se']:.2f}"
    print(f"{row['name']:20}{row['logit_error']:12.5f}{row['kl']:10.5f}{row['agreement']:8.1%}   {change}")

# %% [markdown]
# ## Lab step 4: where int8 must pay
#
# Fifty times the parameters, about as many kernels: a model of 7B is bandwidth-bound, and a byte saved is time saved. On a GPU the cell below builds a stack of Llama-2-7B's layers with random weights and times it in bf16, int8 and int4, beside the floor. On a CPU it times one matrix of that size, and prints what your `predicted_step_s` says of an H200.
#
# Beside it: what it costs to *verify* several tokens in one pass, which is what speculative decoding lives from. On a large GPU 32 rows cost as much as one, because the weights are read once. **On two CPU cores the curve is not flat**: the arithmetic of a few rows already takes longer than the reading.

# %%
from mini_engine.accounting import quantized_bytes
from mini_engine.config import LLAMA_2_7B

num_weights = parameter_count(LLAMA_2_7B)
for bits in (8, 4):
    gain = gain_of(2 * num_weights, quantized_bytes(num_weights, bits, 128), 4.8e12, 1232, 0, 1.3e-6)
    print(f"Llama-2-7B on an H200, bf16 to int{bits}: {gain:.2f} times faster, predicted")

if is_gpu:
    from mini_engine.bench.ceilings import measure_ceilings
    from mini_engine.bench.gpu_peers import stack
    from mini_engine.bench.gpu_report import part_lines

    print(
        *part_lines("stack", stack(LLAMA_2_7B, measure_ceilings(device), device, fast.dtype, num_rounds=20)), sep="\n"
    )

wide = (4096, 11008) if is_real else (64, 160)
lengths, num_matrices = (1, 2, 4, 8, 16, 32), 4 if is_gpu else 1


def verification_ms():
    """Milliseconds of one product for each number of rows; on a GPU the matrices take turns, so no cache helps."""
    matrices, found = [torch.randn(wide, dtype=fast.dtype, device=device) for _ in range(num_matrices)], []
    for num_rows in bar(lengths, desc="verification"):
        x = torch.randn(num_rows, wide[0], dtype=fast.dtype, device=device)
        found.append(1e3 / num_matrices * median_s(lambda x=x: [x @ w for w in matrices], 1, 5))
    return found


verify_ms = verification_ms()
floor_ms = 1e3 * wide[0] * wide[1] * fast.dtype.itemsize / bandwidth
fig, ax = figure()
ax.plot(lengths, verify_ms, "o-", label=f"one matrix {wide[0]} x {wide[1]}, measured")
ax.axhline(floor_ms, linestyle="--", color="C1", label="to read it once")
ax.set(xlabel="tokens verified in one pass", ylabel="time (ms)", ylim=(0, None))
ax.legend()
show(
    fig,
    alt="Time of a matrix product with 1 to 32 rows beside the time to read the matrix once: flat on a large GPU, "
    "rising on a CPU.",
)
print("ms:", [round(ms, 2) for ms in verify_ms], f"floor {floor_ms:.2f}")

# %% [markdown] task="ridge_batch" stars=2 minutes=20
# ## 6. The batch at which arithmetic takes over
#
# A batch reads the weights once for all of its sequences. So the arithmetic grows with the batch and the reading of weights does not, and from some batch size on it takes at least as long as the reading. But every sequence also has a *cache of its own* that must be read:
#
# $$\text{read}(B) = \frac{W + B\,K}{\text{bandwidth}}, \qquad \text{compute}(B) = \frac{B\,F}{\text{peak}}$$
#
# with $W$ bytes of weights, $K$ bytes of cache and $F$ FLOPs per sequence. Write `ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth)`: the smallest whole batch $B \ge 1$ at which compute takes **at least** as long as reading, an `int`. Where no batch reaches it, because each further sequence adds more reading than arithmetic, return `None`.
#
# Example: $F = 4$, $W = 60$, peak 100, bandwidth 10: without cache $B = 150$, since $150 \cdot 4 / 100 = 6 = 60 / 10$. With $K = 0.2$ it is 300. With $K = 0.4$ or more it is `None`.
#
# The last case is the usual one for the step *as a whole*: each sequence reads a cache of its own, and that reading outgrows all arithmetic. The matrix products, taken alone, still become compute-bound at their own ridge, the batch that you get with $K = 0$.
#
# <details><summary>Hint 1</summary>
#
# Set both times equal and solve for $B$. What is the sign of the denominator when there is no answer?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Multiply both sides by peak · bandwidth before you solve: whole numbers stay whole, and the ceiling `-(-a // b)` is exact. A float quotient of 149.99999999999997 or 150.00000000000003 is not.
#
# </details>


# %% solution="ridge_batch"
def ridge_batch(flops_per_token, weight_bytes, kv_bytes, peak_flops, bandwidth):
    """The smallest batch whose arithmetic takes at least as long as its reading, an int; None where none does.

    flops_per_token: of one sequence in one step. weight_bytes: read once per step. kv_bytes: cache per sequence.
    peak_flops, bandwidth: FLOP/s and bytes/s. Raises ValueError for numbers not above 0 (kv_bytes: below 0).
    """
    ### BEGIN SOLUTION
    if min(flops_per_token, weight_bytes, peak_flops, bandwidth) <= 0 or kv_bytes < 0:
        raise ValueError(f"{flops_per_token=}, {weight_bytes=}, {kv_bytes=}, {peak_flops=}, {bandwidth=} make no sense")
    gained = flops_per_token * bandwidth - kv_bytes * peak_flops
    if gained <= 0:
        return None
    return int(-(-weight_bytes * peak_flops // gained))
    ### END SOLUTION


# %% tryit="ridge_batch"
h200 = {"peak_flops": 989e12, "bandwidth": 4.8e12}  # NVIDIA's data sheet
for context in (0, 16, 48, 64, 1024):
    flops, kv = forward_flops(SMOLLM2_135M, 1, context), context * kv_bytes_per_token(SMOLLM2_135M)
    print(f"SmolLM2-135M in bf16 on an H200, {context:5} cached tokens: {ridge_batch(flops, 269_030_016, kv, **h200)}")


# %% test="ridge_batch" points=1
def test_ridge_batch():
    got = ridge_batch(4, 60, 0, 100, 10)
    assert got is not None, "without a cache there always is a ridge; did you forget to return?"
    assert got == 150, f"150 · 4 / 100 = 60 / 10: expected 150, got {got}"
    assert isinstance(got, int), f"a batch is a whole number of sequences, yours is a {type(got).__name__}"
    got = ridge_batch(64, 60, 2, 100, 10)
    assert got != 10, "10 leaves out the caches: every sequence reads its own"
    assert got == 14, f"B · 64 / 100 >= (60 + 2 B) / 10 first holds at 14 (8.96 >= 8.8; 13: 8.32 < 8.6), got {got}"
    assert ridge_batch(4, 60, 1, 100, 10) is None, (
        "a sequence adds 0.1 s of reading and 0.04 s of arithmetic: no batch gets there, return None"
    )
    try:
        ridge_batch(4, 60, 0, 0, 10)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("a peak of 0 was accepted: raise ValueError")


test_ridge_batch()


# %% hidden="ridge_batch" points=3
def hidden_ridge_batch():
    import numpy as np

    rng = np.random.default_rng(138)
    reached = 0
    for _ in range(200):
        flops, weights, kv = int(rng.integers(1, 200)), int(rng.integers(1, 100)), int(rng.integers(0, 60))
        peak, bandwidth = int(rng.integers(1, 30)), int(rng.integers(1, 20))
        # in whole numbers: B * F / peak >= (W + B * K) / bandwidth; beyond W * peak + 1 nothing new can happen
        holds = (b for b in range(1, weights * peak + 2) if b * flops * bandwidth >= (weights + b * kv) * peak)
        want = next(holds, None)
        got = ridge_batch(flops, weights, kv, peak, bandwidth)
        reached += want is not None
        assert got == want, f"F={flops}, W={weights}, K={kv}, peak={peak}, bandwidth={bandwidth}: {want}, you say {got}"
        assert got is None or isinstance(got, int), f"the batch is a {type(got).__name__}, not an int"
    assert 20 < reached < 180, "the random cases hold both kinds"
    assert ridge_batch(2, 2, 0, 153, 1) == 153, "2 FLOPs per 16-bit weight: the ridge batch is peak / bandwidth"
    assert ridge_batch(1000, 1, 0, 1, 1) == 1, "a batch is at least 1"
    assert ridge_batch(1, 5, 0, 3, 1) == 15, "B / 3 >= 5 from 15 on"
    assert ridge_batch(2, 10, 1, 4, 2) is None, "where reading and arithmetic grow alike the weights stay on top"
    got = ridge_batch(2.69e8, 2.69e8, 0, 989e12, 4.8e12)
    assert isinstance(got, int), f"floats in, and the batch is a {type(got).__name__}, not an int"
    assert ridge_batch(1, 50_000, 0, 300, 1) == 15_000_000, "a batch of 15 million is a batch too: solve, do not search"
    assert got == 207, f"floats as of a data sheet: 989 / 4.8 = 206.04, so 207; you say {got}"
    good = [4, 60, 0, 100, 10]
    for i, value in ((0, 0), (1, 0), (3, 0), (4, 0), (0, -7), (1, -7), (2, -0.5), (3, -7), (4, -7)):
        arguments = list(good)
        arguments[i] = value
        try:
            ridge_batch(*arguments)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold {value}: {error}"
            continue
        raise AssertionError(f"{arguments} was accepted")


hidden_ridge_batch()


# %% [markdown]
# ## Lab step 5: the batch
#
# One step of `batch` sequences with some cached tokens each, measured and predicted. Your `ridge_batch` says where the arithmetic would take over on this device, and what the caches make of that. **On an H200 expect** tokens per second to grow almost in proportion up to a batch of a hundred and more; on a CPU the ridge comes within a few sequences.

# %%
from mini_engine.quant.caches import Int8KVCache

context = 64 if is_real else 16
kv_bytes = context * kv_bytes_per_token(config, fast.dtype.itemsize)
flops = forward_flops(config, 1, context)
for label, cached in (("weights alone", 0), (f"with {context} cached tokens", kv_bytes)):
    print(f"ridge batch of this device, {label}: {ridge_batch(flops, step_bytes, cached, peak_flops, bandwidth)}")


def batch_step(batch):
    cache = fast.new_cache(context + 1, batch)
    cache.k.normal_()
    cache.v.normal_()  # the speed does not depend on what is in the cache
    cache.length = context
    tokens = torch.zeros(batch, 1, dtype=torch.long, device=device)

    def step():
        fast.lm_head(fast.hidden_states(tokens, cache)[:, -1])
        cache.truncate(context)

    return step


sweep = []
batches = (1, 2, 4, 8, 16, 32, 64, 128, 256) if is_gpu else (1, 2, 4, 8, 16, 32, 64)
for batch in bar(batches, desc="batches"):
    seconds = measure(batch_step(batch), synchronize, time.perf_counter, 1, 5)
    total = bytes_read_per_token(fast) + batch * kv_bytes
    row = result_row(f"batch {batch}", seconds, total, bandwidth, batch)
    starts = (launch_s, 0.0) if is_gpu else (0.0, launch_s)
    predicted = max(predicted_step_s(total, bandwidth, counts["cache"], *starts), batch * flops / peak_flops)
    sweep.append(row | {"batch": batch, "predicted_ms": 1e3 * predicted})
    rows.append(sweep[-1])
fig, axes = figure(1, 2, size=(8, 3.6))
axes[0].loglog(batches, [row["tokens_per_s"] for row in sweep], "o-", label="measured")
axes[0].loglog(batches, [1e3 * row["batch"] / row["predicted_ms"] for row in sweep], "--", label="predicted")
axes[0].set(xlabel="batch (sequences)", ylabel="tokens per second")
axes[1].loglog(batches, [row["median_ms"] for row in sweep], "o-", label="measured")
axes[1].loglog(batches, [row["floor_ms"] for row in sweep], ":", label="to read weights and caches")
axes[1].set(xlabel="batch (sequences)", ylabel="time per step (ms)")
for ax in axes:
    ax.legend()
show(
    fig,
    alt="Left: tokens per second against the batch, measured and predicted, both rising and then bending. Right: the "
    "time of a step beside the floor of its bytes.",
)
print("tokens/s:", {row["batch"]: round(row["tokens_per_s"]) for row in sweep})

# one step further: the caches in int8. What they hold is halved or better; what the logits lose is small
ids = torch.tensor([windows[0][:64]])
plain, small = on_cpu.new_cache(64), Int8KVCache(config, 64)
error = check_logits(on_cpu(ids, small)[0].numpy(), on_cpu(ids, plain)[0].numpy())["relative_error"]
print(
    f"KV cache of 64 tokens: {plain.num_bytes:,} bytes in float32, {small.num_bytes:,} in int8; logits off by {error:.1%}"
)

# %% [markdown]
# ## Kernels of your own
#
# From here on you write what runs on the GPU itself, in WGSL, the language of WebGPU: the same text runs on every vendor's GPU, in a browser, and on a CPU that pretends to be one (on Debian: `pip install wgpu` and the package mesa-vulkan-drivers). What you need of it:
#
# - A *kernel* is the function `main`, run by many *invocations* at once. They come in *workgroups* of 64 here, `@workgroup_size(64)`. An invocation learns who it is from its arguments: `@builtin(workgroup_id) group: vec3<u32>`, `@builtin(local_invocation_id) local: vec3<u32>` (`local.x` from 0 to 63), `@builtin(global_invocation_id) id: vec3<u32>` (`id.x` is `64 * group.x + local.x`).
# - Arrays of the host are *storage* buffers, and declarations give them names. Those lines are written for you: `KERNELS["int8_product"]` and its like are put behind your text. Print one.
# - `var<workgroup> part: array<f32, 64>;` outside of a function is memory that the 64 invocations of one workgroup share. They do not run in step: `workgroupBarrier()` waits until all 64 have come there, and what was written before it can be read behind it.
# - `let` names a value, `var` a variable; `u32`, `i32`, `f32` are never mixed, `f32(n)` converts; `1u` and `1.0` are a `u32` and an `f32`. `for (var i = 0u; i < n; i += 1u) { … }`.
#
# Your function returns the text. Checks run it by `run_kernel`, in several sizes, and look at numbers. On a software device the invocations of a workgroup run eight or so at a time, one batch after the other up to the next barrier, so that a missing barrier shows there every time; on your GPU it may show once in a thousand runs.

# %% [markdown] task="int8_product" stars=2 minutes=25
# ## 7. The int8 product
#
# A decode step is a row of products of a matrix and a vector, and its time is the reading of the matrices. In int8 they are a quarter of float32, but WGSL has no byte: a word of 32 bits, `u32`, holds **four weights**, the first in its lowest eight bits, each from −128 to 127 in two's complement.
#
# Write `int8_product()`, which returns the text of a kernel that computes for every row
#
# $$y_r = s_r \sum_{c} w_{r,c}\, x_c.$$
#
# One invocation computes one row, row `id.x`. `@workgroup_size(64)`; as many workgroups are started as the rows need, so in the last one some invocations have no row, and those write nothing. `KERNELS["int8_product"]` declares:
#
# | name | what |
# |---|---|
# | `words` | `array<u32>`, row after row, `size.words` words each |
# | `scales` | `array<f32>`, one per row |
# | `x` | `array<f32>`, 4 · `size.words` numbers; it may be longer |
# | `y` | `array<f32>`, the output; it may be longer than `size.rows`, and what lies behind stays |
# | `size` | `size.rows` and `size.words`, `u32` |
#
# Example: the word `0xFC030201` holds 1, 2, 3, −4. With x = (1, 10, 100, 1000) and a scale of 0.5 its row gives 0.5 · (1 + 20 + 300 − 4000) = −1839.5.
#
# <details><summary>Hint 1</summary>
#
# The largest byte, 0xFF, is −1 and not 255. What fills the upper bits when an `i32` is shifted to the right?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `extractBits(i32(word), offset, 8u)` takes eight bits and keeps their sign. Two loops: over the words of the row, and over the four offsets 0, 8, 16, 24. The scale is the same for the whole row.
#
# </details>


# %% solution="int8_product"
def int8_product():
    """WGSL text: y[r] = scales[r] * sum of weights[r, c] * x[c], one invocation per row, four int8 weights a word."""
    ### BEGIN SOLUTION
    return """
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let row = id.x;
  if (row >= size.rows) { return; }
  var sum = 0.0;
  for (var i = 0u; i < size.words; i += 1u) {
    let word = i32(words[row * size.words + i]);
    for (var k = 0u; k < 4u; k += 1u) {
      sum += f32(extractBits(word, 8u * k, 8u)) * x[4u * i + k];
    }
  }
  y[row] = sum * scales[row];
}
"""
    ### END SOLUTION


# %% tryit="int8_product"
one_row = [np.array([0xFC030201], np.uint32), np.array([0.5], np.float32), np.array([1, 10, 100, 1000], np.float32)]
print(run_kernel("int8_product", int8_product(), one_row, np.zeros(1, np.float32), 1, [1, 1]))


# %% test="int8_product" points=1
def test_int8_product():
    import numpy as np

    weights = np.array([[1, 2, 3, -4], [-128, 0, 0, 127]], np.int8)
    scales, x = np.array([0.5, 2], np.float32), np.array([1, 10, 100, 1000], np.float32)
    start = np.full(4, -7, np.float32)
    got = run_kernel("int8_product", int8_product(), [weights.view(np.uint32), scales, x], start, 1, [2, 1])
    assert got[0] != -7, "nothing was written to y[0]: write y[row]"
    assert abs(got[0] - 613) > 1e-2, "613 reads the bytes from the highest to the lowest: the first weight is lowest"
    assert abs(got[0] + 3679) > 1e-2, "-3679 is without the scale of the row, 0.5"
    assert abs(got[0] - 126160.5) > 1, "126160.5 takes the byte 0xFC for 252: it is -4"
    assert abs(got[0] + 1839.5) < 1e-2, f"the row of 1, 2, 3, -4 gives -1839.5, you wrote {got[0]}"
    assert abs(got[1] - 253744) < 1, f"the row of -128, 0, 0, 127 with scale 2 gives 253744, you wrote {got[1]}"
    assert list(got[2:]) == [-7, -7], "y was written behind the last row: an invocation without a row returns"


test_int8_product()


# %% hidden="int8_product" points=3
def hidden_int8_product():
    import numpy as np

    rng = np.random.default_rng(141)
    text = int8_product()
    for rows, words in ((1, 1), (3, 2), (64, 16), (65, 1), (70, 9), (200, 33), (2, 300)):
        weights = rng.integers(-128, 128, (rows, 4 * words)).astype(np.int8)
        weights.flat[: min(4, weights.size)] = [-128, 127, -1, 0][: min(4, weights.size)]
        scales = rng.uniform(0.001, 3, rows).astype(np.float32)
        x = rng.normal(size=4 * words).astype(np.float32)
        # a row more of weights and some numbers more of x than the kernel may look at
        given = [
            np.vstack([weights, weights[:1] | 1]).view(np.uint32),
            scales,
            np.append(x, np.full(8, 1e3, np.float32)),
        ]
        start = np.full(rows + 3, -7, np.float32)
        got = run_kernel("int8_product", text, given, start, -(-rows // 64), [rows, words])
        terms = weights.astype(np.float64) * x.astype(np.float64)
        # float32 sums in any order stay within a few roundings of their terms' magnitudes
        room = 1e-5 * (1 + np.abs(terms).sum(axis=1)) * scales
        wrong = np.flatnonzero(~(np.abs(got[:rows] - terms.sum(axis=1) * scales) <= room))
        assert not len(wrong), f"{rows} rows of {words} words: {len(wrong)} rows are wrong, the first is row {wrong[0]}"
        assert list(got[rows:]) == [-7] * 3, f"{rows} rows: y was written behind the last row"


hidden_int8_product()

# %% [markdown] task="rms_norm_kernel" stars=3 minutes=30
# ## 8. A sum that 64 invocations make together
#
# The norm before every product needs the mean of the squares of a whole row:
#
# $$y_i = \frac{x_i\, w_i}{\sqrt{\frac{1}{n} \sum_j x_j^2 + \varepsilon}}.$$
#
# One invocation alone would read the row while 63 wait. Together they take turns over the features, each adds up its own squares, and then the 64 sums become one by a *tree*: 32 invocations each add the sum of the invocation 32 further on to their own, then 16 do, 8, 4, 2, 1. The sums lie in memory of the workgroup, and between two steps of the tree stands a barrier.
#
# Write `rms_norm_kernel()`, which returns the text of that kernel: **one workgroup of 64 for each row**, row `group.x`; the sum over the row is made in `var<workgroup>` memory. The number of features is any from 1 on, not always a multiple of 64. `KERNELS["rms_norm"]` declares:
#
# | name | what |
# |---|---|
# | `x` | `array<f32>`, row after row, `size.features` numbers each |
# | `weight` | `array<f32>`, one per feature |
# | `y` | `array<f32>`, the output, laid out as `x`; what lies behind the last row stays |
# | `size` | `size.rows` and `size.features`, `u32`; `size.eps`, `f32` |
#
# Example: the row (3, 4) with weights (1, 2) and ε = 0 has the mean 12.5 and gives (0.849, 2.263).
#
# No barrier may stand in an `if`, since all 64 must come to it; a loop that all run equally often is fine. It has to be a `workgroupBarrier()`: a `storageBarrier()` orders storage buffers only.
#
# <details><summary>Hint 1</summary>
#
# Three parts: own sum, tree, output. Where is something written that another invocation reads next? There is a barrier.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Invocation `local.x` takes features `local.x`, `local.x + 64`, … in both loops over the row. The tree: `for (var half = 32u; half > 0u; half /= 2u)`, inside it an `if (local.x < half)` with the addition, and after the `if` a barrier. The sum then stands at index 0.
#
# </details>


# %% solution="rms_norm_kernel"
def rms_norm_kernel():
    """WGSL text: RMSNorm of each row by one workgroup of 64 invocations, the sum of squares made in workgroup memory."""
    ### BEGIN SOLUTION
    return """
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) local: vec3<u32>) {
  let start = group.x * size.features;
  var sum = 0.0;
  for (var i = local.x; i < size.features; i += 64u) {
    sum += x[start + i] * x[start + i];
  }
  part[local.x] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (local.x < half) { part[local.x] += part[local.x + half]; }
    workgroupBarrier();
  }
  let scale = inverseSqrt(part[0] / f32(size.features) + size.eps);
  for (var i = local.x; i < size.features; i += 64u) {
    y[start + i] = x[start + i] * scale * weight[i];
  }
}
"""
    ### END SOLUTION


# %% tryit="rms_norm_kernel"
two = [np.array([3, 4], np.float32), np.array([1, 2], np.float32)]
print(run_kernel("rms_norm", rms_norm_kernel(), two, np.zeros(2, np.float32), 1, [1, 2, 0.0]))


# %% test="rms_norm_kernel" points=1
def test_rms_norm_kernel():
    import numpy as np

    text = rms_norm_kernel()
    row, weight = np.array([3, 4], np.float32), np.array([1, 2], np.float32)
    got = run_kernel("rms_norm", text, [row, weight], np.full(3, -7, np.float32), 1, [1, 2, 0.0])
    assert abs(got[0] - 0.6) > 1e-3, "0.6 divides by the root of the sum, 5: take the mean of the squares"
    assert abs(got[1] - 1.131) > 1e-3, "1.131 is without the weight of the feature, 2"
    assert np.allclose(got[:2], [0.8485281, 2.2627418], atol=1e-4), f"(3, 4) gives (0.849, 2.263), you wrote {got[:2]}"
    assert got[2] == -7, "y was written behind the last row"
    got = run_kernel("rms_norm", text, [row, weight], np.full(2, -7, np.float32), 1, [1, 2, 3.5])
    assert np.allclose(got, [0.75, 2], atol=1e-4), f"with eps = 3.5 the root is 4: (0.75, 2), you wrote {got}"
    ones = np.ones(64, np.float32)
    got = run_kernel("rms_norm", text, [2 * ones, ones], np.full(64, -7, np.float32), 1, [1, 64, 0.0])
    assert np.allclose(got, 1, atol=1e-4), (
        "a row of 64 equal numbers gives ones: is every sum in the tree, with a barrier before and within the tree?"
    )
    assert "var<workgroup>" in text.replace(" ", ""), "the sum is made together, in var<workgroup> memory"


test_rms_norm_kernel()


# %% hidden="rms_norm_kernel" points=3
def hidden_rms_norm_kernel():
    import numpy as np

    rng = np.random.default_rng(142)
    text = rms_norm_kernel()
    for rows, features, eps, scale in (
        (1, 1, 1e-5, 1.0),
        (3, 5, 1e-5, 0.01),
        (2, 64, 1e-6, 1.0),
        (4, 65, 1e-5, 100.0),
        (2, 130, 2.0, 1.0),
        (5, 576, 1e-5, 3.0),
    ):
        x = (scale * rng.normal(size=(rows, features))).astype(np.float32)
        weight = rng.uniform(-2, 2, features).astype(np.float32)
        start = np.full(rows * features + 3, -7, np.float32)
        got = run_kernel("rms_norm", text, [x, weight], start, rows, [rows, features, eps])
        mean = np.square(x.astype(np.float64)).mean(axis=1, keepdims=True)
        want = x / np.sqrt(mean + eps) * weight
        wrong = np.abs(got[:-3].reshape(rows, features) - want).max(axis=1)
        # float32: a sum of some hundred squares, a root and two products
        assert np.all(wrong <= 1e-4), f"{rows} rows of {features} features, eps {eps}: off by {wrong.tolist()}"
        assert list(got[-3:]) == [-7] * 3, f"{rows} rows of {features}: y was written behind the last row"


hidden_rms_norm_kernel()

# %% [markdown] task="fold_and_join" stars=3 minutes=35
# ## 9. Softmax-attention in one pass
#
# Attention weighs the values of the cache by the softmax of their scores. The softmax wants the largest score first, and by the time you know it you have passed all tokens: that would be two passes over the cache. One is enough if what you have summed so far can be *rescaled* whenever a larger score comes (Milakov and Gimelshein 2018, "Online normalizer calculation for softmax"; FlashAttention rests on it).
#
# `KERNELS["attention"]` holds the whole kernel but for two functions. A workgroup computes one head of one query; each invocation keeps one feature of the output in a
#
# `struct State { most: f32, sum: f32, acc: f32 }`
#
# with the largest score so far $m$, $\sum e^{s - m}$, and $\sum e^{s - m} v$. Before the first token it is `State(-3.0e38, 0.0, 0.0)`. The kernel goes through the first half of the tokens and through the second, each with a state of its own, as if they were two workgroups; of one token the first half is empty. At the end it writes `acc / sum`.
#
# Write `fold_and_join()`, which returns the text of these two functions:
#
# - `fn fold(state: State, score: f32, value: f32) -> State`: the state after one more token with this score and this value.
# - `fn join(a: State, b: State) -> State`: the state after the tokens of both.
#
# Scores of 10,000 and of −10,000 must come out as well as small ones: `exp` of a positive number never occurs.
#
# Example: after scores 0 and ln 3 with values 4 and 8 the state is $m = \ln 3$, sum $\tfrac13 + 1$, acc $\tfrac43 + 8$: the output is 7, a quarter of 4 and three quarters of 8.
#
# <details><summary>Hint 1</summary>
#
# A sum of $e^{s - m}$ becomes a sum of $e^{s - m'}$ by one factor, the same for all its terms. Which one? What is it when $m$ stays the largest?
#
# </details>
# <details><summary>Hint 2</summary>
#
# New `most` first, by `max`. What was summed is multiplied by `exp(old - new)`, both `sum` and `acc`; the new token has the weight `exp(score - new)`. To join, both sides are rescaled to the larger of the two. `return State(most, sum, acc);`
#
# </details>


# %% solution="fold_and_join"
def fold_and_join():
    """WGSL text of `fold(state, score, value) -> State` and `join(a, b) -> State`: softmax with a running maximum."""
    ### BEGIN SOLUTION
    return """
fn fold(state: State, score: f32, value: f32) -> State {
  let most = max(state.most, score);
  let keep = exp(state.most - most);
  let share = exp(score - most);
  return State(most, state.sum * keep + share, state.acc * keep + share * value);
}

fn join(a: State, b: State) -> State {
  let most = max(a.most, b.most);
  let keep_a = exp(a.most - most);
  let keep_b = exp(b.most - most);
  return State(most, a.sum * keep_a + b.sum * keep_b, a.acc * keep_a + b.acc * keep_b);
}
"""
    ### END SOLUTION


# %% tryit="fold_and_join"
tiny = [np.array(a, np.float32) for a in ([1.0], [0.0, math.log(3)], [4.0, 8.0])]
print(run_kernel("attention", fold_and_join(), tiny, np.zeros(1, np.float32), 1, [1, 1, 2, 1]))


# %% test="fold_and_join" points=2
def test_fold_and_join():
    import numpy as np

    text = fold_and_join()

    def attend(scores, values):
        given = [np.array(a, np.float32) for a in ([1], scores, values)]
        return float(run_kernel("attention", text, given, np.full(1, -7, np.float32), 1, [1, 1, len(scores), 1])[0])

    got = attend([0.5], [4])
    assert abs(got - 4) < 1e-4, f"one token with value 4 gives 4, you wrote {got}: the first half is an empty state"
    log3 = float(np.log(3))
    got = attend([0, log3], [4, 8])
    assert abs(got - 6) > 1e-3, "6 gives both tokens the same weight: join must rescale both sides to the larger score"
    assert abs(got - 7) < 1e-4, f"scores 0 and ln 3, values 4 and 8 give 7, you wrote {got}"
    got = attend([log3, 0], [4, 8])
    assert abs(got - 5) < 1e-4, (
        f"scores ln 3 and 0, values 4 and 8 give 5, you wrote {got}: the larger score comes first"
    )
    got = attend([0, log3, 0, log3], [4, 8, 4, 8])
    assert abs(got - 7) < 1e-4, (
        f"two rising scores in each half give 7, you wrote {got}: does fold rescale sum and acc?"
    )
    got = attend([200, 201, 200, 201], [4, 8, 4, 8])
    assert np.isfinite(got), f"scores of 200 give {got}: exp(200) is too large for float32, subtract the maximum first"


test_fold_and_join()


# %% hidden="fold_and_join" points=4
def hidden_fold_and_join():
    import numpy as np

    rng = np.random.default_rng(143)
    text = fold_and_join()
    for heads, kv_heads, tokens, features, size in (
        (1, 1, 1, 3, 1.0),
        (2, 1, 2, 4, 1.0),
        (4, 2, 3, 8, 1.0),
        (9, 3, 50, 64, 1.0),
        (3, 3, 17, 40, 1000.0),
        (2, 2, 40, 16, 0.0),
    ):
        q = (size * rng.normal(size=(heads, features))).astype(np.float32)
        keys, values = rng.normal(size=(2, kv_heads, tokens, features)).astype(np.float32)
        for order in ("drawn", "rising", "falling"):
            if order != "drawn":  # by the scores of the first head
                ranks = np.argsort(keys[0] @ q[0]) if order == "rising" else np.argsort(-(keys[0] @ q[0]))
                keys, values = np.ascontiguousarray(keys[:, ranks]), np.ascontiguousarray(values[:, ranks])
            got = run_kernel(
                "attention",
                text,
                [q, keys, values],
                np.full(q.size, -7, np.float32),
                heads,
                [heads, kv_heads, tokens, features],
            ).reshape(q.shape)
            for head in range(heads):
                kv = head // (heads // kv_heads)
                scores = keys[kv].astype(np.float64) @ q[head] / np.sqrt(features)
                shares = np.exp(scores - scores.max())
                want = shares @ values[kv] / shares.sum()
                # float32 scores of some thousands are off by 1e-3, and so are the weights
                room = 1e-4 if size < 10 else 2e-2
                error = np.abs(got[head] - want).max()
                assert error <= room, (
                    f"{heads} heads over {kv_heads}, {tokens} tokens, {features} features, {order} scores: off by {error}"
                )
    far = [np.array(a, np.float32) for a in ([1], [-1e4, -1e4 - 1, -1e4], [1, 2, 3])]
    got = run_kernel("attention", text, far, np.full(1, -7, np.float32), 1, [1, 1, 3, 1])[0]
    share = np.exp(-1.0)
    assert abs(got - (4 + 2 * share) / (2 + share)) < 1e-3, (
        "scores near -10000: where the maximum is taken for 0, all weights vanish"
    )


hidden_fold_and_join()

# %% [markdown] task="mended_softmax" stars=2 minutes=25
# ## 10. The missing barrier
#
# `RACY_SOFTMAX` (print it; it stands in the first code cell too) is a kernel that should compute the softmax of each row, $y_i = e^{x_i - m} / \sum_j e^{x_j - m}$ with the row's maximum $m$. One workgroup of 64 takes a row; by one tree in `part` it finds the maximum, by a second tree in the same `part` the sum. Its text compiles, and the arithmetic is right. But **a barrier is missing**: one invocation can write to a place of `part` that another has yet to read. On a GPU it may give right numbers a thousand times, and then, on another GPU or under load, wrong ones.
#
# Find the place. Write `mended_softmax()`, which returns the text with the race mended: the same rows, columns and arrays. `KERNELS["softmax"]` declares `x` and `y` (`array<f32>`, row after row) and `size` (`size.rows`, `size.columns`, `u32`).
#
# How to look for a race: between two barriers take every place of `part` that is written there. Who else reads or writes this place between the same two barriers? An invocation may be far ahead of another, but never past a barrier that the other has not reached.
#
# The checks run 64 invocations in turns on a software device, where this race shows in every row of more than a few columns. They also look whether a barrier stands in an `if`, or in a loop that some run more often than others (all 64 must come to it equally often), and a `storageBarrier()` is none for `part`: it orders storage buffers.
#
# <details><summary>Hint 1</summary>
#
# Within a tree all is well. What happens between the end of the first tree and the first write of the second?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Every invocation reads the maximum at index 0. Invocation 0 also writes index 0, a few lines further down. What if it gets there before invocation 63 has read?
#
# </details>


# %% solution="mended_softmax"
def mended_softmax():
    """WGSL text: RACY_SOFTMAX without its race."""
    ### BEGIN SOLUTION
    return """
var<workgroup> part: array<f32, 64>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>,
        @builtin(local_invocation_id) local: vec3<u32>) {
  let lane = local.x;
  let start = group.x * size.columns;
  var most = -3.0e38;
  for (var i = lane; i < size.columns; i += 64u) {
    most = max(most, x[start + i]);
  }
  part[lane] = most;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] = max(part[lane], part[lane + half]); }
    workgroupBarrier();
  }
  most = part[0];
  workgroupBarrier();
  var sum = 0.0;
  for (var i = lane; i < size.columns; i += 64u) {
    sum += exp(x[start + i] - most);
  }
  part[lane] = sum;
  workgroupBarrier();
  for (var half = 32u; half > 0u; half /= 2u) {
    if (lane < half) { part[lane] += part[lane + half]; }
    workgroupBarrier();
  }
  for (var i = lane; i < size.columns; i += 64u) {
    y[start + i] = exp(x[start + i] - most) / part[0];
  }
}
"""
    ### END SOLUTION


# %% tryit="mended_softmax"
row = np.linspace(-3, 3, 64, dtype=np.float32)
for title, text in (("as it was", RACY_SOFTMAX), ("mended", mended_softmax())):
    y = run_kernel("softmax", text, [row], np.zeros(64, np.float32), 1, [1, 64])
    print(f"{title}: largest error {abs(y - np.exp(row) / np.exp(row).sum()).max():.1e}")


# %% test="mended_softmax" points=1
def test_mended_softmax():
    import numpy as np

    text = mended_softmax()
    assert isinstance(text, str), f"return the text of the kernel, not a {type(text).__name__}"
    assert words_of(text) != words_of(RACY_SOFTMAX), "this is RACY_SOFTMAX as it was"
    x = np.linspace(-3, 3, 64, dtype=np.float32)
    got = run_kernel("softmax", text, [x], np.full(66, -7, np.float32), 1, [1, 64])
    want = np.exp(x) / np.exp(x).sum()
    error = np.abs(got[:64] - want).max()
    assert error < 1e-6, f"a row of 64 from -3 to 3: the largest error is {error:.1e}, the race is still there"
    assert list(got[64:]) == [-7, -7], "y was written behind the last row"


test_mended_softmax()


# %% hidden="mended_softmax" points=3
def hidden_mended_softmax():
    import numpy as np

    rng = np.random.default_rng(144)
    text = mended_softmax()
    assert words_of(text) != words_of(RACY_SOFTMAX), "this is RACY_SOFTMAX as it was"
    cases = []
    for rows, columns, shift in ((1, 1, 0), (3, 5, 0), (2, 64, 300), (4, 65, -300), (5, 150, 0), (3, 576, 0)):
        x = (3 * rng.normal(size=(rows, columns)) + shift).astype(np.float32)
        cases += [("drawn", x), ("rising", np.sort(x)), ("falling", np.ascontiguousarray(np.sort(x)[:, ::-1]))]
    for columns in (64, 150):  # one number far above the others, in each row at another place
        cases.append(("one peak a row", (np.eye(columns) * 400 - 300 + rng.normal(size=columns)).astype(np.float32)))
    for case, x in cases:
        (rows, columns), start = x.shape, np.full(x.size + 3, -7, np.float32)
        got = run_kernel("softmax", text, [x], start, rows, [rows, columns])
        exact = np.exp(x.astype(np.float64) - x.max(axis=1, keepdims=True))
        error = np.abs(got[:-3].reshape(x.shape) - exact / exact.sum(axis=1, keepdims=True)).max()
        # float32: numbers up to 1, sums of at most some hundred terms
        assert error <= 1e-5, f"{rows} rows of {columns} columns, {case}: off by {error}"
        assert list(got[-3:]) == [-7] * 3, f"{rows} rows of {columns}: y was written behind the last row"


hidden_mended_softmax()

# %% [markdown] task="step_traffic" stars=1 minutes=20
# ## 11. The bytes and the launches of a step
#
# What can a decode step with such kernels reach? That is decided before the first one is tuned: by the bytes it must read, and by how many kernels it starts. The engine's step on WebGPU (`mini_engine/gpu/webgpu`) has every matrix in int8, one float32 scale for each output, and all else in float32:
#
# | kernel | how often | reads |
# |---|---|---|
# | embedding row | once | one row of the embedding, `hidden_size` numbers in float32 |
# | RMSNorm | 2 a layer, 1 before the head | its weights, `hidden_size` numbers |
# | product | 4 a layer: q, k and v in one; o; gate and up in one; down | matrices of `outputs × inputs` bytes, and `outputs` scales |
# | RoPE | 1 a layer, for queries and keys | – |
# | attention | 1 a layer | keys and values of `context` positions |
# | SwiGLU | 1 a layer | – |
# | head | once | as a product with `vocab_size` outputs, tied to the embedding or not |
# | argmax | once | – |
#
# The products o and down add to the residual themselves. Vectors that go from one kernel to the next are left out: they are small. Write `step_traffic(config, context)`: a dict of ints with `"launches"`, the number of kernels; `"weight_bytes"`, read of embedding row, norms, matrices and scales; and `"kv_bytes"`, read of the cache. `context` counts the positions that attention reads, the new token's among them. The results of q, and the inputs of o, are `num_attention_heads * head_dim` numbers; k and v have `num_key_value_heads * head_dim`.
#
# Example: SmolLM2-135M starts 274 kernels, and reads 135,441,408 bytes of weights and 46,080 bytes of cache per position.
#
# <details><summary>Hint 1</summary>
#
# Write down (outputs, inputs) of the seven matrices first. One of them has the intermediate size as its inputs. Two matrices in one product are read like two.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A matrix and its scales are `outputs * (inputs + 4)` bytes. A norm reads `4 * hidden_size`. K **and** V, each `num_key_value_heads * head_dim` numbers of 4 bytes a position, in every layer.
#
# </details>


# %% solution="step_traffic"
def step_traffic(config, context):
    """{"launches", "weight_bytes", "kv_bytes"} of one decode step with int8 matrices, ints.

    config: a ModelConfig. context: cached positions that attention reads, the new one among them.
    Raises ValueError for a context below 1.
    """
    ### BEGIN SOLUTION
    if context < 1:
        raise ValueError(f"a step attends to one position at least, context is {context}")
    d, ff, layers = config.hidden_size, config.intermediate_size, config.num_hidden_layers
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    matrices = [(q, d), (kv, d), (kv, d), (d, q), (ff, d), (ff, d), (d, ff)]
    layer = sum(outputs * (inputs + 4) for outputs, inputs in matrices) + 2 * 4 * d
    head = config.vocab_size * (d + 4)
    return {
        "launches": 9 * layers + 4,
        "weight_bytes": 4 * d + layers * layer + 4 * d + head,
        "kv_bytes": layers * 2 * kv * 4 * context,
    }
    ### END SOLUTION


# %% tryit="step_traffic"
traffic = step_traffic(SMOLLM2_135M, 1024)
reading_ms = 1e3 * (traffic["weight_bytes"] + traffic["kv_bytes"]) / 100e9
print(traffic, f"at 100 GB/s {reading_ms:.2f} ms of reading; at 2 µs a launch {2e-3 * traffic['launches']:.2f} ms")


# %% test="step_traffic" points=1
def test_step_traffic():
    from mini_engine.config import SMOLLM2_135M

    got = step_traffic(SMOLLM2_135M, 1)
    assert got is not None, "step_traffic returned None: is there a return statement?"
    missing = {"launches", "weight_bytes", "kv_bytes"} ^ set(got)
    assert not missing, f"missing or unknown keys: {sorted(missing)}"
    assert got["launches"] != 270, "270 are the layers' alone: embedding row, last norm, head and argmax are four more"
    assert got["launches"] == 274, f"30 layers of 9 kernels and 4 more are 274, you counted {got['launches']}"
    assert got["kv_bytes"] != 23040, "23,040 bytes is K or V alone, or 2 bytes a number: both are read, in float32"
    assert got["kv_bytes"] == 46080, f"a position of the cache is 46,080 bytes, you returned {got['kv_bytes']}"
    assert got["weight_bytes"] != 134622720, "134,622,720 is without the scales: 4 bytes for each output"
    assert got["weight_bytes"] == 135441408, f"the weights are 135,441,408 bytes, you returned {got['weight_bytes']}"
    try:
        step_traffic(SMOLLM2_135M, 0)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("a context of 0 was accepted: raise ValueError")


test_step_traffic()


# %% hidden="step_traffic" points=2
def hidden_step_traffic():
    import numpy as np

    from mini_engine.config import ModelConfig

    rng = np.random.default_rng(145)
    for tied in (True, False) * 4:
        kv_heads, group, head_dim = (int(n) for n in rng.integers(1, 6, 3))
        d, ff, layers, vocab, context = (int(n) for n in rng.integers(1, 50, 5))
        config = ModelConfig(
            name="drawn",
            vocab_size=vocab,
            hidden_size=d,
            intermediate_size=ff,
            num_hidden_layers=layers,
            num_attention_heads=kv_heads * group,
            num_key_value_heads=kv_heads,
            head_dim=2 * head_dim,
            tie_word_embeddings=tied,
        )
        q, kv = config.num_attention_heads * 2 * head_dim, kv_heads * 2 * head_dim
        read, kv_bytes = [4 * d], 0  # by each kernel, the first is the embedding row's
        for _ in range(layers):
            read += [4 * d, (q + kv + kv) * d + 4 * (q + kv + kv), 0, 0, d * q + 4 * d]
            read += [4 * d, 2 * ff * d + 4 * 2 * ff, 0, d * ff + 4 * d]
            kv_bytes += 2 * kv * context * 4
        read += [4 * d, vocab * d + 4 * vocab, 0]
        launches, weight_bytes = len(read), sum(read)
        got = step_traffic(config, context)
        case = f"{layers} layers, hidden {d}, intermediate {ff}, queries {q}, keys {kv}, vocabulary {vocab}, context {context}"
        for key, want in (("launches", launches), ("weight_bytes", weight_bytes), ("kv_bytes", kv_bytes)):
            assert got[key] == want, f"{key} of {case}: {want}, you returned {got[key]}"
            assert isinstance(got[key], int), f"{key} is a {type(got[key]).__name__}, not an int"
    for context in (0, -7):
        try:
            step_traffic(config, context)
        except ValueError as error:
            assert str(context) in str(error), f"the message should hold the bad value {context}: {error}"
            continue
        raise AssertionError(f"a context of {context} was accepted")


hidden_step_traffic()

# %% [markdown]
# ## Lab step 6: the engine
#
# The table is saved beside this notebook. What remains is a command, in a terminal with the course's environment:
#
# ```
# python -m mini_engine bench gpu --json gpu.json --plot .  # all of the above, and the server
# python -m mini_engine bench cpu --json cpu.json           # beside transformers and llama.cpp
# python -m mini_engine serve --device cuda                 # the server of chapter 12 on the GPU
# ```
#
# `bench gpu` has the engine's own parts, too, and runs anywhere: without a GPU it says so in one line and does what a CPU can (`--quick` for a small round). `bench cpu` leaves out what is not installed.

# %%
if is_real:
    with open("gpu_lab_results.json", "w", encoding="utf-8") as file:
        where = {"device": torch.cuda.get_device_name() if is_gpu else "CPU", "torch": torch.__version__}
        where |= {
            "bandwidth": bandwidth,
            "peak_flops": peak_flops,
            "launch_s": launch_s,
            "date": time.strftime("%Y-%m-%d"),
        }
        json.dump({"model": config.name, **where, "rows": rows, "quality": quality}, file, indent=1)
print(f"{'':24}{'ms':>9}{'floor':>8}{'share':>7}{'tokens/s':>10}")
for row in rows:
    print(
        f"{row['name']:24}{row['median_ms']:9.2f}{row['floor_ms']:8.2f}{row['share']:7.0%}{row['tokens_per_s']:10.0f}"
    )

# %% [markdown] answer="int8_here" points=3
# ### In your own words: where int8 pays, and what an error of zero proves
#
# In at most 200 words, with numbers from your run or from the chapter: why do int8 weights bring SmolLM2-135M nothing for a single stream on a large GPU, and about one and a half times or more to a 7B model on the same device? And why does asymmetric int4 in groups of 32 have an error of exactly zero on this checkpoint, and what does that say about int4?
#
# ### BEGIN SOLUTION
# **Rubric, 1 point each.** (1) For 135M the reading is a small part of a step: 269 MB at 4.8 TB/s is 56 µs. Started one by one, over a thousand kernels keep the host busy for milliseconds, and the device waits for them: int8 changes nothing. Even in a graph the gaps between them add up to more than 1 ms, and halving the 56 µs changes the sum by a few percent. (2) For 7B the bytes are 13.5 GB, near 3 ms, against some 1.6 ms of gaps in a graph; halving the bytes brings about 1.5 times, more with fused kernels, and less than 2 because the gaps stay and the kernel does not reach the full bandwidth. (An answer that compares with the host's launches must take the larger of the two, not the sum.) (3) The checkpoint is published in Q4_1, 4 bits in groups of 32 with a minimum: asymmetric int4 with the same groups finds the same grid again. It says nothing about int4's cost for full-precision weights; symmetric rounding of the same weights, or other groups, shows an error.
#
# **Model answer.** The host starts kernels while the device reads, and the slower side sets the time. SmolLM2-135M in bf16 is 269 MB: 56 µs on an H200. Starting its 1,156 operators one by one takes milliseconds, so int8 changes nothing at all. Replayed from a graph, gaps of 1.3 µs still add up to 1.5 ms, and int8 saves 26 µs of that: 2%. A 7B model has fifty times the bytes and about the same number of kernels: 2.8 ms of reading and 1.6 ms of gaps. There int8 saves 1.4 ms of 4.4, and more where kernels are fused. The zero: these weights were rounded to 4 bits in groups of 32 with a minimum before they were published, and the same rounding gives back the same numbers. It would be zero for any model stored that way. To learn what int4 costs I need full-precision weights, or at least another grid; symmetric groups of 32 raise the perplexity of this checkpoint by about a third.
# ### END SOLUTION

# %% [markdown]
# **Before you close this.** Each step of the road wrote the same greedy text as the loop without a cache, checked before it was timed; int8 has another text, and its own budget in KL divergence and perplexity. And you measured: the device's own bandwidth, arithmetic and launch time first, then every step beside what these three predict.
