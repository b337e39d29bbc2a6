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
# # 03 · The KV cache
#
# In this notebook you price, build and use a KV cache: the two arrays that let a decoder read its history instead of computing it again. The chapter *The KV cache* of the book tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One rule holds in every exercise: an argument that makes no sense raises `ValueError` (an id or a layer that does not exist: `IndexError`), the message holds the value, and nothing has changed. The docstring says which arguments are meant.

# %% setup=True
import math
import time

import numpy as np
import torch
import torch.nn.functional as F

from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, SMOLLM2_135M
from mini_engine.plotting import figure, show
from mini_engine.weights import load_tiny


def apply_rope(x, positions, theta):
    """Chapter 2's rotary embedding, half-split: x [..., N, d_h] (NumPy or torch), positions: the N token positions."""
    half = x.shape[-1] // 2
    angles = np.outer(np.asarray(positions), theta ** (-np.arange(half) / half))  # [N, d_h / 2]
    cos, sin = np.cos(angles), np.sin(angles)
    if isinstance(x, torch.Tensor):
        cos, sin = torch.from_numpy(cos).to(x), torch.from_numpy(sin).to(x)
        return torch.cat([x[..., :half] * cos - x[..., half:] * sin, x[..., half:] * cos + x[..., :half] * sin], -1)
    cos, sin = cos.astype(x.dtype), sin.astype(x.dtype)
    return np.concatenate([x[..., :half] * cos - x[..., half:] * sin, x[..., half:] * cos + x[..., :half] * sin], -1)


class PlainCache:
    """A cache for the checks: right, and slow, because it copies the whole history at every append."""

    lends = ("append", "length")  # what the tests let your code use

    def __init__(self, n_layers):
        self.layers = [None] * n_layers

    def append(self, layer, k, v):
        """Add k, v [..., H_kv, n, d_h] to a layer; returns everything that the layer holds now."""
        old = self.layers[layer]
        self.layers[layer] = (
            (k, v) if old is None else tuple(np.concatenate(p, -2) for p in zip(old, (k, v), strict=True))
        )
        return self.layers[layer]

    @property
    def length(self):
        """Tokens that every layer holds."""
        return min(0 if held is None else held[0].shape[-2] for held in self.layers)


# %% [markdown] task="kv_bytes_per_token" stars=1 minutes=10
# ## 1. Bytes per token
#
# Every layer keeps one key vector and one value vector per KV head for every token it has seen. Write `kv_bytes_per_token(config, bytes_per=2)`, the bytes that one more token adds to the cache over all layers:
#
# $$\text{bytes per token} = 2 \cdot L \cdot H_{kv} \cdot d_h \cdot b$$
#
# `config` has the fields `num_hidden_layers` ($L$), `num_attention_heads`, `num_key_value_heads` ($H_{kv}$), `hidden_size` and `head_dim` ($d_h$). `bytes_per` ($b$) is the size of one stored number. Return an `int`.
#
# Example: 2 layers, 3 KV heads of 4 numbers, 2 bytes each: $2 \cdot 2 \cdot 3 \cdot 4 \cdot 2 = 96$ bytes.
#
# A `bytes_per` that is zero or negative makes no sense.
#
# <details><summary>Hint 1</summary>
#
# Which of the two head counts in `config` says how many key vectors a layer stores? The query vectors are used once and thrown away.
#
# </details>
# <details><summary>Hint 2</summary>
#
# It is a product of five numbers. The factor 2 in front is there because K and V are two arrays of the same shape.
#
# </details>


# %% solution="kv_bytes_per_token"
def kv_bytes_per_token(config, bytes_per=2):
    """Bytes that one token adds to the KV cache of all layers.

    config: a model spec (see above). bytes_per: bytes per stored number, above 0.
    Returns an int. Raises ValueError when bytes_per is not positive.
    """
    ### BEGIN SOLUTION
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    return int(2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * bytes_per)
    ### END SOLUTION


# %% tryit="kv_bytes_per_token"
for spec in (SMOLLM2_135M, LLAMA_2_7B, LLAMA_3_8B):
    print(f"{spec.name:14} {kv_bytes_per_token(spec) / 1024:8.1f} KiB per token")


# %% test="kv_bytes_per_token" points=1
def test_kv_bytes_per_token():
    from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B

    got = kv_bytes_per_token(LLAMA_2_7B)
    assert got is not None, "kv_bytes_per_token returned None: is there a return statement?"
    assert got != 262_144, "Llama-2-7B: 262144 is half of it; each token stores a key and a value, two arrays"
    assert got == 524_288, f"Llama-2-7B stores 524288 bytes per token, you returned {got}"
    got = kv_bytes_per_token(LLAMA_3_8B)
    assert got != 524_288, "Llama-3-8B: 524288 counts all 32 query heads; only the 8 KV heads are stored"
    assert got == 131_072, f"Llama-3-8B stores 131072 bytes per token, you returned {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    try:
        kv_bytes_per_token(LLAMA_2_7B, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("bytes_per=0 was accepted: raise ValueError for sizes that make no sense")


test_kv_bytes_per_token()


# %% hidden="kv_bytes_per_token" points=2
def hidden_kv_bytes_per_token():
    import numpy as np

    from mini_engine.config import LLAMA_3_70B, SMOLLM2_135M, ModelConfig

    assert kv_bytes_per_token(SMOLLM2_135M) == 23_040, "SmolLM2-135M stores 23040 bytes per token"
    assert kv_bytes_per_token(LLAMA_3_70B) == 327_680, "Llama-3-70B stores 327680 bytes per token"
    assert kv_bytes_per_token(LLAMA_3_70B, 1) == 163_840, "with one byte per number the cache halves"
    got = kv_bytes_per_token(SMOLLM2_135M, 0.5)
    assert got == 5_760 and isinstance(got, int), (
        f"int4 is half a byte per number: 5760 as an int, you returned {got!r}"
    )
    rng = np.random.default_rng(4)
    for _ in range(20):
        layers, kv, rep, half, b = (int(n) for n in rng.integers(1, 9, 5))
        spec = ModelConfig("random", layers, 7 * half, kv * rep, kv, 16, 32, 2 * half)
        count = sum(b for _layer in range(layers) for _array in "KV" for _head in range(kv) for _i in range(2 * half))
        got = kv_bytes_per_token(spec, b)
        assert got == count, (
            f"{layers} layers, {kv} KV heads of {2 * half}, {b} bytes: counted {count}, you returned {got} "
            "(head_dim is its own field; it need not be hidden_size / num_attention_heads)"
        )
    large = ModelConfig("large", 512, 512, 512, 512, 16, 32, 512)
    got = kv_bytes_per_token(large, 16)
    assert got == 2**32, f"512 layers of 512 heads of 512, 16 bytes: 2^32 bytes per token, you returned {got}"
    for bad in (-1, -0.5):
        try:
            kv_bytes_per_token(SMOLLM2_135M, bad)
        except ValueError:
            continue
        raise AssertionError(f"bytes_per={bad} was accepted")


hidden_kv_bytes_per_token()

# %% [markdown] task="kv_cache_bytes" stars=1 minutes=10
# ## 2. Bytes of a whole cache
#
# A server holds many requests at once. Write `kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per)`, the bytes of the cache of `batch` requests with `tokens` tokens each. Every argument is a plain number here, so that you can price a model that you only know from its data sheet. Return an `int` of bytes, rounded up where `bytes_per` is a fraction (int4 stores half a byte per number).
#
# An idle server holds nothing: 0 requests or 0 tokens are 0 bytes. A negative count makes no sense, nor does a `bytes_per` that is not positive.
#
# Example: 3 requests of 5 tokens, 2 layers, 1 KV head of 4 numbers, 2 bytes each: $2 \cdot 3 \cdot 2 \cdot 5 \cdot 1 \cdot 4 \cdot 2 = 480$ bytes.
#
# Mind the units when you read the result: a GB is $10^9$ bytes, a GiB is $2^{30}$, 7% more. Data sheets and papers use both.
#
# <details><summary>Hint 1</summary>
#
# Nothing is shared between requests: two requests of the same length need twice the bytes of one.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Six arguments and the 2 for K and V, all multiplied. `math.ceil` makes an int of a product that has a fraction.
#
# </details>


# %% solution="kv_cache_bytes"
def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per):
    """Bytes of the KV cache of a batch of requests of equal length.

    batch, layers, tokens, kv_heads, head_dim: counts, 0 or more. bytes_per: bytes per stored number, above 0.
    Returns an int, rounded up to whole bytes. Raises ValueError for a negative count or a bytes_per not above 0.
    """
    ### BEGIN SOLUTION
    for count in (batch, layers, tokens, kv_heads, head_dim):
        if count < 0:
            raise ValueError(f"a count cannot be negative, got {count}")
    if bytes_per <= 0:
        raise ValueError(f"bytes_per must be positive, got {bytes_per}")
    numbers = 2 * batch * layers * tokens * kv_heads * head_dim
    return math.ceil(numbers * bytes_per)
    ### END SOLUTION


# %% tryit="kv_cache_bytes"
for tokens in (1_000, 8_000, 128_000):
    size = kv_cache_bytes(1, 32, tokens, 8, 128, 2)
    print(f"Llama-3-8B, {tokens:7,} tokens: {size / 1e9:6.2f} GB = {size / 2**30:6.2f} GiB per request")


# %% test="kv_cache_bytes" points=1
def test_kv_cache_bytes():
    got = kv_cache_bytes(4, 24, 2048, 8, 128, 2)
    assert got is not None, "kv_cache_bytes returned None: is there a return statement?"
    assert got != 402_653_184, "402653184 is half of it: K and V are two arrays of this size"
    assert got != 201_326_592, "201326592 is the cache of one request: multiply by the batch"
    assert got == 805_306_368, f"4 requests, 24 layers, 2048 tokens, 8 KV heads of 128: 805306368 bytes, not {got}"
    assert isinstance(got, int), f"bytes are whole: return an int, not {type(got).__name__}"
    got = kv_cache_bytes(1, 32, 110, 32, 128, 2)
    assert got == 55 * 2**20, f"a 110-token request on Llama-2-7B takes 55 MiB = 57671680 bytes, you returned {got}"
    assert kv_cache_bytes(8, 32, 0, 8, 128, 2) == 0, "a request without tokens holds 0 bytes"
    for bad in ((-1, 24, 2048, 8, 128, 2), (4, 24, 2048, 8, 128, 0)):
        try:
            got = kv_cache_bytes(*bad)
        except ValueError as error:
            named = any(str(value) in str(error) for value in bad if value <= 0)
            assert named, f"the ValueError should name the bad value, it says: {error}"
        else:
            raise AssertionError(f"kv_cache_bytes{bad} returned {got}: raise ValueError for sizes that make no sense")


test_kv_cache_bytes()


# %% hidden="kv_cache_bytes" points=2
def hidden_kv_cache_bytes():
    import numpy as np

    known = {
        (32, 32, 8192, 32, 128, 2): 137_438_953_472,
        (32, 32, 8192, 8, 128, 2): 34_359_738_368,
        (5, 32, 110, 32, 128, 2): 275 * 2**20,
        (100, 32, 2000, 32, 128, 2): 104_857_600_000,
        (1, 30, 1, 3, 64, 0.5): 5_760,
        (1, 1, 1, 1, 1, 0.25): 1,
        (1, 3, 1, 1, 1, 0.25): 2,
        (3, 1, 1, 1, 1, 0.125): 1,  # rounded up once, at the end
        (3, 1, 2**53 + 1, 1, 1, 1): 6 * (2**53 + 1),  # more than a float can count
        (0, 32, 100, 8, 128, 2): 0,
    }
    for sizes, want in known.items():
        got = kv_cache_bytes(*sizes)
        assert got == want, f"kv_cache_bytes{sizes} is {want}, you returned {got}"
        assert isinstance(got, int), f"kv_cache_bytes{sizes}: return an int, not {type(got).__name__}"
    rng = np.random.default_rng(42)
    for _ in range(20):
        sizes = tuple(int(n) for n in rng.integers(1, 6, 6))
        batch, layers, tokens, heads, dim, b = sizes
        want = np.zeros((2, batch, layers, tokens, heads, dim, b), np.uint8).nbytes  # an array of that many bytes
        got = kv_cache_bytes(*sizes)
        assert got == want, f"kv_cache_bytes{sizes}: an array of this shape has {want} bytes, you returned {got}"
    for position in range(6):
        for value in (-1, -3) if position < 5 else (-1, 0):
            sizes = [2, 2, 2, 2, 2, 2]
            sizes[0 if position else 2] = 0  # an idle server makes no sense of it either
            sizes[position] = value
            try:
                kv_cache_bytes(*sizes)
            except ValueError as error:
                assert str(value) in str(error), f"the message should hold the bad value {value}: {error}"
                continue
            raise AssertionError(f"kv_cache_bytes{tuple(sizes)} was accepted")


hidden_kv_cache_bytes()

# %% [markdown] task="tokens_processed" stars=2 minutes=15
# ## 3. How many tokens go through the model
#
# Count the work instead of timing it. A request has a prompt of $N$ tokens and writes $n$ new ones. Count the token positions that are pushed through the layers, over all passes: write `tokens_processed(prompt, new, cached)`.
#
# - **Without a cache** each pass starts again from the first token. The first pass sees $N$ tokens and writes one, the second sees $N + 1$, and so on: $N + (N+1) + \dots + (N+n-1)$.
# - **With a cache** the first pass sees the prompt, and each later pass sees only the token written last. The very last token is written and never fed back, so $n$ new tokens take $n$ passes, not $n + 1$: $N + (n - 1)$. (Many texts say $N + n$; it counts a pass nobody needs.)
#
# Example, $N = 3$, $n = 4$: without a cache $3 + 4 + 5 + 6 = 18$, with one $3 + 1 + 1 + 1 = 6$.
#
# Return an `int`, exact for any size. No new token means no pass: 0 either way. A prompt shorter than 1 or a negative `new` makes no sense.
#
# <details><summary>Hint 1</summary>
#
# Write down the number of tokens that go into each of the four passes of the example. Where does the last written token appear?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Python's `sum` over a `range` is exact and short. The range starts at `prompt` and has `new` members.
#
# </details>


# %% solution="tokens_processed"
def tokens_processed(prompt, new, cached):
    """Token positions pushed through the model while it writes `new` tokens after a prompt.

    prompt: tokens in the prompt, 1 or more. new: tokens written, 0 or more (0 takes no pass). cached: is there a KV
    cache? Returns an int. Raises ValueError for a prompt below 1 or a negative new.
    """
    ### BEGIN SOLUTION
    if prompt < 1:
        raise ValueError(f"a prompt has at least 1 token, got {prompt}")
    if new < 0:
        raise ValueError(f"new cannot be negative, got {new}")
    if new == 0:
        return 0
    if cached:
        return prompt + new - 1
    return sum(range(prompt, prompt + new))
    ### END SOLUTION


# %% tryit="tokens_processed"
for prompt, new in ((3, 4), (100, 1000), (512, 2000)):
    without, with_cache = (tokens_processed(prompt, new, cached) for cached in (False, True))
    print(f"prompt {prompt:4}, {new:5} new: {without:9,} tokens without a cache, {with_cache:5,} with one")


# %% test="tokens_processed" points=1
def test_tokens_processed():
    got = tokens_processed(3, 4, cached=False)
    assert got is not None, "tokens_processed returned None: is there a return statement?"
    assert got != 25, "25 = 3+4+5+6+7 has five passes: four new tokens need four"
    assert got == 18, f"3 prompt tokens, 4 new, no cache: 3+4+5+6 = 18, you returned {got}"
    got = tokens_processed(3, 4, cached=True)
    assert got != 7, "with a cache 7 = 3 + 4 feeds the last token back, and what comes out is never read"
    assert got == 6, f"3 prompt tokens, 4 new, cache: 3+1+1+1 = 6, you returned {got}"
    got = tokens_processed(100, 1000, cached=False)
    assert got == 599_500, f"prompt 100, 1000 new, no cache: 599500, you returned {got}"
    assert isinstance(got, int), f"a count is whole: return an int, not {type(got).__name__}"
    assert tokens_processed(7, 1, True) == tokens_processed(7, 1, False) == 7, "one new token takes one pass either way"
    for bad in ((0, 5), (5, -1)):
        try:
            got = tokens_processed(*bad, cached=True)
        except ValueError as error:
            assert str(min(bad)) in str(error), f"the ValueError should name the bad value {min(bad)}: {error}"
        else:
            raise AssertionError(f"prompt, new = {bad} returned {got}: raise ValueError, such a request cannot exist")


test_tokens_processed()


# %% hidden="tokens_processed" points=2
def hidden_tokens_processed():
    import numpy as np

    assert tokens_processed(512, 2000, False) == 3_023_000, "prompt 512, 2000 new, no cache: 3023000"
    assert tokens_processed(512, 2000, True) == 2_511, "prompt 512, 2000 new, cache: 2511"
    rng = np.random.default_rng(43)
    cases = [(1, 1), (1, 2), (9, 1)] + [(int(p), int(n)) for p, n in rng.integers(1, 60, (20, 2))]
    for prompt, new in cases:
        for cached in (False, True):
            held, count = 0, 0  # count one token at a time what a generation loop feeds
            for step in range(new):
                for _token in range(held if cached else 0, prompt + step):
                    count += 1
                held = prompt + step
            got = tokens_processed(prompt, new, cached)
            assert got == count, f"prompt {prompt}, new {new}, cached={cached}: counted {count}, you returned {got}"
    big, many = 10**13 + 3, 10**6 + 1
    want = big * many + many * (many - 1) // 2
    assert tokens_processed(big, many, False) == want, f"must stay exact for large sizes: {want}"
    for cached in (False, True):
        got = tokens_processed(5, 0, cached)
        assert got == 0, f"no new token takes no pass: 0, you returned {got} for cached={cached}"
        for bad in ((0, 3), (-2, 3), (3, -1), (3, -4), (0, 0)):
            try:
                got = tokens_processed(*bad, cached)
            except ValueError as error:
                assert str(min(bad)) in str(error), f"the message should hold the bad value {min(bad)}: {error}"
                continue
            raise AssertionError(f"prompt, new = {bad} was accepted and gave {got}")


hidden_tokens_processed()

# %% [markdown] task="cache_work_ratio" stars=1 minutes=10
# ## 4. What the cache saves
#
# Write `cache_work_ratio(prompt, new)`: the tokens processed without a cache, divided by the tokens processed with one, as a float. You may call your `tokens_processed`.
#
# Example, $N = 3$, $n = 4$: $18 / 6 = 3.0$. One new token: $1.0$, the cache saves nothing.
#
# A request that writes no token has no ratio: a `new` below 1 makes no sense, nor does a prompt below 1.
#
# <details><summary>Hint 1</summary>
#
# The ratio of the two counts of exercise 3. For which requests would you divide by zero?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `tokens_processed` already rejects a prompt below 1; only `new == 0` slips through it.
#
# </details>


# %% solution="cache_work_ratio"
def cache_work_ratio(prompt, new):
    """Tokens processed without a cache over tokens processed with one.

    prompt, new: token counts, 1 or more. Returns a float, 1.0 or more. Raises ValueError for a count below 1.
    """
    ### BEGIN SOLUTION
    if new < 1:
        raise ValueError(f"new must be at least 1, got {new}")
    return tokens_processed(prompt, new, cached=False) / tokens_processed(prompt, new, cached=True)
    ### END SOLUTION


# %% tryit="cache_work_ratio"
fig, ax = figure()
lengths = np.unique(np.geomspace(1, 4000, 60).astype(int))
for prompt in (10, 100, 1000):
    ax.loglog(lengths, [cache_work_ratio(prompt, int(new)) for new in lengths], label=f"prompt {prompt}")
ax.loglog(lengths, lengths / 2, "k:", label="new / 2")
ax.set(xlabel="new tokens", ylabel="tokens without a cache / with one", title="Work that the cache saves")
ax.legend()
show(fig, alt="The ratio rises with the new tokens and nears half their number, for every prompt length.")


# %% test="cache_work_ratio" points=1
def test_cache_work_ratio():
    got = cache_work_ratio(3, 4)
    assert got is not None, "cache_work_ratio returned None: is there a return statement?"
    assert got > 1, f"without a cache there is more work, so the ratio is above 1: did you divide the wrong way? {got}"
    assert abs(got - 3) < 1e-12, f"prompt 3, new 4: 18 / 6 = 3.0, you returned {got}"
    got = cache_work_ratio(100, 1000)
    assert abs(got - 599_500 / 1099) < 1e-9, f"prompt 100, new 1000: 599500 / 1099 = 545.495…, you returned {got}"
    assert cache_work_ratio(50, 1) == 1, "one new token: both ways take one pass over the prompt, ratio 1"
    for bad in ((5, 0), (0, 5)):
        try:
            got = cache_work_ratio(*bad)
        except ValueError as error:
            assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
        except ZeroDivisionError as error:
            raise AssertionError(f"prompt, new = {bad} divided by zero: raise ValueError before that") from error
        else:
            raise AssertionError(f"prompt, new = {bad} returned {got}: raise ValueError")


test_cache_work_ratio()


# %% hidden="cache_work_ratio" points=1
def hidden_cache_work_ratio():
    from fractions import Fraction

    import numpy as np

    got = cache_work_ratio(5, 1)
    assert got == 1 and isinstance(got, float), f"one new token: the float 1.0, not {got!r}"
    rng = np.random.default_rng(44)
    for prompt, new in [(1, 2), (1, 99)] + [(int(p), int(n)) for p, n in rng.integers(1, 400, (20, 2))]:
        want = float(Fraction(sum(prompt + step for step in range(new)), prompt + new - 1))
        got = cache_work_ratio(prompt, new)
        assert abs(got - want) < 1e-9 * want, f"prompt {prompt}, new {new}: {want}, you returned {got}"
        assert isinstance(got, float), f"return a float (no rounding), not {type(got).__name__}"
    growth = cache_work_ratio(100, 2_000_000) / 2_000_000
    assert abs(growth - 0.5) < 1e-3, f"for many new tokens the ratio nears new / 2, yours is {growth:.3f} · new"
    for bad in ((4, -1), (-3, 4)):
        try:
            got = cache_work_ratio(*bad)
        except ValueError as error:
            assert str(min(bad)) in str(error), f"the message should hold the bad value {min(bad)}: {error}"
            continue
        raise AssertionError(f"prompt, new = {bad} was accepted and gave {got}")


hidden_cache_work_ratio()

# %% [markdown]
# **In your own words.** In at most 150 words: how does the ratio grow with the number of new tokens at a fixed prompt, and how with the prompt at a fixed number of new tokens? What does the cache cost in return, and when would a server still compute K and V again instead of keeping them?

# %% [markdown] answer="cache_work_ratio" points=4
# ### BEGIN SOLUTION
# **Model answer.** Without a cache the passes see N, N+1, …, N+n−1 tokens, about nN + n²/2 in all; with one, N + n − 1. At a fixed prompt the ratio nears n/2 for large n, so twice the answer is twice the saving. At a fixed n it rises with the prompt towards n, because then every pass costs about the same N and there are n of them. The price is memory: 2·L·H_kv·d_h numbers for every token of every request, held as long as the request lives, and read again at every step, which makes decode wait for memory bandwidth. A server computes again where memory is short or reading back is slower than computing: a preempted request whose blocks went to others, a chat that comes back after an hour, a short prompt that would have to be fetched from a slow disk.
#
# **Rubric, 1 point each.** (a) fixed prompt: grows like n/2, or "linearly in n" with the reason. (b) fixed n, growing prompt: nears n. (c) the price: memory that grows with every token and every request, or the bytes read at each step. (d) one sound case for recomputing.
# ### END SOLUTION

# %% [markdown] task="KVCache" stars=3 minutes=35
# ## 5. The cache itself
#
# Write `class KVCache(n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32)`. It reserves its memory once, in the constructor, and never moves a stored number again: an append writes the new rows and hands out *views*. A cache that calls `np.concatenate` gives the same numbers, but copies its whole history at every token; over $n$ tokens that is $n^2/2$ rows moved.
#
# - `append(layer, k, v)` writes the keys and values of the $n$ new tokens behind what this layer holds and returns `(keys, values)`, views of **all** the layer holds. `k` and `v` are `[batch, n_kv_heads, n, head_dim]`, the views `[batch, n_kv_heads, tokens so far, head_dim]`. With `batch=1` the batch axis may be left out; the views then lack it too. Zero new tokens write nothing and return what is there.
# - `length` is the number of tokens that *every* layer holds. A forward pass appends once in each layer, so `length` stands still until the last layer has appended and then moves by $n$, once: in the middle of a pass it still says where the pass began, which is the position of the first new token.
# - An append that does not fit into `max_tokens`, or whose `k` or `v` has another shape than the cache, raises `ValueError` and writes **nothing**; where it does not fit, the message holds the number `max_tokens`. A layer that does not exist raises `IndexError` (there is no layer −1). A size below 1 raises `ValueError` with the size in the message.
#
# Example, 2 layers, room for 5 tokens, a prompt of 3 tokens:
#
# | call | returns keys of shape | `length` after it |
# |---|---|---|
# | `append(0, k, v)` | `[1, n_kv_heads, 3, head_dim]` | 0 |
# | `append(1, k, v)` | `[1, n_kv_heads, 3, head_dim]` | 3 |
# | `append(0, k1, v1)`, one token | `[1, n_kv_heads, 4, head_dim]` | 3 |
# | `append(1, k1, v1)` | `[1, n_kv_heads, 4, head_dim]` | 4 |
#
# The layout is the one of the engine's first cache; real servers cut the token axis into blocks instead (chapter 9).
#
# <details><summary>Hint 1</summary>
#
# Two arrays with an axis for the layer and one for the token slots, made in the constructor, and one count per layer. A basic slice of a NumPy array is a view.
#
# </details>
# <details><summary>Hint 2</summary>
#
# In `append`, work out where the new rows start and where they end, check everything, and only then assign to the slice from start to end of both arrays. NumPy would quietly broadcast one head over all heads: compare the whole shape. `length` is a minimum over the counts.
#
# </details>


# %% solution="KVCache"
class KVCache:
    """Keys and values of all layers, in memory reserved once.

    n_layers, n_kv_heads, head_dim, max_tokens, batch: sizes, 1 or more (else ValueError). dtype: of the stored numbers.
    """

    def __init__(self, n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32):
        ### BEGIN SOLUTION
        self.shape = (n_layers, batch, n_kv_heads, max_tokens, head_dim)
        for size in self.shape:
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size} in {self.shape}")
        self.keys = np.empty(self.shape, dtype)
        self.values = np.empty(self.shape, dtype)
        self.counts = [0] * n_layers
        ### END SOLUTION

    @property
    def length(self):
        """Tokens that every layer holds: moves when the last layer of a pass has appended."""
        ### BEGIN SOLUTION
        return min(self.counts)
        ### END SOLUTION

    def append(self, layer, k, v):
        """Store the new tokens of one layer; returns (keys, values), views of all that the layer holds.

        k, v: [batch, n_kv_heads, n, head_dim], or without the first axis where batch is 1 (the views then lack it
        too). Raises ValueError where the cache would overflow or a shape is wrong, IndexError for a layer that does
        not exist; nothing is written then.
        """
        ### BEGIN SOLUTION
        n_layers, batch, n_kv_heads, max_tokens, head_dim = self.shape
        if not 0 <= layer < n_layers:
            raise IndexError(f"layer {layer} of a cache with {n_layers} layers")
        num_new = k.shape[-2]
        want = (batch, n_kv_heads, num_new, head_dim)
        if batch == 1 and k.ndim == 3:
            want = want[1:]
        if k.shape != want or v.shape != want:
            raise ValueError(f"k and v must be {want}, got {k.shape} and {v.shape}")
        start, end = self.counts[layer], self.counts[layer] + num_new
        if end > max_tokens:
            raise ValueError(f"the cache is full: {start} tokens held, {num_new} new, max_tokens is {max_tokens}")
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self.counts[layer] = end
        keys, values = self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
        return (keys, values) if k.ndim == 4 else (keys[0], values[0])
        ### END SOLUTION


# %% tryit="KVCache"
cache = KVCache(n_layers=2, n_kv_heads=3, head_dim=4, max_tokens=5)
for num_new in (3, 1):
    for layer in range(2):
        k = np.full((1, 3, num_new, 4), 10 * layer + num_new)
        keys, values = cache.append(layer, k, -k)
        print(
            f"layer {layer}, {num_new} new: keys {keys.shape}, first column {keys[0, 0, :, 0]}, length {cache.length}"
        )


# %% test="KVCache" points=2
def test_KVCache():
    import numpy as np

    rng = np.random.default_rng(46)
    k, v = rng.standard_normal((2, 1, 3, 4, 8)).astype(np.float32)  # 4 tokens, 3 KV heads of 8
    k_in, v_in = k.copy(), v.copy()  # what append does to the arrays it gets must not reach the comparison
    cache = KVCache(n_layers=2, n_kv_heads=3, head_dim=8, max_tokens=5)
    assert cache.length == 0, f"a new cache holds 0 tokens, length is {cache.length}"
    first = cache.append(0, k_in[:, :, :3], v_in[:, :, :3])
    assert first is not None and len(first) == 2, "append must return two things: all keys and all values"
    assert first[0].shape == (1, 3, 3, 8), f"after 3 tokens the keys are (1, 3, 3, 8), yours are {first[0].shape}"
    assert cache.length != 3, "length is 3 before layer 1 has appended: it counts tokens that every layer holds"
    cache.append(1, v_in[:, :, :3], k_in[:, :, :3])
    assert cache.length != 6, "length is 6 after 3 tokens in 2 layers: it counts tokens, not appends of layers"
    assert cache.length == 3, f"after 3 tokens in both layers length is 3, yours is {cache.length}"
    keys, values = cache.append(0, k_in[:, :, 3:], v_in[:, :, 3:])
    assert keys.shape != (1, 3, 1, 8), "append returned the new row alone: attention needs all rows so far"
    assert keys.shape == (1, 3, 4, 8), f"4 tokens so far: (1, 3, 4, 8), yours are {keys.shape}"
    np.testing.assert_array_equal(keys, k, err_msg="the keys that come back are not the keys that went in")
    np.testing.assert_array_equal(values, v, err_msg="the values that come back are not the values that went in")
    assert np.shares_memory(first[0], keys), "the second append moved the old keys: write into reserved memory instead"
    keys, values = cache.append(1, v_in[:, :, 3:], k_in[:, :, 3:])
    np.testing.assert_array_equal(
        keys, v, err_msg="layer 1 gave back other keys than it got: does each layer have its own?"
    )
    try:
        cache.append(0, k_in[:, :, :2], v_in[:, :, :2])
    except ValueError as error:
        assert "5" in str(error), f"say how many tokens fit (max_tokens is 5), the message is: {error}"
    else:
        raise AssertionError("4 tokens held, 2 more were accepted with max_tokens=5: raise ValueError")
    assert cache.length == 4, f"a rejected append changes nothing: length should still be 4, it is {cache.length}"


test_KVCache()


# %% hidden="KVCache" points=4
def hidden_KVCache():
    import numpy as np

    rng = np.random.default_rng(47)

    def refused(kind, what, call):
        try:
            call()
        except kind as error:
            return str(error)
        raise AssertionError(f"{what} was accepted: raise {kind.__name__}")

    for trial in range(12):
        layers, heads, half, batch = (int(n) for n in rng.integers(1, 4, 4))
        dtype = (np.float32, np.float64, np.float16)[trial % 3]
        chunks = [int(n) for n in rng.integers(0, 4, 5)]
        total = sum(chunks)
        case = f"{layers} layers, batch {batch}, {heads} heads of {2 * half}, chunks {chunks}"
        data = rng.standard_normal((2, layers, batch, heads, total, 2 * half)).astype(dtype)
        sizes = {"batch": batch, "dtype": dtype} if trial else {}
        data = data if trial else data[:, :, :1].astype(np.float32)  # once with the defaults: batch 1, float32
        cache = KVCache(layers, heads, 2 * half, max(total, 1), **sizes)  # full to the last slot at the end
        held, stores = 0, {}
        for chunk in chunks:
            for layer in range(layers):
                got = cache.length
                assert got == held, f"{case}: before layer {layer} appends, length should be {held}, it is {got}"
                new = data[:, layer, :, :, held : held + chunk].copy()
                pair = cache.append(layer, *new)
                new[:] = 77  # what the caller does with its array later must not reach the cache
                for name, have, want in zip("kv", pair, data[:, layer, :, :, : held + chunk], strict=True):
                    assert have.dtype == want.dtype, f"{case}: stored {name} are {have.dtype}, expected {want.dtype}"
                    np.testing.assert_array_equal(have, want, err_msg=f"{case}: {name} of layer {layer} are wrong")
                    old = stores.get((layer, name))
                    if old is not None and old.size:
                        assert np.shares_memory(old, have), f"{case}: append copied the old {name}: return views"
                    stores[layer, name] = have
            held += chunk
        assert cache.length == held, f"{case}: at the end length should be {held}, it is {cache.length}"

    # Refusals write nothing: what the views show stays as it was.
    keep, other = rng.standard_normal((2, 2, 4, 6))
    cache = KVCache(2, 2, 6, 5, dtype=np.float64)
    cache.append(0, keep[None], other[None])
    keys, values = cache.append(1, other[None], keep[None])
    bad = np.full((1, 2, 2, 6), 9.0)
    text = refused(ValueError, "4 held + 2 new tokens in room for 5", lambda: cache.append(1, bad, bad))
    assert "5" in text, f"the message of a full cache should say that max_tokens is 5: {text}"
    one = bad[:, :, :1]
    for what, k, v in (
        ("one head where the cache has 2", one[:, :1], one[:, :1]),
        ("v with fewer heads than k", one, one[:, :1]),
        ("k with fewer heads than v", one[:, :1], one),
        ("v with fewer tokens than k", one, one[:, :, :0]),
        ("heads of 1 number where the cache has 6", one[..., :1], one[..., :1]),
        ("a batch of 2 in a cache for 1", np.repeat(one, 2, 0), np.repeat(one, 2, 0)),
    ):
        refused(ValueError, what, lambda k=k, v=v: cache.append(1, k, v))
    for layer in (-1, 2):
        refused(IndexError, f"layer {layer} of 2", lambda layer=layer: cache.append(layer, one, one))
    assert cache.length == 4, f"rejected appends change nothing: length should be 4, it is {cache.length}"
    empty = bad[:, :, :0]
    for layer, want in ((0, (keep, other)), (1, (other, keep))):
        for have, rows in zip(cache.append(layer, empty, empty), want, strict=True):
            message = f"layer {layer} changed by rejected appends (or zero new tokens do not return what is held)"
            np.testing.assert_array_equal(have, rows[None], err_msg=message)
    keys, _ = cache.append(1, one, one)
    np.testing.assert_array_equal(keys[:, :, 4:], one, err_msg="the last free slot must still be usable")

    # Without the batch axis, where the batch is 1; a batch of 2 needs it.
    cache = KVCache(1, 2, 6, 8, dtype=np.float64)
    cache.append(0, keep[:, :3], other[:, :3])
    keys, values = cache.append(0, keep[:, 3:], other[:, 3:])
    assert keys.shape == (2, 4, 6), f"k without a batch axis: the views lack it too, (2, 4, 6), got {keys.shape}"
    np.testing.assert_array_equal(keys, keep, err_msg="k without a batch axis came back wrong")
    np.testing.assert_array_equal(values, other, err_msg="v without a batch axis came back wrong")
    refused(
        ValueError,
        "k without a batch axis in a cache for 2",
        lambda: KVCache(1, 2, 6, 8, batch=2).append(0, keep, other),
    )

    good = {"n_layers": 1, "n_kv_heads": 1, "head_dim": 2, "max_tokens": 3, "batch": 1}
    for name in good:
        for value in (0, -2):
            text = refused(
                ValueError, f"{name}={value}", lambda name=name, value=value: KVCache(**{**good, name: value})
            )
            assert str(value) in text, f"{name}={value}: the message should hold the bad value: {text}"
    cache = KVCache(2, 1, 2, 3)
    cache.append(1, np.ones((1, 1, 2)), np.ones((1, 1, 2)))
    assert cache.length == 0, f"layer 0 holds nothing yet: length should be 0, it is {cache.length}"
    a, b = KVCache(**good), KVCache(**good)
    seen = a.append(0, np.ones((1, 1, 1, 2)), np.ones((1, 1, 1, 2)))
    assert b.length == 0, "an append to one cache changed another: make the arrays in __init__, not in the class"
    b.append(0, np.full((1, 1, 1, 2), 5), np.full((1, 1, 1, 2), 5))
    assert all((held == 1).all() for held in seen), "an append to one cache changed another's keys or values"


hidden_KVCache()

# %% [markdown] task="TruncatingCache" stars=2 minutes=15
# ## 6. Taking tokens back
#
# Tokens are sometimes fed that turn out not to belong to the text: a user edits a message, or a draft of several tokens is checked and only the first few are accepted (chapter 11). A cache takes them back by forgetting how far it was filled; the rows are written over later, and nothing is moved.
#
# Write `class TruncatingCache(KVCache)`, your `KVCache` with one more method: `truncate(length)`. After it every layer holds exactly the first `length` tokens, and the next append goes right behind them.
#
# - It copies nothing: the views that come after it share the memory of those before.
# - `length` may be anything from 0 to the cache's own `length`; any other number makes no sense, and changes nothing.
# - In the middle of a pass some layers hold more tokens than `cache.length` says. Truncating then drops the unfinished pass too, even where `length` is `cache.length`.
#
# Example, 2 layers: after 5 tokens in both, `truncate(3)` makes `length` 3, and an append of one token returns keys of 4 tokens: the first three and the new one.
#
# <details><summary>Hint 1</summary>
#
# What in your `KVCache` says where the next row goes? That is all that has to change, for every layer.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A subclass sees what the constructor of `KVCache` stored in `self`. Compare with `self.length` before you change anything.
#
# </details>


# %% solution="TruncatingCache"
class TruncatingCache(KVCache):
    """A KVCache that can forget its last tokens."""

    def truncate(self, length):
        """Keep the first `length` tokens of every layer, 0 to self.length. Raises ValueError with any other length."""
        ### BEGIN SOLUTION
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts = [length] * len(self.counts)
        ### END SOLUTION


# %% tryit="TruncatingCache"
cache = TruncatingCache(n_layers=1, n_kv_heads=1, head_dim=1, max_tokens=8)
cache.append(0, np.array([[[1.0], [2], [3], [4], [5]]]), np.zeros((1, 5, 1)))
cache.truncate(3)
keys, _ = cache.append(0, np.array([[[9.0]]]), np.zeros((1, 1, 1)))
print(f"length {cache.length}, keys {keys.ravel()}")


# %% test="TruncatingCache" points=1
def test_TruncatingCache():
    import numpy as np

    rows = np.arange(1.0, 13.0).reshape(1, 1, 6, 2)
    cache = TruncatingCache(2, 1, 2, 6, dtype=np.float64)
    for layer in range(2):
        cache.append(layer, rows[:, :, :5], -rows[:, :, :5])
    cache.truncate(3)
    assert cache.length != 5, "length is still 5 after truncate(3)"
    assert cache.length == 3, f"after truncate(3) length is 3, yours is {cache.length}"
    for layer in range(2):
        keys, values = cache.append(layer, rows[:, :, 5:], -rows[:, :, 5:])
        assert keys.shape != (1, 1, 6, 2), f"layer {layer} still holds 5 tokens: truncate every layer"
        assert keys.shape == (1, 1, 4, 2), f"3 tokens held and 1 new are 4 rows, layer {layer} returns {keys.shape}"
        want = np.concatenate([rows[:, :, :3], rows[:, :, 5:]], axis=2)
        np.testing.assert_array_equal(keys, want, err_msg=f"layer {layer}: tokens 1 to 3 and the new one were expected")
        np.testing.assert_array_equal(values, -want, err_msg=f"layer {layer}: the values do not match the keys")
    for bad in (5, -1):
        try:
            cache.truncate(bad)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name {bad}, it says: {error}"
        else:
            raise AssertionError(f"truncate({bad}) was accepted with 4 tokens held")


test_TruncatingCache()


# %% hidden="TruncatingCache" points=2
def hidden_TruncatingCache():
    import numpy as np

    rng = np.random.default_rng(61)
    for trial in range(10):
        layers, heads, dim, batch = (int(n) for n in rng.integers(1, 4, 4))
        cache = TruncatingCache(layers, heads, dim, 12, batch=batch, dtype=np.float64)
        held = rng.standard_normal((2, layers, batch, heads, 0, dim))
        memory = None
        for step in range(8):
            room = 12 - held.shape[4]
            num_new = int(rng.integers(0, min(room, 5) + 1))
            new = rng.standard_normal((2, layers, batch, heads, num_new, dim))
            held = np.concatenate([held, new], axis=4)
            for layer in range(layers):
                keys, values = cache.append(layer, new[0, layer].copy(), new[1, layer].copy())
                case = f"trial {trial}, step {step}, layer {layer} of {layers}"
                np.testing.assert_array_equal(keys, held[0, layer], err_msg=f"{case}: the keys are wrong")
                np.testing.assert_array_equal(values, held[1, layer], err_msg=f"{case}: the values are wrong")
                if layer == 0 and keys.size:
                    assert memory is None or np.shares_memory(memory, keys), f"{case}: the old rows were moved"
                    memory = keys
            keep = int(rng.integers(0, held.shape[4] + 1))
            cache.truncate(keep)
            held = held[..., :keep, :]
            memory = None if keep == 0 else memory
            assert cache.length == keep, f"trial {trial}: after truncate({keep}) length is {cache.length}"

    one = np.ones((1, 1, 1, 2))
    cache = TruncatingCache(3, 1, 2, 4)
    for layer in range(3):
        cache.append(layer, 2 * np.ones((1, 1, 3, 2)), np.ones((1, 1, 3, 2)))
    cache.append(0, 7 * one, one)  # an unfinished pass: layer 0 holds 4 tokens, length is 3
    try:
        cache.truncate(4)
    except ValueError:
        pass
    else:
        raise AssertionError("truncate(4) was accepted in a pass that only one layer has finished: length is 3 then")
    cache.truncate(3)
    for layer in range(3):
        keys, _ = cache.append(layer, 9 * one, one)
        assert keys.shape == (1, 1, 4, 2), f"layer {layer}: the unfinished pass was not dropped, {keys.shape} rows"
        assert keys[0, 0, 3, 0] == 9, f"layer {layer}: the row of the unfinished pass came back"
    for bad in (5, 99, -1, -3):
        try:
            cache.truncate(bad)
        except ValueError:
            assert cache.length == 4, f"a rejected truncate({bad}) changed length to {cache.length}"
            continue
        raise AssertionError(f"truncate({bad}) was accepted with 4 tokens held")
    cache.truncate(4)
    assert cache.length == 4, "truncate to the length it has changes nothing"
    cache.truncate(0)
    assert cache.length == 0, "truncate(0) empties the cache"
    other = TruncatingCache(3, 1, 2, 4)
    other.append(0, one, one)
    cache.truncate(0)
    keys, _ = other.append(0, one, one)
    assert keys.shape == (1, 1, 2, 2), "truncating one cache changed another: keep the counts in self"


hidden_TruncatingCache()

# %% [markdown] task="attention_with_cache" stars=3 minutes=35
# ## 7. Attention that reads its history
#
# Write `attention_with_cache(x, weights, cache, layer, config)`: the attention of one layer for $N$ new tokens that follow everything the cache holds. Project, rotate, append, attend:
#
# $$\operatorname{softmax}\!\left(\frac{q\,k^\top}{\sqrt{d_h}} + \text{mask}\right) v, \qquad q: N \text{ new tokens}, \quad k, v: \text{all } S + N$$
#
# - `x` is `[N, d]` (or `[B, N, d]`), already normalised; the result has the shape and the dtype of `x`. `weights` is one layer's dict: `w_q` `[d, H_q·d_h]`, `w_k` and `w_v` `[d, H_kv·d_h]`, `w_o` `[H_q·d_h, d]`, each applied as `x @ W`.
# - `cache` has `append(layer, k, v)` and `length` as in exercise 5; the checks bring their own, so this exercise does not depend on yours. It stores the **KV heads**, after RoPE, once. `cache.length` is where the pass began, also in the last layer.
# - The new tokens stand at positions $S, S+1, \dots$ where $S$ is the number of tokens this layer holds already. The given `apply_rope(x, positions, theta)` rotates heads `[..., N, d_h]`; theta is `config.rope_theta`. Restarting at 0 gives plausible text and wrong numbers.
# - New token $i$ sees the $S + i + 1$ tokens up to itself. KV head $j$ serves the query heads $j \cdot r \dots j \cdot r + r - 1$ with $r = H_q / H_{kv}$.
#
# Example: with 3 tokens held and 2 new ones the mask (1 = may look) is
#
# | | 0 | 1 | 2 | 3 | 4 |
# |---|---|---|---|---|---|
# | new token at 3 | 1 | 1 | 1 | 1 | 0 |
# | new token at 4 | 1 | 1 | 1 | 1 | 1 |
#
# The mark of a right cache: feed the tokens in any chunks, one by one or all at once, and the outputs are the same. (Vaswani et al. 2017 for attention, Su et al. 2021 for RoPE, Ainslie et al. 2023 for the grouped heads.)
#
# <details><summary>Hint 1</summary>
#
# It is the attention of chapter 2 with two changes: positions start at what is cached, and after the append you use the keys and values that come *back*, which are longer than the queries.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Read `cache.length` before you append. Split into heads by a reshape to `[..., N, H, d_h]` and a swap of two axes. `np.repeat` along the head axis makes KV heads stand next to their copies. `np.arange(S + N) <= np.arange(S, S + N)[:, None]` is the mask of the example.
#
# </details>


# %% solution="attention_with_cache"
def attention_with_cache(x, weights, cache, layer, config):
    """Causal self-attention of one layer for new tokens that follow the cached ones.

    x: [N, d] or [B, N, d]. weights: the layer's dict with w_q, w_k, w_v, w_o. cache: append(layer, k, v) and length.
    config: num_attention_heads, num_key_value_heads, head_dim, rope_theta. Appends this layer's keys (rotated) and
    values [..., H_kv, N, d_h] to the cache, once, and returns an array of the shape of x.
    """
    ### BEGIN SOLUTION
    q, k, v = (
        (x @ weights[name]).reshape(*x.shape[:-1], -1, config.head_dim).swapaxes(-3, -2)  # [..., H, N, d_h]
        for name in ("w_q", "w_k", "w_v")
    )
    # Zero new tokens give what this layer holds: right also where the other layers of the cache are not in use.
    start = cache.append(layer, k[..., :0, :], v[..., :0, :])[0].shape[-2]
    positions = np.arange(start, start + x.shape[-2])
    q = apply_rope(q, positions, config.rope_theta)
    keys, values = cache.append(layer, apply_rope(k, positions, config.rope_theta), v)
    repeats = config.num_attention_heads // config.num_key_value_heads
    keys, values = (np.repeat(heads, repeats, axis=-3) for heads in (keys, values))
    scores = q @ keys.swapaxes(-1, -2) / np.sqrt(config.head_dim).astype(x.dtype)  # [..., H_q, N, S + N]
    scores = np.where(np.arange(keys.shape[-2]) <= positions[:, None], scores, -np.inf)
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight @ values).swapaxes(-3, -2).reshape(*x.shape[:-1], -1) @ weights["w_o"]
    ### END SOLUTION


# %% tryit="attention_with_cache"
tiny, tiny_weights = load_tiny()
x = np.random.default_rng(0).standard_normal((6, tiny.hidden_size)).astype(np.float32)
at_once = attention_with_cache(x, tiny_weights["layers"][0], PlainCache(1), 0, tiny)
cache = PlainCache(1)
one_by_one = np.concatenate([attention_with_cache(row[None], tiny_weights["layers"][0], cache, 0, tiny) for row in x])
print(f"6 tokens at once or one by one: largest difference {np.abs(at_once - one_by_one).max():.1e}")


# %% test="attention_with_cache" points=2
def test_attention_with_cache():
    import numpy as np

    from mini_engine.config import ModelConfig

    config = ModelConfig("check", 1, 12, 4, 2, 16, 32, 6, rope_theta=100.0)
    rng = np.random.default_rng(48)
    shapes = {"w_q": (12, 24), "w_k": (12, 12), "w_v": (12, 12), "w_o": (24, 12)}
    weights = {name: rng.standard_normal(shape) / 3 for name, shape in shapes.items()}
    x = rng.standard_normal((5, 12))

    def expected(positions):  # one query, one head, one key at a time; RoPE as a turn of complex numbers
        turn = np.exp(1j * np.outer(positions, 100.0 ** (-np.arange(3) / 3)))

        def rotated(y, token):
            pair = (y[:3] + 1j * y[3:]) * turn[token]
            return np.concatenate([pair.real, pair.imag])

        q, k, v = ((x @ weights[name]).reshape(5, -1, 6) for name in ("w_q", "w_k", "w_v"))
        out = np.zeros((5, 4, 6))
        for i in range(5):
            for head in range(4):
                query = rotated(q[i, head], i)
                scores = [np.exp(query @ rotated(k[j, head // 2], j) / 6**0.5) for j in range(i + 1)]
                out[i, head] = sum(score * v[j, head // 2] for j, score in enumerate(scores)) / sum(scores)
        return out.reshape(5, 24) @ weights["w_o"]

    want = expected([0, 1, 2, 3, 4])
    cache = PlainCache(1)
    got = attention_with_cache(x, weights, cache, 0, config)
    assert got is not None, "attention_with_cache returned None: is there a return statement?"
    assert got.shape == (5, 12), f"the result has the shape of x, (5, 12), yours is {got.shape}"
    held = cache.layers[0]
    assert held is not None, "nothing was appended to the cache"
    assert held[0].shape != (4, 5, 6), "the cache got 4 heads: store the 2 KV heads and repeat them after the append"
    assert held[0].shape == (2, 5, 6), f"5 tokens of 2 KV heads make (2, 5, 6) in the cache, got {held[0].shape}"
    np.testing.assert_allclose(
        got, want, atol=1e-10, err_msg="5 tokens at once differ from attention computed number by number"
    )

    cache, rows = PlainCache(1), []
    for i in range(5):
        rows.append(attention_with_cache(x[i : i + 1], weights, cache, 0, config))
    got = np.concatenate(rows)
    restarted = expected([0, 0, 0, 0, 0])
    assert not np.allclose(got, restarted), (
        "each new token was rotated as if it stood at position 0: start at cache.length"
    )
    message = "5 tokens one by one differ from 5 at once: positions, or attending before the append?"
    np.testing.assert_allclose(got, want, atol=1e-10, err_msg=message)


test_attention_with_cache()


# %% hidden="attention_with_cache" points=4
def hidden_attention_with_cache():
    import numpy as np
    import torch

    from mini_engine.config import ModelConfig

    rng = np.random.default_rng(49)

    def make_weights(d, heads, kv, dim, dtype):
        shapes = {"w_q": (d, heads * dim), "w_k": (d, kv * dim), "w_v": (d, kv * dim), "w_o": (heads * dim, d)}
        return {name: (rng.standard_normal(shape) / np.sqrt(d)).astype(dtype) for name, shape in shapes.items()}

    def expected(x, weights, config):  # x [B, n, d]; torch over the whole sequence, RoPE as a complex product
        dim, heads = config.head_dim, config.num_attention_heads
        x = torch.from_numpy(x.astype(np.float64))
        w = {name: torch.from_numpy(value.astype(np.float64)) for name, value in weights.items()}
        q, k, v = ((x @ w[name]).unflatten(-1, (-1, dim)).transpose(1, 2) for name in ("w_q", "w_k", "w_v"))
        frequency = config.rope_theta ** (-2 * torch.arange(dim // 2, dtype=torch.float64) / dim)
        angle = torch.arange(x.shape[1], dtype=torch.float64)[:, None] * frequency
        turn = torch.polar(torch.ones_like(angle), angle)
        q, k = (torch.complex(h[..., : dim // 2], h[..., dim // 2 :]) * turn for h in (q, k))
        q, k = (torch.cat([h.real, h.imag], -1) for h in (q, k))
        k, v = (h.repeat_interleave(heads // config.num_key_value_heads, 1) for h in (k, v))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return (out.transpose(1, 2).flatten(2) @ w["w_o"]).numpy()

    # grouped, multi-query and multi-head; head_dim is its own field; batches; chunks from one token to all.
    cases = [
        (4, 2, 6, 7, [7], None),
        (4, 2, 6, 7, [1] * 7, None),
        (4, 1, 8, 10, [3, 4], None),
        (3, 3, 4, 12, [1, 5, 1], None),
        (6, 2, 2, 5, [2, 3], None),
        (6, 3, 4, 9, [4, 1, 2], 2),
        (9, 3, 4, 8, [1, 1, 3], 3),
        (1, 1, 2, 3, [2, 2], 1),
    ]
    for heads, kv, dim, d, chunks, batch in cases:
        config = ModelConfig("check", 2, d, heads, kv, 8, 16, dim, rope_theta=float(rng.integers(10, 1000)))
        layers = [make_weights(d, heads, kv, dim, np.float64) for _ in range(2)]
        x = rng.standard_normal((2, batch or 1, sum(chunks), d))  # an input for each of two layers
        before = x.copy()
        want = [expected(x[layer], layers[layer], config) for layer in range(2)]
        cache, rows, start = PlainCache(2), ([], []), 0
        for n in chunks:
            for layer in range(2):
                part = x[layer, :, start : start + n]
                got = attention_with_cache(part if batch else part[0], layers[layer], cache, layer, config)
                rows[layer].append(got if batch else got[None])
            start += n
        case = f"{heads} heads, {kv} KV heads of {dim}, batch {batch}, chunks {chunks}"
        for layer in range(2):
            got = np.concatenate(rows[layer], axis=1)
            message = f"{case}, layer {layer} of 2: differs from attention over the whole sequence"
            np.testing.assert_allclose(got, want[layer], rtol=1e-10, atol=1e-10, err_msg=message)
            held = cache.layers[layer][0].shape[-3:]
            assert held == (kv, sum(chunks), dim), (
                f"{case}: the cache should hold {(kv, sum(chunks), dim)}, it has {held}"
            )
        np.testing.assert_array_equal(x, before, err_msg=f"{case}: x was changed in place")

    config = ModelConfig("check", 1, 10, 4, 2, 8, 16, 8)
    weights = make_weights(10, 4, 2, 8, np.float32)
    x = (30 * rng.standard_normal((6, 10))).astype(np.float32)  # large scores: the softmax must not overflow
    x[0] *= 10
    got = attention_with_cache(x, weights, PlainCache(1), 0, config)
    assert got.dtype == np.float32, f"float32 in, float32 out: yours is {got.dtype}"
    want = expected(x[None], weights, config)[0]
    scale = np.abs(want).max()
    np.testing.assert_allclose(
        got / scale, want / scale, atol=1e-4, err_msg="float32 with large scores (atol 1e-4: scores are near 1e3)"
    )


hidden_attention_with_cache()

# %% [markdown]
# From here on the numbers are torch tensors and the model is a whole one: two LLaMA layers with the weights that the course ships. The next cell is given. `Cache` is the engine's KV cache, yours in torch, with the token count taken out of the appends: `positions(n)` gives the positions `[B, n]` of the next tokens, `update(layer, k, v)` stores and returns all keys and values (and a mask, `None` here), `advance(n)` counts the tokens once, after the last layer. `CountingModel` is for the checks; you need not read it.

# %% setup=True
from mini_engine.kv_cache import KVCache as Cache


class CountingModel:
    """Takes the place of a Decoder in the checks: exact logits of no meaning, and a record of every call.

    runs holds a list per generation: [cached?, [tokens fed in each call], time of the first call, of the last return,
    batch]; prompts the ids of the first call of each. delays: how many seconds the first, second, … run takes longer, as a list each for cached True and False.
    """

    lends = ("config", "new_cache")

    def __init__(self, config, delays=None):
        self.config, self.delays = config, delays or {True: [], False: []}
        self.runs, self.prompts = [], []

    def new_cache(self, max_tokens, batch=1):
        """A cache that remembers the ids, and how many were announced."""
        if not 1 <= max_tokens <= self.config.max_position_embeddings:
            raise ValueError(f"max_tokens must be 1 to {self.config.max_position_embeddings}, got {max_tokens}")
        self.runs.append([True, [], 0.0, 0.0, batch])
        return {"ids": None, "max_tokens": max_tokens, "batch": batch}

    def __call__(self, ids, cache=None):
        """Logits [B, N, V], as a Decoder gives them: the next token is 7 times the sum of all so far, plus 3."""
        start, fed = time.perf_counter(), ids.shape[1]
        if cache is None and not (self.runs and not self.runs[-1][0] and self.runs[-1][1][-1] == fed - 1):
            self.runs.append([False, [], 0.0, 0.0, ids.shape[0]])
        run = self.runs[-1]
        if not run[1]:
            run[2] = start
            self.prompts.append(ids.tolist()[0])
            number = sum(run[0] == other[0] for other in self.runs) - 1
            time.sleep(self.delays[run[0]][number] if number < len(self.delays[run[0]]) else 0)
        run[1].append(fed)
        history = ids
        if cache is not None:
            history = ids if cache["ids"] is None else torch.cat([cache["ids"], ids], 1)
            if history.shape[1] > cache["max_tokens"] or ids.shape[0] != cache["batch"]:
                raise ValueError(
                    f"{tuple(history.shape)} tokens in a cache made for {cache['batch']} x {cache['max_tokens']}"
                )
            cache["ids"] = history
        following = (7 * history.cumsum(1) + 3) % self.config.vocab_size
        run[3] = time.perf_counter()
        return F.one_hot(following, self.config.vocab_size)[:, -fed:].double()


# %% [markdown] task="ragged_attention" stars=3 minutes=30
# ## 8. One pass for requests of unequal length
#
# Several requests decode in one pass, each with one new token, and each with a different number of tokens so far. Their keys and values lie in one rectangle with $T$ rows per request; request $b$ has filled the first `lengths[b]` of them, its new token included. What lies behind is left over from earlier requests and can be *anything*, infinity and `nan` too.
#
# Write `ragged_attention(q, keys, values, lengths)`: for each request, attention of its one query over its own rows.
#
# - `q` is `[B, H_q, D]`, `keys` and `values` are `[B, H_kv, T, D]`, `lengths` is a list or array of $B$ whole numbers from 1 to $T$. The result is `[B, H_q, D]`, with the dtype of `q`.
# - KV head $j$ serves the query heads $j \cdot r, \ldots, j \cdot r + r - 1$ with $r = H_q / H_{kv}$, as in exercise 7. Everything is rotated already.
# - A length below 1 or above $T$ makes no sense. Change none of the inputs.
#
# Example: $D = 1$, one head, $T = 3$, queries 0. With values `[[1, 3, nan], [5, nan, nan]]` and lengths `[2, 1]` all scores are 0, so the first request gets the mean of 1 and 3, which is 2, and the second gets 5.
#
# Serving engines do this in one kernel for hundreds of requests. A loop over the requests is right here, too.
#
# <details><summary>Hint 1</summary>
#
# Without a loop the mask is a comparison of `np.arange(T)` with the lengths, one row per request. It belongs on the scores, before the softmax.
#
# </details>
# <details><summary>Hint 2</summary>
#
# A hidden row has weight 0, and 0 times `nan` is `nan`. So the mask on the scores is not enough: the hidden values must not take part in the mean. A query head axis of `[H_kv, r]` instead of `[H_q]` lets each KV head meet its own queries.
#
# </details>


# %% solution="ragged_attention"
def ragged_attention(q, keys, values, lengths):
    """Attention of one query per request over the request's own rows.

    q: [B, H_q, D]. keys, values: [B, H_kv, T, D], rotated; rows from lengths[b] on may hold anything. lengths: B ints, 1
    to T. Returns [B, H_q, D] in q's dtype. Raises ValueError with a length that is outside of 1 to T.
    """
    ### BEGIN SOLUTION
    batch, num_heads, dim = q.shape
    kv_heads, rows = keys.shape[1:3]
    for length in lengths:
        if not 1 <= length <= rows:
            raise ValueError(f"a length must be from 1 to {rows}, got {length}")
    sees = (np.arange(rows) < np.asarray(lengths)[:, None])[:, None, None]  # [B, 1, 1, T]
    keys = np.where(sees.swapaxes(2, 3), keys, 0)
    values = np.where(sees.swapaxes(2, 3), values, 0)
    grouped = q.reshape(batch, kv_heads, -1, dim)
    scores = np.where(sees, grouped @ keys.swapaxes(2, 3) / math.sqrt(dim), -np.inf)  # [B, H_kv, r, T]
    weight = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weight /= weight.sum(axis=-1, keepdims=True)
    return (weight @ values).reshape(q.shape).astype(q.dtype)
    ### END SOLUTION


# %% tryit="ragged_attention"
values = np.array([[1.0, 3, np.nan], [5, np.nan, np.nan]]).reshape(2, 1, 3, 1)
print(ragged_attention(np.zeros((2, 1, 1)), np.ones((2, 1, 3, 1)), values, [2, 1]).ravel())


# %% test="ragged_attention" points=1
def test_ragged_attention():
    import numpy as np

    rng = np.random.default_rng(62)
    q, (keys, values) = rng.standard_normal((2, 4, 3)), rng.standard_normal((2, 2, 2, 5, 3))
    lengths = [2, 4]
    want = np.zeros((2, 4, 3))
    for b in range(2):
        for head in range(4):
            scores = [np.exp(q[b, head] @ keys[b, head // 2, t] / 3**0.5) for t in range(lengths[b])]
            rows = [score * values[b, head // 2, t] for t, score in enumerate(scores)]
            want[b, head] = sum(rows) / sum(scores)
    for left_over in (0.0, 50.0, np.inf, np.nan):
        for b in range(2):
            keys[b, :, lengths[b] :], values[b, :, lengths[b] :] = left_over, left_over
        got = ragged_attention(q, keys, values, lengths)
        assert got is not None, "ragged_attention returned None: is there a return statement?"
        assert got.shape == (2, 4, 3), f"the result is [B, H_q, D] = (2, 4, 3), yours is {got.shape}"
        assert not np.isnan(got).any(), f"nan came out with {left_over} behind the rows: 0 times nan is nan"
        message = f"differs from each request by itself; behind its rows lies {left_over}"
        np.testing.assert_allclose(got, want, atol=1e-10, err_msg=message)
    for bad in (0, 6):
        try:
            ragged_attention(q, keys, values, [2, bad])
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name the length {bad}, it says: {error}"
        else:
            raise AssertionError(f"length {bad} was accepted for 5 rows")


test_ragged_attention()


# %% hidden="ragged_attention" points=3
def hidden_ragged_attention():
    import numpy as np
    import torch

    rng = np.random.default_rng(63)
    for trial in range(24):
        batch, kv_heads, groups, dim, rows = (int(n) for n in rng.integers(1, 6, 5))
        dtype = (np.float64, np.float32)[trial % 2]
        q = rng.standard_normal((batch, kv_heads * groups, dim)).astype(dtype)
        keys, values = rng.standard_normal((2, batch, kv_heads, rows, dim)).astype(dtype)
        lengths = rng.integers(1, rows + 1, batch)
        lengths[0] = (rows, 1)[trial // 2 % 2]
        want = []
        for b, n in enumerate(lengths):
            k, v = (torch.tensor(a[b, :, :n].astype(np.float64)).repeat_interleave(groups, 0) for a in (keys, values))
            one = torch.tensor(q[b, :, None].astype(np.float64))
            want.append(torch.nn.functional.scaled_dot_product_attention(one, k, v)[:, 0].numpy())
        left_over = (np.nan, np.inf, -np.inf, 1e30)[trial % 4]
        for b, n in enumerate(lengths):
            keys[b, :, n:], values[b, :, n:] = left_over, -left_over
        given = [array.copy() for array in (q, keys, values)]
        case = f"batch {batch}, {kv_heads * groups} heads, {kv_heads} KV heads of {dim}, lengths {lengths.tolist()}"
        got = ragged_attention(q, keys, values, lengths if trial % 3 else lengths.tolist())
        # float32 adds a few dozen terms, each good to 1e-7
        message = f"{case}, {left_over} behind the rows: differs from each request by itself"
        np.testing.assert_allclose(got, want, atol=1e-10 if dtype == np.float64 else 1e-5, err_msg=message)
        assert got.dtype == dtype, f"{np.dtype(dtype)} in should give {np.dtype(dtype)} out, you returned {got.dtype}"
        for name, array, before in zip(("q", "keys", "values"), (q, keys, values), given, strict=True):
            assert np.array_equal(array, before, equal_nan=True), f"ragged_attention changed {name}"
    q, (keys, values) = np.full((2, 1, 1), 40.0), np.zeros((2, 2, 1, 4, 1))
    keys[:, 0, :, 0], values[:, 0, :, 0] = [[30.0, 0, 0, 0], [-30, -30, 900, 900]], [[1.0, 2, 3, 4], [5, 7, 9, 9]]
    got = ragged_attention(q, keys, values, [4, 2]).ravel()
    np.testing.assert_allclose(got, [1, 6], err_msg="scores in the hundreds: subtract the largest of the visible ones")
    got = ragged_attention(q.astype(np.float32), keys, values, [4, 2])
    assert got.dtype == np.float32, f"the dtype is that of q, float32, also beside a float64 cache; got {got.dtype}"
    for bad in (0, -1, 5):
        try:
            ragged_attention(q, keys, values, [4, bad])
        except ValueError:
            continue
        raise AssertionError(f"length {bad} was accepted for 4 rows")


hidden_ragged_attention()

# %% [markdown] task="Decoder" stars=4 minutes=50
# ## 9. A decoder with a cache in it
#
# Write the forward pass of `class Decoder`, a decoder-only transformer in torch (LLaMA's layers, two of them in the shipped checkpoint). The constructor is given: it holds `self.config`, `self.embedding` `[V, d]`, `self.layers` (one dict of tensors per layer: `attn_norm`, `w_q`, `w_k`, `w_v`, `w_o`, `mlp_norm`, `w_gate`, `w_up`, `w_down`, each matrix `[in, out]`), `self.final_norm` and `self.lm_head` `[d, V]`.
#
# `forward(ids, cache=None)` takes the ids `[B, N]` of the new tokens and returns logits `[B, N, V]` in the dtype of the weights. With a cache, the new tokens follow what it holds, and when the pass is over it holds them too. Without one, `ids` is the whole text.
#
# Each layer, with $\text{norm}$ the RMSNorm of chapter 2:
#
# $$h = x + \text{attention}(\text{norm}(x)), \qquad x' = h + \big(\text{silu}(\text{norm}(h)\,W_{gate}) \cdot (\text{norm}(h)\,W_{up})\big)\,W_{down}$$
#
# An id outside the vocabulary raises `IndexError`, also a negative one. The checks compare your logits with those that transformers' `LlamaForCausalLM` gives on the same weights, and with themselves: all tokens at once, and in chunks through a cache, to 1e-5.
#
# <details><summary>Hint 1</summary>
#
# Treat "no cache" as "an empty cache of just the right size": `self.new_cache(N, B)`. Then there is one code path, and nothing to keep equal.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `positions = cache.positions(N)[0]` before the layers, `cache.advance(N)` after them. `F.embedding` checks ids, `F.rms_norm(x, (d,), weight, config.rms_norm_eps)` normalises, `F.scaled_dot_product_attention(..., attn_mask=mask, enable_gqa=True)` shares KV heads; a boolean mask is True where a token may look, and is the comparison of exercise 7. `is_causal=True` would align the mask to the first key, which is wrong as soon as something is cached.
#
# </details>


# %% solution="Decoder"
class Decoder(torch.nn.Module):
    """A LLaMA-style decoder over a KV cache.

    config: a model spec. weights: the dict of NumPy arrays that load_tiny() gives. dtype: of weights and activations.
    """

    def __init__(self, config, weights, dtype=torch.float32):
        super().__init__()
        self.config = config
        tensor = lambda array: torch.tensor(array, dtype=dtype)
        self.embedding, self.final_norm = tensor(weights["embedding"]), tensor(weights["final_norm"])
        self.layers = [{name: tensor(array) for name, array in layer.items()} for layer in weights["layers"]]
        self.lm_head = self.embedding.T if config.tie_word_embeddings else tensor(weights["lm_head"])

    def new_cache(self, max_tokens, batch=1):
        """An empty cache for up to max_tokens tokens of each of `batch` texts."""
        return Cache(self.config, max_tokens, batch, self.embedding.dtype)

    @torch.inference_mode()
    def forward(self, ids, cache=None):
        """Logits [B, N, V] of the tokens that follow each of the ids [B, N].

        The ids follow what the cache holds, and are in it afterwards; without a cache they are the whole text.
        Raises IndexError for an id outside the vocabulary.
        """
        ### BEGIN SOLUTION
        config = self.config
        batch, num_new = ids.shape
        cache = self.new_cache(num_new, batch) if cache is None else cache
        positions = cache.positions(num_new)[0]

        def norm(x, weight):
            return F.rms_norm(x, weight.shape, weight, config.rms_norm_eps)

        def heads(x):  # [B, N, H * d_h] -> [B, H, N, d_h]
            return x.unflatten(-1, (-1, config.head_dim)).transpose(1, 2)

        x = F.embedding(ids, self.embedding)
        for layer, w in enumerate(self.layers):
            h = norm(x, w["attn_norm"])
            q, k, v = (heads(h @ w[name]) for name in ("w_q", "w_k", "w_v"))
            q, k = (apply_rope(part, positions, config.rope_theta) for part in (q, k))
            keys, values, _ = cache.update(layer, k, v)
            mask = torch.arange(keys.shape[2]) <= positions[:, None]  # [N, S + N]
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=True)
            x = x + mixed.transpose(1, 2).flatten(2) @ w["w_o"]
            h = norm(x, w["mlp_norm"])
            x = x + (F.silu(h @ w["w_gate"]) * (h @ w["w_up"])) @ w["w_down"]
        cache.advance(num_new)
        return norm(x, self.final_norm) @ self.lm_head
        ### END SOLUTION


# %% tryit="Decoder"
model = Decoder(*load_tiny())
ids = torch.tensor([[5, 17, 400, 3, 3, 91]])
logits = model(ids)
cache = model.new_cache(6)
in_two = torch.cat([model(ids[:, :4], cache), model(ids[:, 4:], cache)], dim=1)
print(f"logits {tuple(logits.shape)}; at once against 4 + 2 through a cache: {(logits - in_two).abs().max():.1e}")


# %% test="Decoder" points=2
def test_Decoder():
    import torch

    from mini_engine.weights import load_tiny, load_tiny_expected

    model = Decoder(*load_tiny())
    case = load_tiny_expected()[2]
    ids, want = torch.from_numpy(case["ids"]).long()[None], torch.from_numpy(case["logits"])[None]
    got = model(ids)
    assert got is not None, "forward returned None: is there a return statement?"
    assert got.shape == want.shape, (
        f"{ids.shape[1]} tokens give logits {tuple(want.shape)}, yours are {tuple(got.shape)}"
    )
    worst = (got - want).abs().max()
    assert worst < 1e-5, f"without a cache your logits differ from transformers' by up to {worst:.1e} (allowed: 1e-5)"
    cache = model.new_cache(ids.shape[1])
    first = model(ids[:, :2], cache)
    assert cache.length == 2, (
        f"after 2 tokens the cache should count 2, it counts {cache.length}: advance, once per pass"
    )
    rest = [model(ids[:, i : i + 1], cache) for i in range(2, ids.shape[1])]
    worst = (torch.cat([first, *rest], dim=1) - want).abs().max()
    assert worst < 1e-5, f"through a cache your logits differ by up to {worst:.1e}: positions, mask or what is cached?"


test_Decoder()


# %% hidden="Decoder" points=4
def hidden_Decoder():
    import numpy as np
    import torch

    from mini_engine.config import ModelConfig
    from mini_engine.model import Llama
    from mini_engine.weights import load_tiny, load_tiny_expected

    rng = np.random.default_rng(50)
    config, weights = load_tiny()
    model = Decoder(config, weights, torch.float64)  # transformers' logits were computed in float64 too
    for case in load_tiny_expected():
        ids, want = torch.from_numpy(case["ids"]).long()[None], torch.from_numpy(case["logits"])[None]
        got = model(ids)
        assert got.dtype == torch.float64, f"a float64 model gives float64 logits, yours are {got.dtype}"
        worst = (got - want).abs().max()
        assert worst < 1e-5, f"ids {case['ids'].tolist()}: logits differ from transformers' by {worst:.1e}"
        cache, parts, start = model.new_cache(ids.shape[1]), [], 0
        while start < ids.shape[1]:
            chunk = int(rng.integers(1, 5))
            parts.append(model(ids[:, start : start + chunk], cache))
            start += chunk
        worst = (torch.cat(parts, dim=1) - want).abs().max()
        assert worst < 1e-5, f"ids {case['ids'].tolist()} in chunks through a cache: logits differ by {worst:.1e}"

    # other shapes against the engine's model, in float64: tied and untied, one KV head, head_dim not d / H, batches
    for tied, heads, kv, dim, layers, eps in (
        (True, 3, 1, 4, 1, 1e-2),
        (False, 4, 4, 6, 3, 1e-5),
        (True, 6, 2, 2, 2, 1e-1),
    ):
        small = ModelConfig("s", layers, 10, heads, kv, 14, 23, dim, 50.0, 64, tied, eps)
        draw = lambda *shape: rng.standard_normal(shape)
        sizes = {
            "w_q": (10, heads * dim),
            "w_k": (10, kv * dim),
            "w_v": (10, kv * dim),
            "w_o": (heads * dim, 10),
            "w_gate": (10, 14),
            "w_up": (10, 14),
            "w_down": (14, 10),
            "attn_norm": (10,),
            "mlp_norm": (10,),
        }
        weights = {
            "embedding": draw(23, 10),
            "final_norm": draw(10),
            "lm_head": draw(10, 23),
            "layers": [{name: draw(*size) for name, size in sizes.items()} for _ in range(layers)],
        }
        if tied:
            del weights["lm_head"]
        ids = torch.from_numpy(rng.integers(0, 23, (3, 7)))
        want = Llama(small, weights, torch.float64)(ids)
        names = set(weights)
        model = Decoder(small, weights, torch.float64)
        assert set(weights) == names, "the caller's dict of weights was changed"
        got = model(ids)
        case = f"{layers} layers, {heads} heads, {kv} KV heads of {dim}, tied={tied}, batch 3"
        assert got.dtype == torch.float64, f"{case}: float64 weights give float64 logits, yours are {got.dtype}"
        worst = (got - want).abs().max() / want.abs().max()
        assert worst < 1e-10, f"{case}: differs from the engine by {worst:.1e} of the largest logit"
        cache = model.new_cache(9, batch=3)
        got = torch.cat([model(ids[:, :3], cache), model(ids[:, 3:4], cache), model(ids[:, 4:], cache)], dim=1)
        worst = (got - want).abs().max() / want.abs().max()
        assert worst < 1e-10, f"{case}, in chunks of 3, 1, 3: differs by {worst:.1e} of the largest logit"
        assert cache.length == 7, f"{case}: after 7 tokens the cache counts {cache.length}"
    for bad in (-1, 23):
        try:
            model(torch.tensor([[1, bad]]))
        except IndexError:
            continue
        raise AssertionError(f"id {bad} of a vocabulary of 23 was accepted: raise IndexError (F.embedding does)")


hidden_Decoder()

# %% [markdown] task="generate" stars=3 minutes=25
# ## 10. Generate, with and without
#
# Write `generate(model, ids, max_new_tokens, use_cache)`: greedy decoding, both ways, with the same tokens as a result. `model` is a `Decoder` (or anything with `model(ids, cache)`, `model.new_cache(max_tokens, batch)` and `model.config`).
#
# - `ids` is the prompt: a list of ints, or a tensor `[N]` or `[B, N]` (prompts of equal length). The result is a tensor of ids, prompt first, then the new ones: `[N + n]` or `[B, N + n]`. The prompt that was passed in stays as it is.
# - Without the cache, each step feeds the whole text so far. With it, the first pass feeds the prompt and each later pass one token, the newest; the last new token is never fed. That is exactly the count of `tokens_processed`.
# - Each new token is the argmax of the **last** position's logits.
# - Reserve a cache that holds all the tokens that will be fed. Every fed token needs a position: where $N + n - 1$ exceeds `model.config.max_position_embeddings`, raise `ValueError` before any work. So also for an empty prompt or a negative `max_new_tokens`. Zero new tokens return the prompt, without a pass.
#
# <details><summary>Hint 1</summary>
#
# One loop serves both ways. What differs is what you feed: everything, or what has not been fed yet.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Keep `fed`, the ids of the next pass: at first the prompt. After a pass, append the argmax `[B, 1]` to the text with `torch.cat`; then `fed` is that one column with a cache, or the whole text without.
#
# </details>


# %% solution="generate"
def generate(model, ids, max_new_tokens, use_cache):
    """Greedy decoding: the prompt and max_new_tokens new ids behind it.

    model: see above. ids: list of N ints, or tensor [N] or [B, N]. Returns a tensor [N + n] or [B, N + n]. Raises
    ValueError for an empty prompt, a negative max_new_tokens, or more fed tokens than the model has positions.
    """
    ### BEGIN SOLUTION
    ids = torch.as_tensor(ids)
    text = ids if ids.ndim == 2 else ids[None]
    batch, prompt = text.shape
    num_fed = prompt + max_new_tokens - 1
    if prompt < 1 or max_new_tokens < 0:
        raise ValueError(f"cannot write {max_new_tokens} new tokens after a prompt of {prompt}")
    if num_fed > model.config.max_position_embeddings:
        raise ValueError(f"{num_fed} tokens to feed, the model has {model.config.max_position_embeddings} positions")
    cache = model.new_cache(num_fed, batch) if use_cache and max_new_tokens else None
    fed = text
    for _ in range(max_new_tokens):
        newest = model(fed, cache)[:, -1].argmax(dim=-1, keepdim=True)
        text = torch.cat([text, newest], dim=1)
        fed = newest if use_cache else text
    return text if ids.ndim == 2 else text[0]
    ### END SOLUTION


# %% tryit="generate"
model = Decoder(*load_tiny())
for use_cache in (False, True):
    print(f"use_cache={use_cache!s:5}", generate(model, [5, 17, 400], 12, use_cache).tolist())


# %% test="generate" points=2
def test_generate():
    import torch

    from mini_engine.config import TINY

    want = [11, 20, 7]
    for _ in range(4):
        want.append((7 * sum(want) + 3) % TINY.vocab_size)  # what CountingModel says
    for use_cache, calls in ((False, [3, 4, 5, 6]), (True, [3, 1, 1, 1])):
        model = CountingModel(TINY)
        got = generate(model, torch.tensor([[11, 20, 7]]), 4, use_cache)
        case = f"use_cache={use_cache}"
        assert got is not None, "generate returned None: is there a return statement?"
        assert tuple(got.shape) == (1, 7), (
            f"{case}: 3 prompt ids and 4 new ones make (1, 7), yours is {tuple(got.shape)}"
        )
        assert got[0].tolist() == want, f"{case}: expected {want}, got {got[0].tolist()} (argmax of the last position?)"
        assert len(model.runs) == 1, f"{case}: one generation, but {len(model.runs)} were begun (a cache made twice?)"
        cached, fed = model.runs[0][:2]
        assert cached == use_cache, f"{case}, but the model was called {'with' if cached else 'without'} a cache"
        assert len(fed) == 4, (
            f"{case}: 4 new tokens take 4 passes, yours took {len(fed)}; the last token is not fed back"
        )
        assert fed == calls, f"{case}: the passes should feed {calls} tokens, yours fed {fed}"


test_generate()


# %% hidden="generate" points=4
def hidden_generate():
    import numpy as np
    import torch

    from mini_engine.config import ModelConfig
    from mini_engine.model import Llama
    from mini_engine.weights import load_tiny, load_tiny_expected

    rng = np.random.default_rng(51)
    small = ModelConfig("s", 1, 4, 1, 1, 4, 97, 2, max_position_embeddings=9)
    for batch, prompt, new in ((1, 1, 1), (2, 3, 5), (3, 1, 9), (2, 9, 1), (1, 1, 0), (1, 10, 0)):
        start = torch.from_numpy(rng.integers(0, 97, (batch, prompt)))
        want = start.tolist()
        for row in want:
            for _ in range(new):
                row.append((7 * sum(row) + 3) % 97)
        for use_cache in (False, True):
            model, ids = CountingModel(small), start.clone()
            got = generate(model, ids, new, use_cache)
            case = f"batch {batch}, prompt {prompt}, {new} new, use_cache={use_cache}"
            assert got.tolist() == want, f"{case}: expected {want}, got {got.tolist()}"
            assert torch.equal(ids, start), f"{case}: the prompt tensor was changed"
            fed = [run[1] for run in model.runs if run[1]]
            calls = [prompt] + [1] * (new - 1) if use_cache else list(range(prompt, prompt + new))
            assert fed == ([calls] if new else []), f"{case}: the passes should feed {calls[:new]}, yours fed {fed}"
    for ids in ([5, 6, 7], torch.tensor([5, 6, 7])):
        got = generate(CountingModel(small), ids, 2, True)
        assert tuple(got.shape) == (5,), (
            f"a prompt without a batch axis gives ids without one: (5,), not {tuple(got.shape)}"
        )
        assert list(ids) == [5, 6, 7], f"the prompt was changed to {ids}"
    got = generate(CountingModel(ModelConfig("s", 1, 4, 1, 1, 4, 40_000, 2)), [39_999, 1], 2, True).tolist()
    assert got == [39_999, 1, 3, 24], f"ids above 32767 are ids like any other: [39999, 1, 3, 24], you returned {got}"
    for what, ids, new in (
        ("9 positions, 10 to feed", [1] * 7, 4),
        ("an empty prompt", [], 3),
        ("-1 new tokens", [1, 2], -1),
    ):
        for use_cache in (False, True):
            model = CountingModel(small)
            try:
                generate(model, ids, new, use_cache)
            except ValueError:
                assert not any(run[1] for run in model.runs), f"{what}: reject it before any work"
                continue
            raise AssertionError(f"{what} (use_cache={use_cache}) was accepted: raise ValueError")

    config, weights = load_tiny()
    model = Llama(config, weights, torch.float64)  # the engine's own model; float64, so that ties cannot decide
    for case in load_tiny_expected()[:2]:
        for use_cache in (False, True):
            got = generate(model, torch.from_numpy(case["ids"]).long(), 8, use_cache)[len(case["ids"]) :].tolist()
            want = case["greedy"][:8].tolist()
            assert got == want, (
                f"ids {case['ids'].tolist()}, use_cache={use_cache}: transformers writes {want}, you {got}"
            )


hidden_generate()

# %% [markdown] task="latency_by_length" stars=2 minutes=25
# ## 11. Measure it
#
# Counting tokens says what *should* happen; now take the time. Write `latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3)`: for each prompt length, the seconds that your `generate` needs for `new_tokens` tokens, with and without the cache. Return a dict of three lists of equal length:
#
# | key | holds |
# |---|---|
# | `"lengths"` | the prompt lengths, as given |
# | `"with_cache_s"` | seconds of `generate(..., use_cache=True)` for each length |
# | `"without_cache_s"` | seconds of `generate(..., use_cache=False)` |
#
# A single timing lies: the first run pays for memory that is touched for the first time, and any run can be interrupted. So for each length and each way run once without timing it (the warm-up), then `repeats` times, and keep the **median**. Use one random prompt per length, the same for both ways, with ids from 0 to `model.config.vocab_size - 1`, one text at a time. A length, `new_tokens` or `repeats` below 1 raises `ValueError` with the value in the message.
#
# The checks never look at how fast you are. They count the calls, and compare your numbers with what the model itself saw pass by.
#
# <details><summary>Hint 1</summary>
#
# A small inner function that times one call with `time.perf_counter()` before and after keeps the loops short.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `torch.randint(model.config.vocab_size, (1, length))` is a prompt. Collect `repeats` differences of two clock readings in a list and take `np.median`.
#
# </details>


# %% solution="latency_by_length"
def latency_by_length(model, lengths=(10, 50, 100, 500, 1000), new_tokens=8, repeats=3):
    """Seconds that generate takes for new_tokens tokens, by prompt length, with and without the cache.

    Returns {"lengths", "with_cache_s", "without_cache_s"}: lists, one entry per length; a time is the median of
    `repeats` runs after one warm-up run. Raises ValueError for a length, new_tokens or repeats below 1.
    """
    ### BEGIN SOLUTION
    for count in (*lengths, new_tokens, repeats):
        if count < 1:
            raise ValueError(f"lengths, new_tokens and repeats must be at least 1, got {count}")

    def seconds(prompt, use_cache):
        start = time.perf_counter()
        generate(model, prompt, new_tokens, use_cache)
        return time.perf_counter() - start

    result = {"lengths": list(lengths), "with_cache_s": [], "without_cache_s": []}
    for length in lengths:
        prompt = torch.randint(model.config.vocab_size, (1, length))
        for key, use_cache in (("with_cache_s", True), ("without_cache_s", False)):
            seconds(prompt, use_cache)  # warm-up
            result[key].append(float(np.median([seconds(prompt, use_cache) for _ in range(repeats)])))
    return result
    ### END SOLUTION


# %% tryit="latency_by_length"
result = latency_by_length(Decoder(*load_tiny()))
fig, ax = figure()
ax.loglog(result["lengths"], result["without_cache_s"], "o-", label="without cache")
ax.loglog(result["lengths"], result["with_cache_s"], "s-", label="with cache")
ax.set(xlabel="prompt length (tokens)", ylabel="time for 8 new tokens (s)", title="The shipped 2-layer model")
ax.set_xticks(result["lengths"], [str(length) for length in result["lengths"]])
ax.minorticks_off()
ax.legend()
show(fig, alt="Without the cache the time grows with the prompt; with it, it grows much less.")


# %% test="latency_by_length" points=1
def test_latency_by_length():
    from mini_engine.config import TINY

    model = CountingModel(TINY)
    got = latency_by_length(model, lengths=(4, 9), new_tokens=3, repeats=2)
    assert got is not None, "latency_by_length returned None: is there a return statement?"
    keys = {"lengths", "with_cache_s", "without_cache_s"}
    assert set(got) == keys, f"return a dict with the keys {sorted(keys)}, yours are {sorted(got)}"
    assert got["lengths"] == [4, 9], f"lengths should be the list [4, 9]; yours are {got['lengths']}"
    for key in ("with_cache_s", "without_cache_s"):
        assert isinstance(got[key], list), (
            f"{key}: a plain list, ready to be saved as JSON, not {type(got[key]).__name__}"
        )
        assert len(got[key]) == 2, f"{key}: one time per length, 2; you have {len(got[key])}"
        assert all(value > 0 for value in got[key]), f"{key}: a measured time is above 0, yours are {got[key]}"
    for length in (4, 9):
        for cached, calls in ((True, [length, 1, 1]), (False, [length, length + 1, length + 2])):
            count = sum(run[:2] + run[4:] == [cached, calls, 1] for run in model.runs)
            way = "with" if cached else "without"
            assert count != 2, f"length {length} {way} cache ran 2 times: repeats=2 and one warm-up make 3"
            assert count == 3, (
                f"length {length} {way} cache: 3 runs of one text with calls of {calls} tokens expected, saw {count}"
            )


test_latency_by_length()


# %% hidden="latency_by_length" points=2
def hidden_latency_by_length():
    import time

    import numpy as np

    from mini_engine.config import TINY

    # With a cache the runs take 0.1 s (the warm-up), then 0.05, 0.2 and 0: the median is the one of 0.05. Without: half.
    # The two timed runs of the second model take 0.01 and 0.07 s, whose median is 0.04.
    unequal = {True: [0.1, 0.05, 0.2, 0], False: [0.05, 0.025, 0.1, 0]}
    for delays in (unequal, dict.fromkeys((True, False), [0, 0.01, 0.07])):
        model, repeats = CountingModel(TINY, delays=delays), len(delays[True]) - 1
        got = latency_by_length(model, (6,), new_tokens=2, repeats=repeats)
        ended, runs = time.perf_counter(), 2 * (repeats + 1)
        assert len(model.runs) == runs, (
            f"1 warm-up and {repeats} timed runs, two ways: {runs} runs, yours made {len(model.runs)}"
        )
        for key, cached in (("with_cache_s", True), ("without_cache_s", False)):
            low, high = [], []  # of each run, the least and the most that a clock around it can have shown
            for i, (is_cached, _calls, began, returned, _batch) in enumerate(model.runs):
                if is_cached == cached:
                    before = model.runs[i - 1][3] if i else began - 1
                    after = model.runs[i + 1][2] if i + 1 < len(model.runs) else ended
                    low.append(returned - began)
                    high.append(after - before)
            low, high = float(np.median(low[1:])), float(np.median(high[1:]))
            value = got[key][0]
            assert low - 1e-3 <= value <= high + 1e-3, (
                f"{key}: the median of {repeats} timed runs lies between {low:.3f} and {high:.3f} s, you returned "
                f"{value:.3f} (mean, minimum, the warm-up among the timed runs, or the two ways swapped?)"
            )
    model = CountingModel(TINY)
    lengths = [7, 30, 3]
    got = latency_by_length(model, lengths, new_tokens=1, repeats=1)
    assert lengths == [7, 30, 3], f"the caller's lengths were changed to {lengths}"
    assert got["lengths"] == [7, 30, 3], f"keep the order of the lengths: [7, 30, 3], not {got['lengths']}"
    fed = [[run[1] for run in model.runs if run[0] == cached] for cached in (True, False)]
    assert fed == [[[7]] * 2 + [[30]] * 2 + [[3]] * 2] * 2, (
        f"lengths 7, 30, 3, two runs of each way: the model saw {fed}"
    )
    prompts = {tuple(prompt) for prompt in model.prompts}
    assert len(prompts) == 3, f"one prompt per length, the same for both ways: 3 prompts, the model saw {len(prompts)}"
    ids = {token for prompt in prompts for token in prompt}
    assert 0 <= min(ids) and max(ids) < TINY.vocab_size, f"ids go from 0 to {TINY.vocab_size - 1}, yours to {max(ids)}"
    for bad in (((0,), 2, 2), ((5, -3), 2, 2), ((5,), 0, 2), ((5,), 2, 0)):
        model = CountingModel(TINY)
        try:
            latency_by_length(model, *bad)
        except ValueError as error:
            worst = min(*bad[0], *bad[1:])
            assert str(worst) in str(error), f"the message should hold the bad value {worst}: {error}"
            continue
        raise AssertionError(f"lengths, new_tokens, repeats = {bad} was accepted: raise ValueError")


hidden_latency_by_length()

# %% [markdown]
# ## Your decoder, a real model
#
# Nothing to write and no points: your `Decoder` and your `generate` with the weights of SmolLM2-135M, 30 layers instead of 2. It runs where the model has been fetched before (`python -m mini_engine generate "Hello"` does that) and says so where not.

# %%
from mini_engine.weights import load_smollm2, smollm2_is_cached

if not smollm2_is_cached():
    print('SmolLM2-135M is not on this machine: skipped. `python -m mini_engine generate "Hello"` fetches it.')
else:
    from mini_engine.tokenizer import load_smollm2_tokenizer

    tokenizer = load_smollm2_tokenizer()
    real = Decoder(*load_smollm2())
    prompt = tokenizer.encode("The capital of France is")
    for use_cache in (True, False):
        start = time.perf_counter()
        text = generate(real, prompt, 16, use_cache).tolist()
        elapsed = time.perf_counter() - start
        print(f"use_cache={use_cache!s:5} {elapsed:5.2f} s: {tokenizer.decode(text)!r}")

# %% [markdown]
# **Before you close this.** Whatever you did to the cache, the tokens stayed the same: at once or in chunks, with or without, equal to transformers' logits to 1e-5. And you measured what it buys: time per answer on your machine, beside the count of tokens that predicted it.
