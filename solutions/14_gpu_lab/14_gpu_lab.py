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
import json
import math
import os
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
    """What a cache needs beside its own work so that a recorded step can be replayed. Used by exercise 5."""

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
    """A module that can say what it keeps. Used by exercise 6."""

    def num_bytes(self):
        """Bytes of every tensor kept, registered or not."""
        plain = [value for value in vars(self).values() if isinstance(value, torch.Tensor)]
        return sum(tensor.nbytes for tensor in [*self.parameters(), *self.buffers(), *plain])

    def names(self):
        """Names of the registered tensors: those that move with the module to another device."""
        return sorted(self.state_dict())


# %% [markdown]
# ## Lab: the device
#
# What this machine has, and what follows from it. For each thing that is missing one line says what is used instead. On a GPU the lab keeps two copies of the model: one in float32, to prove that texts are equal, and one in bfloat16, to be timed. On a CPU one float32 copy is both.

# %%
from tqdm import tqdm

from mini_engine.device import choose_device
from mini_engine.loading import CharTokenizer
from mini_engine.tokenizer import load_smollm2_tokenizer

torch.set_grad_enabled(False)
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
# Write `predicted_step_s(num_bytes, bandwidth, num_kernels, launch_s, gap_s=0.0)`: seconds, a `float`. Bytes, bytes per second, a count, and seconds per kernel for host and device. All constants are measured on your device, not looked up.
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

# %% [markdown] task="result_row" stars=1 minutes=15
# ## 4. One row of the results
#
# Every measurement of this lab ends as a row that someone else can check: what was run, how long, how far the runs lay apart, and how near to the limit. Write `result_row(name, seconds, num_bytes, bandwidth, batch=1)` for the list of `seconds` that `measure` returned. It returns a dict:
#
# | key | what |
# |---|---|
# | `"name"` | as given |
# | `"median_ms"`, `"min_ms"`, `"max_ms"` | of the list, in milliseconds; an even number of runs has the mean of the two in the middle as its median |
# | `"tokens_per_s"` | `batch` tokens per median step |
# | `"floor_ms"` | milliseconds to read `num_bytes` at `bandwidth` bytes per second |
# | `"share"` | floor ÷ median: 1 at the limit, 0.1 where nine tenths of the time went elsewhere |
#
# Numbers are plain Python floats, because the rows go to a JSON file. Example: steps of 2, 4 and 9 ms that read 16 MB at 8 GB/s have a median of 4 ms, a floor of 2 ms and a share of 0.5; with batch 8 they write 2,000 tokens per second.
#
# <details><summary>Hint 1</summary>
#
# Which of mean, best and median would you believe after one of ten runs was disturbed? Where does a share come out above 1 if you divide the wrong way round?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `statistics.median` sorts and handles even counts. `float(…)` around what NumPy gives.
#
# </details>


# %% solution="result_row"
def result_row(name, seconds, num_bytes, bandwidth, batch=1):
    """A row of the results: {"name", "median_ms", "min_ms", "max_ms", "tokens_per_s", "floor_ms", "share"}.

    seconds: of each measured step. num_bytes: read in a step. bandwidth: bytes per second. batch: tokens per step.
    Raises ValueError for no seconds, seconds or a bandwidth that are not above 0, and a batch below 1.
    """
    ### BEGIN SOLUTION
    if min(seconds) <= 0:  # of an empty list: a ValueError
        raise ValueError(f"seconds must hold durations above 0, got {seconds}")
    if bandwidth <= 0 or batch < 1:
        raise ValueError(f"bandwidth must be above 0 and batch at least 1, got {bandwidth} and {batch}")
    median, floor = float(statistics.median(seconds)), float(num_bytes / bandwidth)
    return {
        "name": name,
        "median_ms": 1e3 * median,
        "min_ms": 1e3 * float(min(seconds)),
        "max_ms": 1e3 * float(max(seconds)),
        "tokens_per_s": batch / median,
        "floor_ms": 1e3 * floor,
        "share": floor / median,
    }
    ### END SOLUTION


# %% tryit="result_row"
for key, value in result_row("example", [0.004, 0.002, 0.009], 16e6, 8e9, batch=8).items():
    print(f"{key:13} {value}")


# %% test="result_row" points=1
def test_result_row():
    got = result_row("x", [0.004, 0.002, 0.009], 16e6, 8e9, batch=8)
    assert got is not None, "result_row returned None: is there a return statement?"
    want = {"median_ms": 4, "min_ms": 2, "max_ms": 9, "tokens_per_s": 2000, "floor_ms": 2, "share": 0.5}
    assert set(got) == {"name", *want}, f"missing or unknown keys: {sorted(set(got) ^ {'name', *want})}"
    assert abs(got["median_ms"] - 5) > 1e-9, "5 ms is the mean: one slow run pulls it up, take the median"
    assert abs(got["share"] - 2) > 1e-9, "the share is floor / median, at most about 1; yours is the other way round"
    assert abs(got["tokens_per_s"] - 250) > 1e-9, "a step of batch 8 writes 8 tokens"
    for key, value in want.items():
        assert abs(got[key] - value) < 1e-9, f"{key} should be {value}, yours is {got[key]}"
    try:
        result_row("x", [], 1, 1)
    except ValueError:
        pass
    else:
        raise AssertionError("an empty list was accepted: raise ValueError")


test_result_row()


# %% hidden="result_row" points=2
def hidden_result_row():
    import json

    import numpy as np

    rng = np.random.default_rng(134)
    for trial in range(12):
        count, batch = int(rng.integers(1, 9)), int(rng.integers(1, 300))
        seconds = [float(s) for s in rng.uniform(1e-4, 2.0, count)]
        num_bytes, bandwidth = float(rng.uniform(0, 1e10)), float(rng.uniform(1e9, 5e12))
        given = np.array(seconds) if trial % 3 == 0 else list(seconds)
        got = result_row(f"run {trial}", given, np.float64(num_bytes), bandwidth, batch)
        ordered = sorted(seconds)
        middle = ordered[count // 2] if count % 2 else (ordered[count // 2 - 1] + ordered[count // 2]) / 2
        want = {"median_ms": 1e3 * middle, "min_ms": 1e3 * ordered[0], "max_ms": 1e3 * ordered[-1]}
        want |= {"tokens_per_s": batch / middle, "floor_ms": 1e3 * num_bytes / bandwidth}
        want |= {"share": num_bytes / bandwidth / middle}
        assert got["name"] == f"run {trial}", f"name should be 'run {trial}', yours is {got['name']!r}"
        for key, value in want.items():
            assert abs(got[key] - value) <= 1e-10 * abs(value), f"{count} runs: {key} is {value}, yours {got[key]}"
            assert type(got[key]) in (float, int), f"{key} is a {type(got[key]).__name__}: plain floats go to JSON"
        assert json.loads(json.dumps(got)) == got, "the row does not survive JSON"
        assert list(given) == seconds, "your function changed the list (sorted it?)"
    assert result_row("x", [2.0], 4, 2)["tokens_per_s"] == 0.5, "without a batch a step writes one token"
    assert result_row("x", [2.0], 4, 0.5)["share"] == 4, "a bandwidth of half a byte per second is slow, and allowed"
    bad = (
        ([], 1, 1, 1),
        ([1.0, 0.0], 1, 1, 1),
        ([1.0, -2.0], 1, 1, 1),
        ([1.0], 1, 0, 1),
        ([1.0], 1, -1, 1),
        ([1.0], 1, 1, 0),
    )
    for arguments in bad:
        try:
            result_row("x", *arguments)
        except ValueError:
            continue
        raise AssertionError(f"seconds, bytes, bandwidth, batch = {arguments} was accepted")


hidden_result_row()

# %% [markdown] task="StaticCache" stars=3 minutes=40
# ## 5. A cache that never changes its shape
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
for name in tqdm(road, desc="texts and kernels", leave=False):
    texts[name] = greedy_text(name, exact)
    counts[name] = count_kernels(timed_step("static cache" if name == "recorded" else name, fast), device)
    assert texts[name] == texts["no cache"], f"{name} writes {texts[name]}, not {texts['no cache']}"
print("all four write:", repr(tokenizer.decode(texts["no cache"])))

for name in tqdm(road, desc="timing", leave=False):
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
# ## 6. A linear layer in int8
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
    assert layer.scales[1, 0] > 0, (
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
                    assert s > 0 and np.isfinite(s), f"{case}: a group of zeros has scale {s}"
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

# %% [markdown] task="predicted_gain" stars=1 minutes=10
# ## 7. What can fewer bytes bring?
#
# Half the bytes is twice as fast *where bytes are what takes the time*. Write `predicted_gain(bytes_before, bytes_after, bandwidth, num_kernels, launch_s, gap_s=0.0)`: how many times faster a step becomes by the two lines of exercise 3 when it reads fewer bytes and starts the same kernels. A `float`; 1 means that nothing is gained.
#
# Example: 269 MB → 143 MB at 4.8 TB/s. With 1,156 kernels started one by one in 5 µs each the gain is exactly 1, because the host needs 5,780 µs either way. In a graph with gaps of 1.3 µs it is $(56 + 1503) / (30 + 1503) = 1.02$. With neither it would be 1.88.
#
# <details><summary>Hint 1</summary>
#
# Two steps, before and after. What do they have in common?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Exercise 3 twice, with other bytes, then divide before by after.
#
# </details>


# %% solution="predicted_gain"
def predicted_gain(bytes_before, bytes_after, bandwidth, num_kernels, launch_s, gap_s=0.0):
    """Time of a step before over time after, by the two lines of predicted_step_s: above 1 is faster.

    bytes_before, bytes_after: read in a step. bandwidth: bytes per second. num_kernels, launch_s, gap_s: of either
    step. Raises ValueError for bytes or a bandwidth not above 0, and for negative kernels or seconds.
    """
    ### BEGIN SOLUTION
    if min(bytes_before, bytes_after, bandwidth) <= 0 or min(num_kernels, launch_s, gap_s) < 0:
        raise ValueError(f"{bytes_before=}, {bytes_after=}, {bandwidth=}, {num_kernels=}, {launch_s=}, {gap_s=}")
    host, gaps = num_kernels * launch_s, num_kernels * gap_s
    before, after = (max(host, num_bytes / bandwidth + gaps) for num_bytes in (bytes_before, bytes_after))
    return before / after
    ### END SOLUTION


# %% tryit="predicted_gain"
for name, before, after in (("135M", 269e6, 143e6), ("7B", 13.5e9, 6.9e9)):
    gains = predicted_gain(before, after, 4.8e12, 1200, 5e-6), predicted_gain(before, after, 4.8e12, 1200, 0, 1.3e-6)
    print("{:5} bf16 to int8, 1,200 kernels: {:.2f} times one by one, {:.2f} times as a graph".format(name, *gains))


# %% test="predicted_gain" points=1
def test_predicted_gain():
    got = predicted_gain(200, 100, 10, 5, 0, 2)
    assert got is not None, "predicted_gain returned None: is there a return statement?"
    assert abs(got - 2) > 1e-12, "2 is the ratio of the bytes: the gaps cost the same before and after, add them"
    assert abs(got - 2 / 3) > 1e-12, "yours is after / before: a gain is before / after"
    assert abs(got - 1.5) < 1e-12, f"gaps: (20 + 10) / (10 + 10) = 1.5, you returned {got}"
    got = predicted_gain(200, 100, 10, 5, 3)
    assert abs(got - 35 / 25) > 1e-12, "launches are queued while the device reads: the slower side counts, no sum"
    assert abs(got - 20 / 15) < 1e-12, f"launches take 15 s: 20 s of reading before, 15 s after, 1.33; yours is {got}"
    assert predicted_gain(200, 100, 10, 5, 8) == 1, "where the host needs 40 s either way, nothing is gained: 1"
    assert abs(predicted_gain(200, 100, 10, 0, 2) - 2) < 1e-12, "without kernels the bytes decide: 2"
    try:
        predicted_gain(200, 0, 10, 5, 2)
    except ValueError as error:
        assert "0" in str(error), f"the message should hold the bad value 0: {error}"
    else:
        raise AssertionError("0 bytes were accepted: raise ValueError")


test_predicted_gain()


# %% hidden="predicted_gain" points=2
def hidden_predicted_gain():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(137)
    for _ in range(30):
        before, after = (int(n) for n in rng.integers(1, 2**36, 2))
        bandwidth, num_kernels = int(rng.integers(2**30, 2**43)), int(rng.integers(0, 2000))
        launch_s, gap_s = (float(s) for s in rng.uniform(0, 2e-5, 2))
        for launch, gap in ((launch_s, 0.0), (0.0, gap_s), (launch_s, gap_s)):
            times = []
            for num_bytes in (before, after):
                device = Fraction(num_bytes, bandwidth) + num_kernels * Fraction(gap)
                times.append(max(device, num_kernels * Fraction(launch)))
            want = times[0] / times[1]
            got = predicted_gain(before, after, bandwidth, num_kernels, launch, *([gap] if gap else []))
            assert abs(Fraction(got) - want) <= want / 10**11, (
                f"{before} to {after} bytes at {bandwidth}/s, {num_kernels} kernels, {launch} s to start each, gaps of "
                f"{gap} s: {float(want)}, not {got}"
            )
    assert predicted_gain(100, 200, 10, 0, 0) == 0.5, "more bytes are a gain below 1, no error"
    good = [200, 100, 10, 5, 2]
    for i, value in ((0, 0), (1, 0), (2, 0), (0, -9), (1, -9), (2, -9), (3, -9), (4, -0.5), (5, -0.5)):
        arguments = [*good, 0.5]
        arguments[i] = value
        try:
            predicted_gain(*arguments)
        except ValueError as error:
            assert str(value) in str(error), f"the message should hold {value}: {error}"
            continue
        raise AssertionError(f"{arguments} was accepted")
    assert predicted_gain(8, 8, 1, 0, 5) == 1 and predicted_gain(8, 8, 1, 5, 0) == 1, (
        "no kernels, or free ones, are fine"
    )


hidden_predicted_gain()


# %% [markdown]
# ## Lab step 3: int8 weights
#
# First what fewer bytes can bring at all, by your `predicted_gain`, on this device and on an H200 (NVIDIA's data sheet for the bandwidth; 1,156 kernels with gaps of 1.3 µs in a graph are an estimate until you have measured them). **At 135M parameters the answer for a GPU is: next to nothing.** Half of 56 µs is saved in a step of more than a millisecond. So why int8 here? Because the *quality* can be measured on a real model, and the next step shows where the speed is.

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


half, eighth = 2 * parameter_count(SMOLLM2_135M), parameter_count(SMOLLM2_135M)
print(
    f"predicted for 135M, 16 to 8 bits: H200 {predicted_gain(half, eighth, 4.8e12, 1156, 0, 1.3e-6):.2f} times,",
    end=" ",
)
gain = predicted_gain(half, eighth, bandwidth, counts["recorded"], 0, graph_launch_s)
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
for name, make in tqdm(recipes.items(), desc="quality", leave=False):
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
# Fifty times the parameters, about as many kernels: a model of 7B is bandwidth-bound, and a byte saved is time saved. On a GPU the cell below builds a stack of Llama-2-7B's layers with random weights and times it in bf16, int8 and int4, beside the floor. On a CPU it times one matrix of that size, and prints what your `predicted_gain` says of an H200.
#
# Beside it: what it costs to *verify* several tokens in one pass, which is what speculative decoding lives from. On a large GPU 32 rows cost as much as one, because the weights are read once. **On two CPU cores the curve is not flat**: the arithmetic of a few rows already takes longer than the reading.

# %%
from mini_engine.accounting import quantized_bytes
from mini_engine.config import LLAMA_2_7B

num_weights = parameter_count(LLAMA_2_7B)
for bits in (8, 4):
    gain = predicted_gain(2 * num_weights, quantized_bytes(num_weights, bits, 128), 4.8e12, 1232, 0, 1.3e-6)
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
    for num_rows in tqdm(lengths, desc="verification", leave=False):
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
# ## 8. The batch at which arithmetic takes over
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
for batch in tqdm(batches, desc="batches", leave=False):
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
# ## Lab step 6: the engine
#
# The table is saved beside this notebook. What remains is a command, in a terminal with the course's environment:
#
# ```
# python -m mini_engine bench gpu --json gpu.json --plot .    # all of the above with the engine's own parts, and the server
# python -m mini_engine bench cpu --json cpu.json             # on a CPU: beside transformers and llama.cpp, if installed
# python -m mini_engine serve --device cuda                   # the server of chapter 12 on the GPU
# ```
#
# `bench gpu` runs anywhere: without a GPU it says so in one line and does what a CPU can (`--quick` for a small round).

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
