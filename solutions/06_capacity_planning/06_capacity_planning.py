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
# # 06 · Capacity planning
#
# In this notebook you answer the question that every deployment begins with: does the model fit, how many people can use it at once, and is it fast enough for them? At the end you plan a 70B model on eight GPUs and come to a decision. The chapter *Capacity planning* of the book tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError`, the message holds the value, and nothing has changed. The docstring says which arguments are meant.
#
# **GB is 1e9 bytes, GiB is 2\*\*30 bytes.** Some plans read an "80 GB" GPU as 80e9 bytes, some as 80 GiB; the two differ by 7 percent, which is 6 requests of 8k tokens for Llama-3-8B. Say which one you mean.

# %% setup=True
import math

from mini_engine.accounting import BatchSize, forward_flops, kv_bytes_per_token, parameter_count, request_flops
from mini_engine.config import LLAMA_3_8B, LLAMA_3_70B, MODELS, SMOLLM2_135M
from mini_engine.plotting import figure, show

# NVIDIA A100 80GB SXM, from its data sheet: bytes, bytes/s and dense bf16 FLOP/s
A100_BYTES, A100_BANDWIDTH, A100_FLOPS = 80e9, 2.039e12, 312e12
# what a real step reaches of the two ceilings; assumptions to replace with your own measurement
BANDWIDTH_SHARE, FLOPS_SHARE = 0.7, 0.5

# %% [markdown] task="weight_bytes" stars=1 minutes=5
# ## 1. Bytes of the weights
#
# Write `weight_bytes(config, bytes_per=2)`: the bytes of all parameters, `bytes_per` bytes each. `parameter_count(config)` is imported from the engine. Return an `int`; half bytes (4-bit weights) round up to whole ones.
#
# Example: 5 parameters of half a byte are 2.5 bytes, so 3.
#
# <details><summary>Hint 1</summary>
#
# A tied LM head is stored once, and `parameter_count` already knows it.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `math.ceil` gives a whole number that is not too small.
#
# </details>


# %% solution="weight_bytes"
def weight_bytes(config, bytes_per=2):
    """Bytes of all parameters of a model, as an int, rounded up.

    config: a model spec. bytes_per: bytes per parameter, above 0 (2 for bf16, 0.5 for 4 bit).
    Raises ValueError when bytes_per is not positive.
    """
    ### BEGIN SOLUTION
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return math.ceil(parameter_count(config) * bytes_per)
    ### END SOLUTION


# %% tryit="weight_bytes"
for spec in MODELS.values():
    print(f"{spec.name:14} bf16 {weight_bytes(spec) / 1e9:8.3f} GB = {weight_bytes(spec) / 2**30:8.3f} GiB")


# %% test="weight_bytes" points=1
def test_weight_bytes():
    from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M

    got = weight_bytes(LLAMA_3_8B, 2)
    assert got is not None, "weight_bytes returned None: is there a return statement?"
    assert got != 8_030_261_248, "8030261248 is the number of parameters; each takes bytes_per bytes"
    assert got == 16_060_522_496, f"Llama-3-8B in bf16 has 16060522496 bytes, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    got = weight_bytes(SMOLLM2_135M)
    assert got == 269_030_016, f"SmolLM2-135M with 2 bytes each, the default: 269030016 bytes, you returned {got}"
    try:
        weight_bytes(LLAMA_3_8B, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("bytes_per=0 was accepted: raise ValueError for sizes that make no sense")


test_weight_bytes()


# %% hidden="weight_bytes" points=1
def hidden_weight_bytes():
    from mini_engine.config import LLAMA_2_7B, ModelConfig

    got = weight_bytes(LLAMA_2_7B, 0.5)
    assert got == 3_369_207_808, "Llama-2-7B in 4 bit has 3369207808 bytes"
    assert isinstance(got, int), f"half a byte each: the bytes are whole, return an int, not {type(got).__name__}"
    assert weight_bytes(LLAMA_2_7B, 1) == 6_738_415_616, "one byte each: as many bytes as parameters"
    odd = ModelConfig("odd", 1, 1, 1, 1, 1, 2, 2)
    parameters = 2 + (2 + 2 + 2 + 2) + (1 + 1 + 1) + 2 + 1 + 2  # embedding, q k v o, MLP, two norms, last norm, head
    assert weight_bytes(odd, 1) == parameters, f"{odd}: {parameters} bytes"
    got = weight_bytes(odd, 0.25)
    assert got == -(-parameters // 4), (
        f"{parameters} parameters of a quarter byte: 5 bytes, rounded up, you returned {got}"
    )
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    large = ModelConfig("large", 1, 1, 1, 1, 1, 100_000_003, 2)
    assert weight_bytes(large, 1) == 200_000_020, "a model of 200000020 parameters: whole bytes stay exact"
    for bad in (-2, -0.5):
        try:
            weight_bytes(LLAMA_2_7B, bad)
        except ValueError:
            continue
        raise AssertionError(f"bytes_per={bad} was accepted")


hidden_weight_bytes()

# %% [markdown] task="concurrent_users" stars=1 minutes=10
# ## 2. Users beside the weights
#
# Every user with an open conversation holds a KV cache of `context` tokens. Write `concurrent_users(config, free_bytes, context, kv_bytes_per=2)`: how many such caches fit into `free_bytes`, as an `int`. Only whole users count, and exactly: one byte too few is one user less, however large the numbers.
#
# `kv_bytes_per_token(config, bytes_per)` is imported from the engine. `free_bytes` may be 0.
#
# Example: Llama-3-8B keeps 131072 bytes per token in 16 bit. A context of 1000 tokens is 131 MB, so 1 GB holds 7 users, and 15 with an 8-bit cache.
#
# <details><summary>Hint 1</summary>
#
# Bytes per user first. Does an 8-bit cache hold exactly twice as many users as a 16-bit one? Look at the example.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Whole division. `free_bytes` may be a float such as `10e9`; the answer must still be an `int`.
#
# </details>


# %% solution="concurrent_users"
def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    """How many KV caches of `context` tokens fit into free_bytes, as an int.

    free_bytes: 0 or more. context: tokens, at least 1. kv_bytes_per: bytes per cached number, above 0.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if free_bytes < 0 or context < 1:
        raise ValueError(f"no users in {free_bytes} bytes with {context} tokens each")
    per_user = kv_bytes_per_token(config, kv_bytes_per) * context  # raises for a bad kv_bytes_per
    return int(free_bytes // per_user)
    ### END SOLUTION


# %% tryit="concurrent_users"
for kv_bytes_per, name in ((2, "fp16"), (1, "fp8")):
    users = concurrent_users(LLAMA_3_8B, 80e9 - 16.06e9, 8192, kv_bytes_per)
    print(f"Llama-3-8B on 80 GB, 8192 tokens each, {name} cache: {users} users")


# %% test="concurrent_users" points=1
def test_concurrent_users():
    from mini_engine.config import LLAMA_3_8B

    got = concurrent_users(LLAMA_3_8B, 1e9, 1000)
    assert got is not None, "concurrent_users returned None: is there a return statement?"
    assert got != 8, "8 rounds up: the eighth user does not fit"
    assert got != 1, "1 counts all 32 query heads; the cache holds the 8 KV heads"
    assert got == 7, f"1 GB holds 7 caches of 1000 tokens of Llama-3-8B, you returned {got}"
    assert isinstance(got, int), f"users are whole: return an int, not {type(got).__name__}"
    got = concurrent_users(LLAMA_3_8B, 1e9, 1000, 1)
    assert got == 15, f"with one byte per number 15 fit, you returned {got}"
    for values, bad in (((-1, 8, 2), "-1"), ((9, 0, 2), "0"), ((9, 8, -2), "-2")):
        try:
            concurrent_users(LLAMA_3_8B, *values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"free_bytes, context, kv_bytes_per = {values} was accepted")


test_concurrent_users()


# %% hidden="concurrent_users" points=2
def hidden_concurrent_users():
    import numpy as np

    from mini_engine.config import LLAMA_3_70B, ModelConfig

    assert concurrent_users(LLAMA_3_70B, 0, 8192) == 0, "no free memory, no users"
    almost = 10**9 * 2_684_354_560 - 1
    assert concurrent_users(LLAMA_3_70B, almost, 8192) == 10**9 - 1, (
        "one byte short of 10**9 users: divide whole numbers"
    )
    rng = np.random.default_rng(62)
    for _ in range(20):
        layers, kv, rep, half, context, b = (int(n) for n in rng.integers(1, 6, 6))
        spec = ModelConfig("random", layers, 7, kv * rep, kv, 16, 32, 2 * half)
        user = 2 * layers * kv * 2 * half * context * b
        for free in (user - 1, user, user + 1, 5 * user - 1, 5 * user, int(rng.integers(0, 4000))):
            expected, left = 0, free
            while left >= user:
                expected, left = expected + 1, left - user
            got = concurrent_users(spec, free, context, b)
            assert got == expected, f"{free} bytes, {user} bytes a user: {expected} fit, you returned {got}"
    half, three_halves = (
        concurrent_users(LLAMA_3_70B, 10**9, 1000, 0.5),
        concurrent_users(LLAMA_3_70B, 10**9, 1000, 1.5),
    )
    assert (half, three_halves) == (12, 4), "numbers of half a byte and of one and a half: 12 users and 4"
    for values in ((-1e-3, 8, 2), (9, -1, 2), (9, 8, 0), (0, -1, 2), (0, 8, 0)):
        try:
            concurrent_users(LLAMA_3_70B, *values)
        except ValueError:
            continue
        raise AssertionError(f"free_bytes, context, kv_bytes_per = {values} was accepted")


hidden_concurrent_users()

# %% [markdown] task="max_batch_size" stars=2 minutes=15
# ## 3. The largest batch on one GPU
#
# Write `max_batch_size(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2)`: how many whole requests of `context` tokens fit into `gpu_bytes` once the weights are in.
#
# Return a `BatchSize(count, message)`: an `int` that carries a `message`. The message is `""` when something fits. When nothing fits, the count is 0, never negative, and the message is one line that says what is too large: it holds the word `weights` or the word `request`. (The checks take a plain `int` too, but then the reader of a 0 must guess.)
#
# Example: Llama-3-8B on 80e9 bytes at 8192 tokens: weights 16.06 GB, 63.94 GB are left, a request takes 1.074 GB, so 59 fit and a half one does not.
#
# The count is an upper bound: a real engine also needs memory for activations, CUDA graphs and its libraries, and keeps, for example, a tenth of the GPU free for them.
#
# <details><summary>Hint 1</summary>
#
# Three cases: the weights do not fit, the weights fit but no request does, something fits.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Subtract the weights; if the rest is negative, stop there. Then it is exercise 2.
#
# </details>


# %% solution="max_batch_size"
def max_batch_size(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2):
    """Whole requests of `context` tokens that fit beside the weights: a BatchSize (an int with a message).

    gpu_bytes: memory that may be used, above 0. context: at least 1. The message is "" unless the count is 0.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if gpu_bytes <= 0 or context < 1 or kv_bytes_per <= 0:
        raise ValueError(f"not positive: {gpu_bytes} bytes, {context} tokens or {kv_bytes_per} bytes per number")
    weights = weight_bytes(config, weight_bytes_per)
    if weights > gpu_bytes:
        return BatchSize(0, f"the weights need {weights / 1e9:.2f} GB, the GPU has {gpu_bytes / 1e9:.2f} GB")
    count = concurrent_users(config, gpu_bytes - weights, context, kv_bytes_per)
    if count == 0:
        return BatchSize(0, f"not one request fits into the {(gpu_bytes - weights) / 1e9:.2f} GB beside the weights")
    return BatchSize(count)
    ### END SOLUTION


# %% tryit="max_batch_size"
for gpu_bytes, label in ((80e9, "80 GB "), (80 * 2**30, "80 GiB")):
    sizes = [max_batch_size(LLAMA_3_8B, gpu_bytes, context) for context in (2048, 4096, 8192)]
    print(f"Llama-3-8B on {label} at 2k, 4k, 8k: {sizes}")
nothing = max_batch_size(LLAMA_3_70B, 80e9, 8192)
print(f"Llama-3-70B on 80 GB : {nothing}, {getattr(nothing, 'message', 'no message')}")


# %% test="max_batch_size" points=1
def test_max_batch_size():
    from mini_engine.config import LLAMA_3_8B, LLAMA_3_70B

    got = max_batch_size(LLAMA_3_8B, 80e9, 8192)
    assert got is not None, "max_batch_size returned None: is there a return statement?"
    assert got != 60, "60 rounds up: the last request does not fit whole"
    assert got != 74, "74 forgets the weights"
    assert got != 14, "14 counts all 32 query heads; the cache holds the 8 KV heads"
    assert got == 59, f"Llama-3-8B, 80e9 bytes, 8192 tokens: 59 requests, you returned {got}"
    got = max_batch_size(LLAMA_3_8B, 80 * 2**30, 8192)
    assert got == 65, f"with 80 GiB 65 requests fit, you returned {got}"
    got = max_batch_size(LLAMA_3_70B, 80e9, 8192)
    assert got >= 0, f"you returned {got}: where nothing fits the answer is 0, never negative"
    assert got == 0, f"Llama-3-70B needs 141 GB for its weights: 0 requests on 80 GB, you returned {got}"
    message = getattr(got, "message", "weights")  # a plain int carries none
    assert "weights" in message, f"the message should say that the weights do not fit, it says: {message!r}"
    for values, bad in (((-1, 8), "-1"), ((9, 0), "0")):
        try:
            max_batch_size(LLAMA_3_8B, *values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"gpu_bytes, context = {values} was accepted")


test_max_batch_size()


# %% hidden="max_batch_size" points=2
def hidden_max_batch_size():
    import numpy as np

    from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M, ModelConfig

    assert [max_batch_size(LLAMA_3_8B, 80e9, n) for n in (2048, 4096)] == [238, 119], "80e9 bytes: 238 at 2k, 119 at 4k"
    assert [max_batch_size(LLAMA_3_8B, 80 * 2**30, n) for n in (2048, 4096)] == [260, 130], "80 GiB: 260 and 130"
    rng = np.random.default_rng(63)
    for _ in range(20):
        layers, kv, rep, half, context, w, b = (int(n) for n in rng.integers(1, 6, 7))
        spec = ModelConfig("random", layers, 6, kv * rep, kv, 10, 12, 2 * half)
        attention = 2 * 6 * kv * rep * 2 * half + 2 * 6 * kv * 2 * half
        weights = w * (layers * (attention + 3 * 6 * 10 + 2 * 6) + 6 + 2 * 12 * 6)
        request = 2 * layers * kv * 2 * half * context * b
        for extra in (-1, 0, request - 1, request, 3 * request - 1, 3 * request):
            got = max_batch_size(spec, weights + extra, context, w, b)
            expected = sum(1 for n in range(1, 5) if n * request <= extra)
            assert got == expected, (
                f"weights {weights}, GPU {weights + extra}, request {request} bytes: {expected} fit, you returned {got}"
            )
    assert max_batch_size(LLAMA_3_8B, 80e9, 8192, 2, 0.5) == 238, "a 4-bit cache takes a quarter: 238 requests"
    assert max_batch_size(LLAMA_3_8B, 1, 8192) == 0, "one byte is memory too; nothing fits into it"
    for gpu_bytes, word, empty in (
        (16_060_522_496, "request", False),
        (16_060_522_495, "weights", False),
        (80e9, "", True),
    ):
        message = getattr(max_batch_size(LLAMA_3_8B, gpu_bytes, 8192), "message", None)  # a plain int carries none
        assert message is None or (word in message and (message == "") == empty), (
            f"Llama-3-8B on {gpu_bytes} bytes: the message should be {'empty' if empty else 'about the ' + word}: {message!r}"
        )
        assert "\n" not in (message or ""), f"the message is one line, yours: {message!r}"
    for values in ((0, 8, 2, 2), (9, -1, 2, 2), (9e9, 8, 0, 2), (9e9, 8, 2, -1), (9, 8, 2, -1), (9, 8, 2, 0)):
        try:
            max_batch_size(SMOLLM2_135M, *values)
        except ValueError:
            continue
        raise AssertionError(f"gpu_bytes, context, weight_bytes_per, kv_bytes_per = {values} was accepted")


hidden_max_batch_size()

# %% [markdown] task="max_batch_size_tp" stars=2 minutes=20
# ## 4. Tensor parallelism
#
# With tensor parallelism each of `tp` GPUs holds an even share of every weight matrix and an even share of the KV heads, so both the weights and the cache of a request are split over the GPUs.
#
# Write `max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1)`: the whole requests that fit; `gpu_bytes` is the memory of **one** GPU. Return a `BatchSize` as in exercise 3.
#
# This plan splits by whole KV heads. A `tp` that does not divide `num_key_value_heads` raises `ValueError`; the message names the `tp` and says what engines with tensor parallelism alone do when `tp` is larger than the number of KV heads: they **replicate** KV heads (use that word), so that each GPU has a full copy of one; the cache per GPU then stops shrinking ([vLLM's LLaMA model](https://github.com/vllm-project/vllm/blob/main/vllm/model_executor/models/llama.py) does so when `tp` is a multiple of the KV heads). Context parallelism, which cuts the cache along its tokens, is left out here; the chapter has a word on it.
#
# Example: Llama-3-8B at 8192 tokens on two GPUs of 80e9 bytes: each holds 8.03 GB of weights and 0.537 GB of each request, so 134 requests fit, more than twice the 59 of one GPU: the weights are stored once, not twice.
#
# <details><summary>Hint 1</summary>
#
# Look at a single GPU: what is its share of the weights, and of one request?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Since everything is split evenly you may also put the memory of all GPUs together and use exercise 3. Is the check of `tp` before that?
#
# </details>


# %% solution="max_batch_size_tp"
def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    """Whole requests that fit on tp GPUs of gpu_bytes each, weights and KV heads split evenly: a BatchSize.

    tp: at least 1, a divisor of num_key_value_heads. Raises ValueError for another tp, with what real engines do
    then, and for sizes that make no sense.
    """
    ### BEGIN SOLUTION
    if tp < 1:
        raise ValueError(f"tp must be at least 1, got {tp}")
    if config.num_key_value_heads % tp != 0:
        raise ValueError(
            f"tp={tp} does not divide the {config.num_key_value_heads} KV heads; real engines replicate KV heads when "
            "tp is a multiple of their number, and refuse the rest"
        )
    return max_batch_size(config, tp * gpu_bytes, context, weight_bytes_per, kv_bytes_per)
    ### END SOLUTION


# %% tryit="max_batch_size_tp"
for tp in (1, 2, 4, 8):
    batch = max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=tp)
    print(f"Llama-3-8B, 8192 tokens, TP {tp}: {batch:3} requests, {batch / tp:5.1f} per GPU")


# %% test="max_batch_size_tp" points=1
def test_max_batch_size_tp():
    from mini_engine.config import LLAMA_3_8B

    got = max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=2)
    assert got is not None, "max_batch_size_tp returned None: is there a return statement?"
    assert got != 118, "118 stores all weights on both GPUs; tensor parallelism splits them"
    assert got != 67, "67 splits the weights but not the KV cache"
    assert got == 134, f"Llama-3-8B, 8192 tokens, TP 2: 134 requests, you returned {got}"
    got = max_batch_size_tp(LLAMA_3_8B, 80e9, 8192)
    assert got == 59, f"TP 1 is one GPU: 59 requests, you returned {got}"
    try:
        max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=16)
    except ValueError as error:
        assert "16" in str(error), f"the ValueError should name the tp 16, it says: {error}"
        assert "replicat" in str(error).lower(), f"the message should say that engines replicate KV heads: {error}"
    else:
        raise AssertionError("tp=16 was accepted for 8 KV heads: reject it and say what real engines do")


test_max_batch_size_tp()


# %% hidden="max_batch_size_tp" points=2
def hidden_max_batch_size_tp():
    import numpy as np

    from mini_engine.config import LLAMA_3_8B, LLAMA_3_70B, ModelConfig

    got = [max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=tp) for tp in (4, 8)]
    assert got == [283, 581], f"Llama-3-8B, 8192 tokens, TP 4 and 8: 283 and 581, you returned {got}"
    assert max_batch_size_tp(LLAMA_3_70B, 80e9, 8192, 2, 1, 8) == 371, "Llama-3-70B, TP 8, 8-bit cache: 371"
    assert max_batch_size_tp(LLAMA_3_70B, 80e9, 8192, tp=1) == 0, "Llama-3-70B does not fit on one GPU: 0"
    for gpu_bytes, word, empty in (
        (8_030_261_248, "request", False),
        (8_030_261_247, "weights", False),
        (80e9, "", True),
    ):
        message = getattr(max_batch_size_tp(LLAMA_3_8B, gpu_bytes, 8192, tp=2), "message", None)
        assert message is None or (word in message and (message == "") == empty), (
            f"two GPUs: the message should be {'empty' if empty else 'about the ' + word}, as in exercise 3: {message!r}"
        )
    rng = np.random.default_rng(64)
    for _ in range(20):
        layers, share, tp, rep, half, context = (int(n) for n in rng.integers(1, 6, 6))
        kv = share * tp
        spec = ModelConfig("random", layers, 6, kv * rep, kv, 10, 12, 2 * half)
        attention = 2 * 6 * kv * rep * 2 * half + 2 * 6 * kv * 2 * half
        weights = 2 * (layers * (attention + 3 * 6 * 10 + 2 * 6) + 6 + 2 * 12 * 6)
        own_weights, own_request = weights / tp, 2 * layers * share * 2 * half * context * 2
        for extra in (own_request - 1, own_request + 1, 3 * own_request - 1, 3 * own_request + 1):
            got = max_batch_size_tp(spec, own_weights + extra, context, tp=tp)
            expected = sum(1 for n in range(1, 5) if n * own_request <= extra)
            half_weights = max_batch_size_tp(spec, own_weights / 2 + extra, context, 1, tp=tp)
            assert half_weights == expected, f"weights of 1 byte: {expected} fit, you returned {half_weights}"
            assert got == expected, (
                f"{kv} KV heads, TP {tp}: each GPU holds {own_weights} bytes of weights and {own_request} of a request, "
                f"{extra} bytes are left: {expected} fit, you returned {got}"
            )
    for tp in (0, -2, 3, 5, 16):
        try:
            max_batch_size_tp(LLAMA_3_8B, 80e9, 8192, tp=tp)
        except ValueError as error:
            assert str(tp) in str(error), f"the ValueError should name tp={tp}, it says: {error}"
            continue
        raise AssertionError(f"tp={tp} was accepted for 8 KV heads")


hidden_max_batch_size_tp()

# %% [markdown] task="capacity_table" stars=2 minutes=15
# ## 5. The capacity table
#
# Write `capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1)`: the four numbers of a plan and a message, as a dict:
#
# | key | value |
# |---|---|
# | `"parameters"` | number of parameters, an `int` |
# | `"parameter_memory_gb"` | memory of all weights in GB (1e9 bytes), a float |
# | `"kv_per_request_gb"` | KV cache of one request of `context` tokens in GB, a float |
# | `"max_batch"` | whole requests that fit on `tp` GPUs of `gpu_bytes` each, an `int` |
# | `"message"` | `""`, or, where `max_batch` is 0, one line that holds the word `weights` or `request` (what does not fit) |
#
# Both memories are totals over all GPUs. What exercises 3 and 4 reject, the table rejects too. The engine prints the same rows with `python -m mini_engine capacity --model llama-3-8b`.
#
# <details><summary>Hint 1</summary>
#
# You have every row already; which of your functions gives which?
#
# </details>
# <details><summary>Hint 2</summary>
#
# If your `max_batch_size_tp` returns a `BatchSize`, its `.message` is the last row, and it is itself the row above.
#
# </details>


# %% solution="capacity_table"
def capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1):
    """The rows of a capacity plan: parameters, parameter_memory_gb, kv_per_request_gb, max_batch, message.

    gpu_bytes: of one GPU. GB are 1e9 bytes. Raises ValueError as max_batch_size_tp does.
    """
    ### BEGIN SOLUTION
    batch = max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp)
    return {
        "parameters": parameter_count(config),
        "parameter_memory_gb": weight_bytes(config, weight_bytes_per) / 1e9,
        "kv_per_request_gb": kv_bytes_per_token(config, kv_bytes_per) * context / 1e9,
        "max_batch": batch,
        "message": batch.message,
    }
    ### END SOLUTION


# %% tryit="capacity_table"
for spec, tp in ((SMOLLM2_135M, 1), (LLAMA_3_8B, 1), (LLAMA_3_70B, 1), (LLAMA_3_70B, 8)):
    print(f"{spec.name}, TP {tp}, A100 80 GB, 8192 tokens")
    for key, value in capacity_table(spec, 80e9, 8192, tp=tp).items():
        print(f"    {key:20} {value}")


# %% test="capacity_table" points=1
def test_capacity_table():
    from mini_engine.config import LLAMA_3_8B, LLAMA_3_70B

    got = capacity_table(LLAMA_3_8B, 80e9, 8192)
    assert got is not None, "capacity_table returned None: is there a return statement?"
    keys = {"parameters", "parameter_memory_gb", "kv_per_request_gb", "max_batch", "message"}
    assert set(got) == keys, f"the keys are {sorted(keys)}, yours: {sorted(got)}"
    assert got["parameters"] == 8_030_261_248, f"Llama-3-8B has 8030261248 parameters, yours: {got['parameters']}"
    memory = got["parameter_memory_gb"]
    assert abs(memory - 14.957) > 0.001, "14.957 is GiB; the key says GB, 1e9 bytes"
    assert abs(memory - 16.0605) < 0.001, f"its weights take 16.061 GB in bf16, yours: {memory}"
    kv = got["kv_per_request_gb"]
    assert abs(kv - 1.0737) < 0.0001, f"8192 tokens take 1.074 GB of cache, yours: {kv}"
    assert got["max_batch"] == 59 and got["message"] == "", f"59 requests and an empty message, yours: {got}"
    got = capacity_table(LLAMA_3_70B, 80e9, 8192)
    assert got["max_batch"] == 0, f"Llama-3-70B does not fit on one GPU, yours: {got['max_batch']}"
    assert "weights" in got["message"], f"the message should say that the weights do not fit: {got['message']!r}"


test_capacity_table()


# %% hidden="capacity_table" points=2
def hidden_capacity_table():
    from mini_engine.config import LLAMA_3_8B, LLAMA_3_70B

    got = capacity_table(LLAMA_3_8B, 17e9, 8192)
    assert got["max_batch"] == 0, f"17 GB hold the weights and no request of 1.07 GB, yours: {got['max_batch']}"
    assert "request" in got["message"], f"the message should say that no request fits: {got['message']!r}"
    got = capacity_table(LLAMA_3_70B, 80e9, 4096, 1, 0.5, 8)
    expected = {"parameters": 70_553_706_496, "parameter_memory_gb": 70.553706496, "kv_per_request_gb": 0.33554432}
    for key, value in expected.items():
        assert abs(got[key] / value - 1) < 1e-9, (
            f"8-bit weights, 4-bit cache, 4096 tokens: {key} {value}, yours {got[key]}"
        )
    assert got["max_batch"] == 1697, f"8-bit weights, 4-bit cache, TP 8: 1697 requests, yours {got['max_batch']}"
    assert isinstance(got["max_batch"], int) and isinstance(got["parameters"], int), "counts are ints"
    for values in ((0, 8192, 2, 2, 1), (80e9, 0, 2, 2, 1), (80e9, 8192, 0, 2, 1), (80e9, 8192, 2, 2, 3)):
        try:
            capacity_table(LLAMA_3_8B, *values)
        except ValueError:
            continue
        raise AssertionError(f"gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp = {values} was accepted")


hidden_capacity_table()

# %% [markdown] task="max_batch_for_tpot" stars=2 minutes=15
# ## 6. The batch that is still fast enough
#
# Memory is one limit on the batch, speed is the other. A decode step reads the weights once and the KV cache of every sequence once. Write `max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms)`: the largest batch whose decode step takes at most `tpot_ms` milliseconds, as an `int`; 0 where even the weights take longer.
#
# `bandwidth` is that of all GPUs together in bytes per second: use a share of the data sheet's value that your kernels reach.
#
# Example: 6 GB of weights, 1 GB per request, 1 TB/s, 10 ms: in 10 ms 10 GB can be read, so 4 requests.
#
# <details><summary>Hint 1</summary>
#
# How many bytes can be read in the time allowed? Which of them are already spoken for?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Bytes allowed minus weights, whole requests, not below 0. `tpot_ms` is in milliseconds, `bandwidth` in bytes per second.
#
# </details>


# %% solution="max_batch_for_tpot"
def max_batch_for_tpot(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms):
    """Largest batch whose decode step, reading weights and all KV caches once, takes at most tpot_ms; an int.

    weight_bytes, kv_bytes_per_request in bytes, bandwidth in bytes per second, tpot_ms in ms, all above 0.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if min(weight_bytes, kv_bytes_per_request, bandwidth, tpot_ms) <= 0:
        raise ValueError(f"not positive: {weight_bytes}, {kv_bytes_per_request}, {bandwidth}, {tpot_ms}")
    readable = bandwidth * tpot_ms / 1000
    return max(0, math.floor((readable - weight_bytes) / kv_bytes_per_request))
    ### END SOLUTION


# %% tryit="max_batch_for_tpot"
targets = [10, 20, 30, 40, 50, 60, 80, 100]
total_bandwidth = 8 * A100_BANDWIDTH * BANDWIDTH_SHARE
fig, ax = figure()
for context in (2048, 8192):
    request = kv_bytes_per_token(LLAMA_3_70B) * context
    batches = [max_batch_for_tpot(weight_bytes(LLAMA_3_70B), request, total_bandwidth, target) for target in targets]
    print(f"Llama-3-70B on 8 A100, {context} tokens each, batch at {targets} ms: {batches}")
    ax.plot(targets, batches, marker="o", label=f"{context} tokens each")
ax.set(xlabel="time per output token allowed (ms)", ylabel="batch (sequences)")
ax.legend()
show(
    fig,
    alt="The batch that still meets a time per token: it rises in a straight line, four times steeper at 2048 tokens.",
)


# %% test="max_batch_for_tpot" points=1
def test_max_batch_for_tpot():
    got = max_batch_for_tpot(6e9, 1e9, 1e12, 10)
    assert got is not None, "max_batch_for_tpot returned None: is there a return statement?"
    assert got != 10, "10 forgets that the weights are read in every step as well"
    assert got != 9994, "9994 takes tpot_ms for seconds"
    assert got == 4, f"10 GB can be read in 10 ms, 6 are weights: 4 requests, you returned {got}"
    got = max_batch_for_tpot(6e9, 1e9, 1e12, 5)
    assert got == 0, f"the weights alone take 6 ms: 0 requests in 5 ms, never negative; you returned {got}"
    for values, bad in (((0, 1, 1, 1), "0"), ((1, -2, 1, 1), "-2"), ((1, 1, -3, 1), "-3"), ((1, 1, 1, -4), "-4")):
        try:
            max_batch_for_tpot(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"max_batch_for_tpot{values} was accepted")


test_max_batch_for_tpot()


# %% hidden="max_batch_for_tpot" points=2
def hidden_max_batch_for_tpot():
    import numpy as np

    rng = np.random.default_rng(66)
    for _ in range(40):
        weights, request, milliseconds = (int(n) for n in rng.integers(1, 40, 3))
        bandwidth = 1000 * int(rng.integers(1, 9))
        expected = 0
        while (weights + (expected + 1) * request) * 1000 <= milliseconds * bandwidth:
            expected += 1
        got = max_batch_for_tpot(weights, request, bandwidth, milliseconds)
        assert got == expected, (
            f"weights {weights}, request {request}, {bandwidth} bytes/s, {milliseconds} ms: {expected}, you returned {got}"
        )
        assert isinstance(got, int), f"a batch is whole: return an int, not {type(got).__name__}"
    assert max_batch_for_tpot(6e9, 1e6, 1e12, 10) == 4000, "4 GB of caches of 1 MB each: 4000"
    assert max_batch_for_tpot(0.5, 0.25, 1000, 1) == 2, (
        "fractions of a unit are fine: 1 byte per step, half of it weights"
    )
    assert max_batch_for_tpot(1, 1, 2000, 4.75) == 8, "4.75 ms are more than 4"
    for values in ((-1, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0)):
        try:
            max_batch_for_tpot(*values)
        except ValueError:
            continue
        raise AssertionError(f"max_batch_for_tpot{values} was accepted")


hidden_max_batch_for_tpot()

# %% [markdown] task="littles_law" stars=1 minutes=5
# ## 7. Little's law
#
# In any system in a steady state, the number of things inside is the rate at which they pass through times the time that each one stays ([Little 1961](https://doi.org/10.1287/opre.9.3.383)). It holds for people in a shop, requests in a server and tokens in flight.
#
# Write `littles_law(throughput, latency)`: the concurrency, from a throughput per second and a latency in **seconds**. 0 is fine.
#
# Example: a server gives 1000 tokens per second and each token takes 50 ms, that is 0.05 s: 50 sequences are in the batch.
#
# <details><summary>Hint 1</summary>
#
# Units: things per second times seconds.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One product, after the checks.
#
# </details>


# %% solution="littles_law"
def littles_law(throughput, latency):
    """Mean number of things in a system: throughput per second times seconds inside.

    throughput, latency: 0 or more. Raises ValueError for negative values.
    """
    ### BEGIN SOLUTION
    if throughput < 0 or latency < 0:
        raise ValueError(f"throughput and latency cannot be negative, got {throughput} and {latency}")
    return throughput * latency
    ### END SOLUTION


# %% tryit="littles_law"
print(f"1000 tokens/s at 50 ms per token: {littles_law(1000, 0.05):.0f} sequences decode at a time")
print(f"20 requests/s that take 8 s each: {littles_law(20, 8):.0f} requests are in the server")


# %% test="littles_law" points=1
def test_littles_law():
    got = littles_law(1000, 0.05)
    assert got is not None, "littles_law returned None: is there a return statement?"
    assert abs(got - 20_000) > 1, "20000 divides; concurrency is a product"
    assert abs(got - 50) < 1e-9, f"1000 per second, 0.05 s each: 50, you returned {got}"
    for values, bad in (((-2, 1), "-2"), ((1, -3), "-3")):
        try:
            littles_law(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"littles_law{values} was accepted")


test_littles_law()


# %% hidden="littles_law" points=1
def hidden_littles_law():
    import numpy as np

    got = littles_law(2, 600)
    assert abs(got - 1200) < 1e-9, f"2 a second for 600 seconds: 1200 at a time, you returned {got}"
    # watch a queue: one thing arrives each 1/rate seconds and stays `stay` seconds; count who is inside, on average
    for rate, stay in ((4, 3), (10, 3), (10, 0.55), (1, 7.5)):
        arrivals = np.arange(0, 200, 1 / rate)
        moments = np.linspace(50, 150, 4001) + 1e-6
        inside = ((arrivals[None] <= moments[:, None]) & (moments[:, None] < arrivals[None] + stay)).sum(1).mean()
        got = littles_law(rate, stay)
        assert abs(got - inside) < 0.05, (
            f"{rate} per second, {stay} s each: {inside:.2f} were inside, you returned {got}"
        )
    assert abs(littles_law(1 / 3, 1 / 7) - 1 / 21) < 1e-12, "1/3 per second, 1/7 s each: 1/21, not rounded"
    assert littles_law(0, 5) == 0 and littles_law(5, 0) == 0, "nothing arrives, or nothing stays: 0"
    for values in ((-0.5, 2), (2, -0.5), (-1, -1)):
        try:
            littles_law(*values)
        except ValueError:
            continue
        raise AssertionError(f"littles_law{values} was accepted")


hidden_littles_law()

# %% [markdown] task="plan_70b" stars=3 minutes=40
# ## 8. Plan a 70B service
#
# The job: serve Llama-3-70B in bf16 on one machine with eight A100 80GB (80e9 bytes each), tensor parallel over all eight. A request brings a prompt of **7168** tokens and gets an answer of **1024**, so it ends with 8192. The product asks for **100 conversations at a time**, a time to first token below **1 s** and at most **50 ms** between tokens. Is that feasible, and what would you change first?
#
# Write `plan_70b()`. Return a dict:
#
# | key | what |
# |---|---|
# | `"kv_gb"` | KV cache of one sequence at its end, 8192 tokens, in GB |
# | `"sequences"` | sequences that fit if all of the memory may be used |
# | `"sequences_90"` | the same with 90 percent of each GPU, as engines do |
# | `"sequences_8bit_kv"` | all of the memory, KV cache in 8 bit |
# | `"weight_floor_ms"` | time to read all weights once at the full data-sheet bandwidth of eight GPUs (count the embedding too, although a step only looks up its rows) |
# | `"step_ms"` | a decode step with `sequences_90` full sequences at `BANDWIDTH_SHARE` of that bandwidth |
# | `"sequences_itl"` | the most sequences that fit in 90 percent of the memory **and** keep the step within 50 ms at that share |
# | `"ttft_s"` | prefill of one prompt, 7168 tokens, alone on the machine, at `FLOPS_SHARE` of the peak of eight GPUs |
# | `"requests_per_s"` | the most requests per second that `FLOPS_SHARE` of that peak can compute, prompt and answer |
# | `"sequences_lasting"` | how many sequences decode at a time at that rate, when a request decodes 1024 tokens of 50 ms each: a whole number, rounded down |
# | `"load_verdict"` | can 100 conversations at a time be sustained within 50 ms, each one that ends being followed by a new one? `"feasible"` or `"infeasible"` |
# | `"ttft_verdict"` | the first token within 1 s: `"feasible"`, `"only when idle"` (met by a request that finds the machine empty, missed as soon as it must share it with others), or `"infeasible"` |
# | `"first_lever"` | the change that lets the most conversations last: `"8-bit KV cache"`, `"4-bit weights"` or `"compute fewer prompt tokens"` |
#
# A100 figures and the two shares are in the set-up cell; `forward_flops(config, tokens)` and `request_flops(config, input_tokens, output_tokens)["total"]` are the engine's. Use your functions of exercises 1 to 7.
#
# <details><summary>Hint 1</summary>
#
# Eight GPUs that split everything evenly are one GPU with eight times the memory, bandwidth and FLOP/s, as long as you do not ask for the communication between them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For `sequences_itl` two limits hold at once. For `sequences_lasting` think of Little's law: how long does a request decode? For the verdict and the lever compare three counts: what fits, what decodes in time, and what lasts. Which resource sets the smallest?
#
# </details>


# %% solution="plan_70b"
def plan_70b():
    """The plan for Llama-3-70B in bf16 on 8 x A100 80GB, TP 8, prompts of 7168 and answers of 1024 tokens: a dict."""
    ### BEGIN SOLUTION
    gpus, prompt, answer = 8, 7168, 1024
    context = prompt + answer
    kv = kv_bytes_per_token(LLAMA_3_70B) * context
    weights = weight_bytes(LLAMA_3_70B)
    bandwidth = gpus * A100_BANDWIDTH
    reached = BANDWIDTH_SHARE * bandwidth
    plan = {"kv_gb": kv / 1e9}
    plan["sequences"] = max_batch_size_tp(LLAMA_3_70B, A100_BYTES, context, tp=gpus)
    plan["sequences_90"] = max_batch_size_tp(LLAMA_3_70B, 0.9 * A100_BYTES, context, tp=gpus)
    plan["sequences_8bit_kv"] = max_batch_size_tp(LLAMA_3_70B, A100_BYTES, context, kv_bytes_per=1, tp=gpus)
    plan["weight_floor_ms"] = 1000 * weights / bandwidth
    plan["step_ms"] = 1000 * (weights + plan["sequences_90"] * kv) / reached
    plan["sequences_itl"] = min(plan["sequences_90"], max_batch_for_tpot(weights, kv, reached, 50))
    flops = FLOPS_SHARE * gpus * A100_FLOPS
    plan["ttft_s"] = forward_flops(LLAMA_3_70B, prompt) / flops
    plan["requests_per_s"] = flops / request_flops(LLAMA_3_70B, prompt, answer)["total"]
    plan["sequences_lasting"] = int(littles_law(plan["requests_per_s"], answer * 0.050))
    plan["load_verdict"] = "infeasible"
    plan["ttft_verdict"] = "only when idle"
    plan["first_lever"] = "compute fewer prompt tokens"
    return plan
    ### END SOLUTION


# %% tryit="plan_70b"
for key, value in plan_70b().items():
    print(f"{key:18} {value if isinstance(value, (int, str)) else round(value, 3)}")


# %% test="plan_70b" points=2
def test_plan_70b():
    got = plan_70b()
    assert got is not None, "plan_70b returned None: is there a return statement?"
    words = {"load_verdict", "ttft_verdict", "first_lever"}
    numbers = {"kv_gb", "sequences", "sequences_90", "sequences_8bit_kv", "weight_floor_ms", "step_ms", "sequences_itl"}
    missing = (words | numbers | {"ttft_s", "requests_per_s", "sequences_lasting"}) - set(got)
    assert not missing, f"these keys are missing: {sorted(missing)}"
    assert abs(got["kv_gb"] - 2.5) > 1e-6, "2.5 is GiB; the key says GB"
    assert abs(got["kv_gb"] - 2.684) < 0.001, f"one sequence keeps 2.684 GB, yours: {got['kv_gb']}"
    assert got["sequences"] != 238, "238 forgets the weights"
    assert got["sequences"] == 185, f"185 sequences fit at 100 percent of the memory, yours: {got['sequences']}"
    floor = got["weight_floor_ms"]
    assert abs(floor - 69.2) > 0.1, "69.2 ms is one GPU; each of the eight reads its own eighth at the same time"
    assert abs(floor - 8.65) < 0.01, f"the weights take 8.65 ms at TP 8, yours: {floor}"
    rate = got["requests_per_s"]
    assert abs(rate - 1.17) > 0.01, "1.17 counts the prompts alone; the answers are computed too"
    assert abs(rate - 1.0175) < 0.001, f"1.02 requests per second can be computed at half of the peak, yours: {rate}"
    verdicts = {"feasible", "only when idle", "infeasible"}
    assert {got["load_verdict"], got["ttft_verdict"]} <= verdicts, f"a verdict is one of {sorted(verdicts)}"
    levers = {"8-bit KV cache", "4-bit weights", "compute fewer prompt tokens"}
    assert got["first_lever"] in levers, f"the first lever is one of {sorted(levers)}"


test_plan_70b()


# %% hidden="plan_70b" points=4
def hidden_plan_70b():
    got = plan_70b()
    weights, sequence, bandwidth, flops = 2 * 70_553_706_496, 327_680 * 8192, 8 * 2.039e12, 8 * 312e12
    fit = int((0.9 * 8 * 80e9 - weights) // sequence)
    floor = 1000 * weights / bandwidth
    assert abs(got["weight_floor_ms"] / floor - 1) < 1e-6, (
        f"the floor is {floor:.4f} ms, yours: {got['weight_floor_ms']}"
    )
    assert abs(got["kv_gb"] / 2.68435456 - 1) < 1e-6, f"one sequence keeps 2.68435456 GB, yours: {got['kv_gb']}"
    assert got["sequences_90"] == fit == 162, f"162 sequences fit into 90 percent, yours: {got['sequences_90']}"
    assert got["sequences_8bit_kv"] == 371, f"371 fit with an 8-bit cache, yours: {got['sequences_8bit_kv']}"
    step = 1000 * (weights + fit * sequence) / (0.7 * bandwidth)
    assert abs(got["step_ms"] / step - 1) < 1e-6, (
        f"a step of 162 full sequences takes {step:.1f} ms, yours: {got['step_ms']}"
    )
    fast = next(n for n in range(1, 1000) if 1000 * (weights + (n + 1) * sequence) / (0.7 * bandwidth) > 50)
    assert got["sequences_itl"] == min(fit, fast) == 160, (
        f"160 keep within 50 ms and fit, yours: {got['sequences_itl']}"
    )
    matrices = 80 * (2 * 8192 * 8192 + 2 * 8192 * 1024 + 3 * 8192 * 28672) + 8192 * 128256

    def seconds(
        first, last
    ):  # to compute the tokens from number first to number last, each sees those before and itself
        pairs = sum(range(first, last + 1))
        return (2 * (last - first + 1) * matrices + 4 * 80 * 8192 * pairs) / (0.5 * flops)

    ttft, request = seconds(1, 7168), seconds(1, 7168 + 1023)  # the last token of the answer is never fed
    assert abs(got["ttft_s"] / ttft - 1) < 1e-6, (
        f"the prefill takes {ttft:.3f} s at half of the peak, yours: {got['ttft_s']}"
    )
    assert abs(got["requests_per_s"] * request - 1) < 1e-6, (
        f"a request of 7168 and 1024 tokens takes {request:.4f} s of arithmetic, so {1 / request:.4f} fit into a second, "
        f"yours: {got['requests_per_s']}"
    )
    lasting = int(51.2 / request)
    assert got["sequences_lasting"] == lasting == 52, (
        f"each decodes for 1024 steps of 50 ms, 51.2 s, so {lasting} decode at a time, yours: {got['sequences_lasting']}"
    )
    assert got["load_verdict"] == "infeasible", (
        "100 fit and 100 decode in time, but their successors' prompts ask for twice the arithmetic there is: infeasible"
    )
    assert got["ttft_verdict"] == "only when idle", (
        f"a prompt alone takes {ttft:.2f} s of the 1 s; any queue, or decode steps in between, break it: only when idle"
    )
    assert got["first_lever"] == "compute fewer prompt tokens", (
        "arithmetic sets the smallest of the three counts, and seven of eight tokens computed belong to prompts; fewer "
        "bytes of cache or weights leave it as it is"
    )


hidden_plan_70b()

# %% [markdown] answer="plan_70b" points=4
# ## 9. The recommendation
#
# *Written answer.* Write the recommendation you would send with these numbers, eight sentences at most: how many conversations the machine holds, how many of them decode within 50 ms, how many it can sustain, whether 100 conversations and the 1 s can be promised, which change comes first and why, and which of your assumptions you would measure before you sign.
#
# ### BEGIN SOLUTION
# **Model answer.** Eight A100 hold the model (141 GB of 640 GB) and, with a tenth of the memory left free, 162 sequences of 8192 tokens; 160 of them can be read within 50 ms if kernels reach 70 percent of the bandwidth. But a conversation ends after 1024 tokens, and its successor brings 7168 prompt tokens to compute. At half of the peak the arithmetic is enough for 1.02 requests per second, which is 52 conversations at a time, so 100 cannot be sustained: the queue would grow for as long as the load lasts. The first token within 1 s can be promised on an idle machine only, since the prompt alone takes 0.85 s. The first change is to compute fewer prompt tokens, by caching shared beginnings; where documents differ, by prefill machines of their own or 8-bit arithmetic. An 8-bit cache doubles what fits, which is not what is short here. Before signing I would measure the share of FLOP/s and bandwidth on this machine with its communication, and the real lengths of prompts and answers, because for short prompts and long answers another limit comes first.
#
# **Rubric, 1 point each.** (1) Memory: about 160 sequences, with the reserve named. (2) 100 conversations not sustained, with the arithmetic of the prompts as reason; TTFT not under load, with the prefill time as reason. (3) A first lever argued from the resource that runs out first (fewer prompt tokens; another one if it is argued by numbers for a stated workload). (4) An assumption to be measured: efficiency shares, communication, lengths, arrival pattern.
# ### END SOLUTION

# %% [markdown] task="service_cost" stars=3 minutes=30
# ## 10. Mixed lengths, and the price of a million tokens
#
# Real requests are not alike. Given some typical ones, equally frequent, what does a million tokens of answer cost on one GPU, and is that worth it? Write `service_cost(config, requests, gpu_bytes, bandwidth, peak_flops, tpot_ms, usd_per_hour, usd_limit)`. `requests` is a list of pairs (prompt tokens, answer tokens). Return a dict:
#
# | key | what |
# |---|---|
# | `"resident_tokens"` | cached tokens that a running request holds on average. A request with a prompt of $P$ and an answer of $n$ tokens runs for $n$ steps and holds $P, P + 1, \dots, P + n - 1$ tokens in them. The mean goes over all steps of all requests, so long answers weigh more: at any moment most of what runs is long |
# | `"batch"` | the most requests that run at once: the smallest of three whole numbers, each 0 or more. **memory**: weights and caches fit into `gpu_bytes`. **reading**: weights and caches can be read within `tpot_ms` at `bandwidth`. **arithmetic**: `peak_flops` can compute, within `tpot_ms`, one answer token of each, together with its share of the prompts: the FLOPs of all requests over their answer tokens |
# | `"limit"` | `"memory"`, `"reading"` or `"arithmetic"`: which of the three it is; of equals the first |
# | `"tokens_per_s"` | answer tokens per second: `batch` over the time of a step, which is the larger of its reading and its arithmetic |
# | `"usd_per_million"` | what a million answer tokens cost at `usd_per_hour` |
# | `"verdict"` | `"does not run"` for a batch of 0 (then the speed is 0.0 and the price `math.inf`), else `"too expensive"` if the price is above `usd_limit`, else `"worth it"` |
#
# Weights and caches take 2 bytes a number. `request_flops(config, prompt, answer)["total"]` is the engine's, `weight_bytes` is your exercise 1.
#
# Example for the first key: the requests (100, 10) and (100, 1000). The first holds 104.5 tokens on average, the second 599.5. But of 1,010 steps only 10 are the first one's: $(10 \cdot 104.5 + 1000 \cdot 599.5) / 1010 = 594.6$, and not 352.
#
# <details><summary>Hint 1</summary>
#
# Three totals over the requests give everything: answer tokens, held tokens over all steps, FLOPs. The first divides the other two.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Make a dict of the three limits; `min(limits, key=limits.get)` is the name of the smallest, and of equals the first. Tokens per hour are 3600 times tokens per second.
#
# </details>


# %% solution="service_cost"
def service_cost(config, requests, gpu_bytes, bandwidth, peak_flops, tpot_ms, usd_per_hour, usd_limit):
    """What a million answer tokens of a mixed workload cost on one GPU, and whether that is worth it: a dict.

    config: a model spec. requests: pairs (prompt, answer) of tokens, each 1 or more, at least one pair. bandwidth in
    bytes/s, peak_flops in FLOP/s: what kernels reach. usd_limit: dollars per million answer tokens. All numbers above 0.
    Returns {"resident_tokens", "batch", "limit", "tokens_per_s", "usd_per_million", "verdict"}. Raises ValueError for
    other values.
    """
    ### BEGIN SOLUTION
    for value in (gpu_bytes, bandwidth, peak_flops, tpot_ms, usd_per_hour, usd_limit):
        if value <= 0:
            raise ValueError(f"every number must be above 0, got {value}")
    if not requests:
        raise ValueError(f"a workload needs requests, got {requests}")
    flops = sum(request_flops(config, prompt, answer)["total"] for prompt, answer in requests)  # checks the tokens
    answers = sum(answer for _, answer in requests)
    resident = sum(answer * (prompt + (answer - 1) / 2) for prompt, answer in requests) / answers
    flops_per_answer = flops / answers
    weights, cache, step_s = weight_bytes(config), resident * kv_bytes_per_token(config), tpot_ms / 1000
    limits = {
        "memory": max(0, (gpu_bytes - weights) // cache),
        "reading": max(0, (bandwidth * step_s - weights) // cache),
        "arithmetic": peak_flops * step_s // flops_per_answer,
    }
    limit = min(limits, key=limits.get)
    batch = int(limits[limit])
    rate = batch / max((weights + batch * cache) / bandwidth, batch * flops_per_answer / peak_flops)
    price = 1e6 * usd_per_hour / 3600 / rate if batch else math.inf
    return {
        "resident_tokens": resident,
        "batch": batch,
        "limit": limit,
        "tokens_per_s": rate,
        "usd_per_million": price,
        "verdict": "does not run" if not batch else "too expensive" if price > usd_limit else "worth it",
    }
    ### END SOLUTION


# %% tryit="service_cost"
workloads = {
    "chat": [(200, 100), (400, 300), (1500, 500)],
    "documents": [(6000, 200), (8000, 500)],
    "reasoning": [(300, 2000), (300, 8000)],
}
for name, requests in workloads.items():
    for tpot_ms in (15, 40):
        plan = service_cost(
            LLAMA_3_8B, requests, 0.9 * A100_BYTES, 0.7 * A100_BANDWIDTH, 0.5 * A100_FLOPS, tpot_ms, 2.0, 0.5
        )
        print(f"{name:10} within {tpot_ms} ms: batch {plan['batch']:3} ({plan['limit']}), ", end="")
        print(f"{plan['tokens_per_s']:5.0f} tokens/s, {plan['usd_per_million']:5.2f} dollars: {plan['verdict']}")


# %% test="service_cost" points=2
def test_service_cost():
    import math

    from mini_engine.config import ModelConfig

    toy = ModelConfig("toy", 1, 4, 1, 1, 11, 11, 4)  # 296 parameters, 16 bytes of cache per token

    def cost(requests=((3, 1), (3, 4)), gpu=1200, bandwidth=1e6, peak=1e9, tpot=10, hour=3.6, limit=0.5):
        got = service_cost(toy, list(requests), gpu, bandwidth, peak, tpot, hour, limit)
        assert isinstance(got, dict), f"service_cost should return a dict, you returned {type(got).__name__}"
        return got

    got = cost([(100, 10), (100, 1000)], gpu=1e6)
    keys = {"resident_tokens", "batch", "limit", "tokens_per_s", "usd_per_million", "verdict"}
    assert set(got) == keys, f"the keys are {sorted(keys)}, yours: {sorted(got)}"
    held = got["resident_tokens"]
    assert abs(held - 352) > 0.1, "352 gives each request the same weight; a request of 1000 steps is there more often"
    assert abs(held - 600545 / 1010) < 1e-6, f"(100, 10) and (100, 1000) hold 594.6 tokens on average, yours: {held}"
    got = cost()  # resident 4.2 tokens, 67.2 bytes; weights 592
    assert got["limit"] == "memory", f"608 bytes for caches of 67.2: memory is the limit, you say {got['limit']!r}"
    assert got["batch"] == 9, f"608 bytes hold 9 caches of 67.2 bytes, you say {got['batch']}"
    rate = 9 / ((592 + 9 * 67.2) / 1e6)
    assert abs(got["tokens_per_s"] / rate - 1) < 1e-9, (
        f"9 tokens in the 1.20 ms that reading takes: {rate:.0f} per second, you say {got['tokens_per_s']}"
    )
    price = 1e6 * 3.6 / (3600 * rate)
    assert abs(got["usd_per_million"] - price * 3600) > 1e-6, "usd_per_hour is for 3600 seconds"
    assert abs(got["usd_per_million"] / price - 1) < 1e-9, (
        f"a million tokens take {1e6 / rate:.0f} s and cost {price:.4f}, you say {got['usd_per_million']}"
    )
    assert got["verdict"] == "worth it", f"{price:.3f} is below the limit of 0.5: worth it, you say {got['verdict']!r}"
    got = cost(limit=0.1)
    assert got["verdict"] == "too expensive", f"{price:.3f} is above 0.1: too expensive, you say {got['verdict']!r}"
    got = cost(limit=got["usd_per_million"])
    assert got["verdict"] == "worth it", "a price that equals the limit is not above it: worth it"
    got = cost(gpu=500)
    assert got["verdict"] == "does not run", f"no cache fits beside the weights, you say {got['verdict']!r}"
    nothing = (got["batch"], got["tokens_per_s"], got["usd_per_million"])
    assert nothing == (0, 0.0, math.inf), f"batch 0, speed 0.0 and price math.inf, you say {nothing}"
    try:
        cost([])
    except ValueError:
        pass
    else:
        raise AssertionError("no requests at all were accepted: raise ValueError")


test_service_cost()


# %% hidden="service_cost" points=4
def hidden_service_cost():
    import math

    import numpy as np

    from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M

    rng = np.random.default_rng(606)
    seen = {key: set() for key in ("limit", "verdict")}
    for case in range(60):
        config = (LLAMA_3_8B, SMOLLM2_135M)[case % 2]
        weights, per_token = ((2 * 8_030_261_248, 131_072), (2 * 134_515_008, 23_040))[case % 2]
        matmul = (weights // 2 - (128_256 * 4096 + 65 * 4096), weights // 2 - 61 * 576)[case % 2]
        width = (32 * 32 * 128, 30 * 9 * 64)[case % 2]
        requests = [tuple(int(n) for n in rng.integers(1, 400, 2)) for _ in range(int(rng.integers(1, 4)))]
        steps = held = work = 0
        for prompt, answer in requests:  # step by step; the last token of an answer is never fed
            for i in range(answer):
                steps, held = steps + 1, held + prompt + i
            fed = prompt + answer - 1
            pairs = fed * (fed + 1) // 2
            work += 2 * matmul * fed + 4 * width * pairs
        cache, flops = per_token * held / steps, work / steps
        gpu = weights + cache * float(rng.uniform(0.5, 60))
        tpot = 1000 * float(rng.uniform(0.5, 3)) * weights / 1e12
        peak = flops * 1000 / tpot * float(rng.uniform(0.5, 60))
        limit_usd, hour = float(rng.uniform(0.01, 0.4)), float(rng.uniform(0.5, 4))
        room = {
            "memory": (gpu - weights) / cache,
            "reading": (1e12 * tpot / 1000 - weights) / cache,
            "arithmetic": peak * tpot / 1000 / flops,
        }
        if any(abs(n - round(n)) < 1e-6 for n in room.values()):
            continue
        whole = {name: max(0, math.floor(n)) for name, n in room.items()}
        given = list(requests)
        got = service_cost(config, given, gpu, 1e12, peak, tpot, hour, limit_usd)
        assert given == requests, "the caller's requests were changed"
        assert abs(got["resident_tokens"] * steps / held - 1) < 1e-9, (
            f"{requests}: {held / steps:.3f} tokens are held on average over all steps, yours {got['resident_tokens']}"
        )
        batch = min(whole.values())
        assert got["batch"] == batch and isinstance(got["batch"], int), (
            f"the three limits are {whole}, so the batch is {batch}, an int; yours {got['batch']!r} "
            "(prompts counted in the arithmetic? each limit a whole number, 0 or more?)"
        )
        first = next(name for name, n in whole.items() if n == batch)
        assert got["limit"] == first, f"the limits are {whole}: {first}, of equals the first; yours {got['limit']!r}"
        seconds = max((weights + batch * cache) / 1e12, batch * flops / peak)
        price = hour / 3600 * seconds / batch * 1e6 if batch else math.inf
        assert abs(got["tokens_per_s"] - batch / seconds) < 1e-6 * batch / seconds + 1e-12, (
            f"{batch} tokens in {seconds:.3e} s, the larger of reading and arithmetic; yours {got['tokens_per_s']} per second"
        )
        same = got["usd_per_million"] == price or abs(got["usd_per_million"] / price - 1) < 1e-9
        assert same, f"a million answer tokens cost {price}, yours {got['usd_per_million']}"
        want = "does not run" if not batch else "too expensive" if price > limit_usd else "worth it"
        assert got["verdict"] == want, (
            f"batch {batch}, price {price} against {limit_usd}: {want}, yours {got['verdict']!r}"
        )
        seen["limit"].add(first)
        seen["verdict"].add(want)
    assert all(len(values) == 3 for values in seen.values()), f"the cases should show everything, they show {seen}"
    # limits that lie close together: of equal whole numbers the first is named, and nothing is below 0
    weights, cache, flops = 2 * 8_030_261_248, 131_072 * 100, 2 * (8_030_261_248 - 128_256 * 4096 - 65 * 4096) * 100
    flops += 4 * 32 * 32 * 128 * sum(range(1, 101))  # of the one request (100, 1)
    for memory, reading, arithmetic, batch, limit in (
        (9.9, 9.6, 9.3, 9, "memory"),
        (20.5, 9.6, 9.3, 9, "reading"),
        (20.5, 9.6, 8.9, 8, "arithmetic"),
        (9.0002, 20, 20, 9, "memory"),
        (20, 9.0002, 20, 9, "reading"),
        (20, 20, 9.0002, 9, "arithmetic"),
        (-2.5, -7.5, 3, 0, "memory"),
        (3, -7.5, 0.5, 0, "reading"),
    ):
        sizes = weights + memory * cache, (weights + reading * cache) / 0.02, arithmetic * flops / 0.02
        got = service_cost(LLAMA_3_8B, [(100, 1)], *sizes, 20, 2, 1)
        assert (got["batch"], got["limit"]) == (batch, limit), (
            f"memory holds {memory} requests, {reading} can be read and {arithmetic} computed in time: {batch}, {limit}; "
            f"yours {got['batch']}, {got['limit']}"
        )
    good = (80e9, 1e12, 1e14, 50, 2, 1)
    for i in range(6):
        bad = [*good]
        bad[i] = 0 if i % 2 else -1
        try:
            service_cost(LLAMA_3_8B, [(10, 10)], *bad)
        except ValueError:
            continue
        raise AssertionError(f"a number that is not above 0 was accepted: {bad}")
    for requests in ([(0, 5)], [(5, 0)], [(5, 5), (0, 3)], [(5, 5), (3, 0)], [(5, 5), (-2, 9), (5, 5)], []):
        try:
            service_cost(LLAMA_3_8B, requests, *good)
        except ValueError:
            continue
        raise AssertionError(f"the requests {requests} were accepted")


hidden_service_cost()

# %% [markdown]
# ## What to take along
#
# What must stay true: whole requests only, weights before caches, KV heads and not query heads, GB or GiB and never "G". What was computed, not measured: the two shares in the set-up cell stand for kernels, communication and scheduling; measure them on your own machine before you promise anything.
