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
# # 04 · FLOPs and the roofline
#
# In this notebook you count what a language model computes and what it has to read, and you divide the two. That one ratio, FLOPs per byte, tells you what limits each phase of a request and which improvements can help it. The chapter *FLOPs and the roofline* of the book tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.
#
# One convention holds everywhere: **a multiply-add counts as 2 FLOPs**, so a product of `[N, a]` with `[a, b]` costs $2 \cdot N \cdot a \cdot b$. A second one: an argument that makes no sense raises `ValueError`, and the message holds the value. The docstring says which arguments are meant.

# %% setup=True
import math

from mini_engine.accounting import request_flops_simple
from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, SMOLLM2_135M
from mini_engine.plotting import figure, show

# NVIDIA A100 80GB SXM, dense bf16, from its data sheet: FLOP/s and bytes/s
A100_FLOPS, A100_BANDWIDTH = 312e12, 2.039e12

# %% [markdown] task="forward_flops" stars=3 minutes=35
# ## 1. FLOPs of a forward pass
#
# You write two functions. First `forward_flops(config, n_tokens, context=0)`: the FLOPs of all matrix products when `n_tokens` new tokens go through the model after `context` tokens that are already in the KV cache. Return an `int`.
#
# Three parts, all at 2 FLOPs per multiply-add:
#
# | part | matrices or products | how often |
# |---|---|---|
# | linear layers | $W_q, W_o$: $d \times H_q d_h$; $W_k, W_v$: $d \times H_{kv} d_h$; gate, up, down: $d \times d_{ff}$ | each new token, each layer |
# | attention | $QK^\top$ and $PV$: $H_q d_h$ multiply-adds each | each pair of a new token and a token that it sees, each layer |
# | LM head | $d \times V$ | each new token |
#
# Attention is causal: new token $i$ (from 0) sees the `context` cached tokens, the new ones before it, and itself, so $\text{context} + i + 1$ tokens. The embedding is a look-up and costs nothing; a tied LM head is still multiplied. Norms, softmax, RoPE and SiLU are left out: together they are about a percent of the work, or less.
#
# `config` has the fields `num_hidden_layers`, `hidden_size`, `num_attention_heads`, `num_key_value_heads`, `head_dim`, `intermediate_size`, `vocab_size`. No tokens cost 0 FLOPs; negative counts make no sense.
#
# Example: the attention part alone, 3 new tokens after 2 cached ones, 1 layer, 1 head of 4: the tokens see 3 + 4 + 5 = 12 tokens, so $2 \cdot 2 \cdot 4 \cdot 12 = 192$ FLOPs.
#
# The count follows appendix F of [Hoffmann et al. 2022](https://arxiv.org/abs/2203.15556), with LLaMA's matrices and the causal half of the scores.
#
# Then write `attention_overtakes(config)`: the smallest number of cached tokens, an `int`, after which one more token costs at least as many FLOPs in attention as in everything else (linear layers and LM head). With $T = \text{context} + 1$ visible tokens attention takes $4 L H_q d_h T$ FLOPs.
#
# Example: 1 layer, 1 head of 4, and 240 weights in all products: $4 \cdot 4 \cdot T \ge 2 \cdot 240$ from $T = 30$ on, so after 29 cached tokens.
#
# <details><summary>Hint 1</summary>
#
# Count the weights that one token meets, and double the number. That is everything except attention.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For attention, first add up how many (query, key) pairs there are: a sum over the new tokens of what each one sees. Each pair costs $H_q d_h$ multiply-adds for its score and as many again to weigh its value. Which head count is it: are there fewer scores when several query heads share a key head?
#
# </details>


# %% solution="forward_flops"
def forward_flops(config, n_tokens, context=0):
    """FLOPs of the matrix products in one pass over n_tokens new tokens after `context` cached ones.

    config: a model spec. n_tokens, context: 0 or more. Logits are computed for every new token. Returns an int.
    Raises ValueError when n_tokens or context is negative.
    """
    ### BEGIN SOLUTION
    if n_tokens < 0 or context < 0:
        raise ValueError(f"n_tokens and context cannot be negative, got {n_tokens} and {context}")
    d = config.hidden_size
    q_size = config.num_attention_heads * config.head_dim
    kv_size = config.num_key_value_heads * config.head_dim
    layer = 2 * d * q_size + 2 * d * kv_size + 3 * d * config.intermediate_size
    weights = config.num_hidden_layers * layer + d * config.vocab_size
    pairs = sum(context + i + 1 for i in range(n_tokens))
    return 2 * (n_tokens * weights + 2 * config.num_hidden_layers * q_size * pairs)
    ### END SOLUTION


def attention_overtakes(config):
    """Cached tokens from which attention costs one new token at least as many FLOPs as all products with weights.

    config: a model spec. Returns the smallest such number, an int, 0 or more.
    """
    ### BEGIN SOLUTION
    linear = forward_flops(config, 1) - 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    per_visible = 4 * config.num_hidden_layers * config.num_attention_heads * config.head_dim
    return -(-linear // per_visible) - 1
    ### END SOLUTION


# %% tryit="forward_flops"
for spec in (SMOLLM2_135M, LLAMA_2_7B, LLAMA_3_8B):
    for context in (0, 4096):
        flops = forward_flops(spec, 1, context)
        print(f"{spec.name:14} one token after {context:4} cached: {flops / 1e9:7.3f} GFLOP")

for spec in (SMOLLM2_135M, LLAMA_2_7B, LLAMA_3_8B):
    print(f"{spec.name:14} attention overtakes the weights after {attention_overtakes(spec):6,} cached tokens")


# %% test="forward_flops" points=2
def test_forward_flops():
    from mini_engine.config import LLAMA_2_7B, TINY, ModelConfig

    got = forward_flops(LLAMA_2_7B, 1)
    assert got is not None, "forward_flops returned None: is there a return statement?"
    assert got != 6_607_339_520, (
        "Llama-2-7B: 6607339520 counts a multiply-add once; it is a multiply and an add, 2 FLOPs"
    )
    assert got != 12_952_535_040, "Llama-2-7B: 12952535040 leaves out the LM head, a product of [1, d] with [d, vocab]"
    assert got != 13_476_823_040, "Llama-2-7B: 13476823040 counts the embedding too; that is a look-up, not a product"
    assert got == 13_214_679_040, f"one token through Llama-2-7B takes 13214679040 FLOPs, you returned {got}"
    one_layer = ModelConfig("one layer, one head", 1, 4, 1, 1, 1, 1, 4)
    linear = 2 * 3 * (4 * 4 * 4 + 3 * 4 + 4)
    got = forward_flops(one_layer, 3, 2) - linear
    assert got != 240, "the attention part is 240: every new token was given all 5 tokens; token i sees only 2 + i + 1"
    assert got != 96, "the attention part is 96, half of it: QK and PV are two products"
    assert got == 192, f"3 new tokens after 2 cached ones, head of 4: 192 FLOPs of attention, you counted {got}"
    assert forward_flops(TINY, 0, 5) == 0, "no new tokens cost nothing"
    for n_tokens, context, bad in ((-1, 0, "-1"), (1, -2, "-2")):
        try:
            forward_flops(TINY, n_tokens, context)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"n_tokens={n_tokens}, context={context} was accepted")

    spec = ModelConfig("one layer, one head", 1, 4, 1, 1, 11, 11, 4)
    got = attention_overtakes(spec)
    assert got is not None, "attention_overtakes returned None: is there a return statement?"
    assert got != 30, "30 is the number of visible tokens; the new token sees itself, so 29 cached ones are enough"
    assert got != 14, "14 counts a multiply-add of the weights once and of attention twice"
    assert got == 29, f"240 weights, one head of 4: from 29 cached tokens on, you returned {got}"
    assert attention_overtakes(LLAMA_2_7B) == 25203, "Llama-2-7B: 25203 cached tokens"


test_forward_flops()


# %% hidden="forward_flops" points=4
def hidden_forward_flops():
    import numpy as np

    from mini_engine.config import LLAMA_3_8B, SMOLLM2_135M, ModelConfig

    def count(config, n_tokens, context):
        """Walk through the matrices and the visible pairs one by one."""
        d, ff, d_h = config.hidden_size, config.intermediate_size, config.head_dim
        shapes = []
        for _layer in range(config.num_hidden_layers):
            shapes += [(d, config.num_attention_heads * d_h), (config.num_attention_heads * d_h, d)]
            shapes += [(d, config.num_key_value_heads * d_h)] * 2 + [(d, ff), (d, ff), (ff, d)]
        shapes.append((d, config.vocab_size))
        total = sum(2 * n_tokens * rows * columns for rows, columns in shapes)
        for _layer in range(config.num_hidden_layers):
            for _head in range(config.num_attention_heads):
                for query in range(context, context + n_tokens):
                    for _key in range(query + 1):
                        total += 2 * d_h + 2 * d_h
        return total

    rng = np.random.default_rng(3)
    for _ in range(20):
        layers, kv, rep, half, d, ff, vocab = (int(n) for n in rng.integers(1, 6, 7))
        n_tokens, context = int(rng.integers(0, 7)), int(rng.integers(0, 7))
        spec = ModelConfig("random", layers, d, kv * rep, kv, ff, vocab, 2 * half)
        expected, got = count(spec, n_tokens, context), forward_flops(spec, n_tokens, context)
        assert got == expected, (
            f"{spec}, {n_tokens} new tokens after {context}: counted {expected}, you returned {got} "
            "(head_dim is its own field; scores are per query head, K and V projections per KV head)"
        )
    try:
        forward_flops(SMOLLM2_135M, 3, -1)
    except ValueError:
        pass
    else:
        raise AssertionError("context=-1 was accepted")
    assert forward_flops(SMOLLM2_135M, 1) == 269_028_864, "SmolLM2's tied LM head is still multiplied"
    got = forward_flops(LLAMA_3_8B, 1000, 500)
    assert got == 15_533_867_008_000, f"Llama-3-8B, 1000 tokens after 500: 15533867008000 FLOPs, you returned {got}"

    for _ in range(20):
        layers, kv, rep, half, d, ff, vocab = (int(n) for n in rng.integers(1, 6, 7))
        spec = ModelConfig("random", layers, d, kv * rep, kv, ff, vocab, 2 * half)
        none = count(spec, 1, 0) - 4 * layers * kv * rep * 2 * half  # without the token's look at itself
        context = 0
        while count(spec, 1, context) < 2 * none:
            context += 1
        got = attention_overtakes(spec)
        assert got == context, f"{spec}: first after {context} cached tokens, you returned {got}"
        assert got >= 0 and isinstance(got, int), f"a number of tokens is an int and never negative: {got!r}"
    big = ModelConfig("big", 7, 4099, 37, 37, 11003, 32003, 128)
    weights = 7 * (4 * 4099 * 37 * 128 + 3 * 4099 * 11003) + 4099 * 32003
    want = -(-weights // (2 * 7 * 37 * 128)) - 1
    assert attention_overtakes(big) == want, f"must stay exact for large models: {want}"
    seen = 3_000_001 * 7 + 3_000_001 * 3_000_002 // 2
    want, got = 2 * 3_000_001 * weights + 4 * 7 * 37 * 128 * seen, forward_flops(big, 3_000_001, 7)
    assert got == want and isinstance(got, int), f"3,000,001 tokens after 7: exactly {want} as an int, got {got!r}"
    assert attention_overtakes(LLAMA_3_8B) == 28627, "Llama-3-8B: 28627; KV heads do not enter the FLOPs of attention"
    wide = ModelConfig("wide", 1, 2**40 + 1, 1, 1, 2**20 + 1, 3, 2)
    want, got = -(-(2**40 + 1) * (8 + 3 * (2**20 + 1) + 3) // 4) - 1, attention_overtakes(wide)
    assert got == want, f"a model too large for floats: {want}, you returned {got}; divide whole numbers"


hidden_forward_flops()

# %% [markdown] task="request_flops" stars=2 minutes=15
# ## 2. FLOPs of a request
#
# A request with a KV cache is one pass over the prompt, then one pass per further token. The prompt pass already gives the logits of the first output token, so `output_tokens` tokens need `output_tokens - 1` decode steps; the last token is never fed back.
#
# Write `request_flops(config, input_tokens, output_tokens)`. Return a dict of three `int`s: `"prefill"`, `"decode"` and `"total"`. You may call your `forward_flops`. Either count below 1 makes no sense.
#
# Example: a prompt of 5 tokens and 3 output tokens: prefill runs 5 tokens after 0; decode runs 1 token after 5 and 1 token after 6.
#
# You will meet estimates that look different. The cell below your code prints a popular one beside yours, `request_flops_simple` from the engine: about half of the true count. The chapter says line by line where the other half went.
#
# <details><summary>Hint 1</summary>
#
# How many tokens are in the cache when the first decode step begins? And when the second one begins?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The decode part is a sum of `forward_flops` with one new token, over a context that grows by one each step.
#
# </details>


# %% solution="request_flops"
def request_flops(config, input_tokens, output_tokens):
    """FLOPs of one request with a KV cache.

    config: a model spec. input_tokens, output_tokens: at least 1.
    Returns {"prefill": int, "decode": int, "total": int}. Raises ValueError when a count is below 1.
    """
    ### BEGIN SOLUTION
    if input_tokens < 1 or output_tokens < 1:
        raise ValueError(f"both counts must be at least 1, got {input_tokens} and {output_tokens}")
    prefill = forward_flops(config, input_tokens)
    decode = sum(forward_flops(config, 1, input_tokens + step) for step in range(output_tokens - 1))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}
    ### END SOLUTION


# %% tryit="request_flops"
for tokens in ((10, 100), (500, 1500)):
    true, simple = request_flops(LLAMA_2_7B, *tokens), request_flops_simple(LLAMA_2_7B, *tokens)
    for part in ("prefill", "decode"):
        print(f"{tokens} {part:8} {true[part] / 1e6:16,.2f} MFLOP, popular estimate {simple[part] / 1e6:16,.2f}")


# %% test="request_flops" points=1
def test_request_flops():
    from mini_engine.config import LLAMA_2_7B, TINY

    got = request_flops(LLAMA_2_7B, 10, 100)
    assert got is not None, "request_flops returned None: is there a return statement?"
    assert set(got) == {"prefill", "decode", "total"}, f"the keys are prefill, decode and total, yours: {sorted(got)}"
    assert got["prefill"] == 132_170_383_360, f"prefill of 10 tokens: 132170383360 FLOPs, yours {got['prefill']}"
    assert got["decode"] != 1_324_587_417_600, "decode: 100 steps; the prefill wrote the first token, so 99 are left"
    assert got["decode"] == 1_311_315_591_168, f"99 decode steps take 1311315591168 FLOPs, yours {got['decode']}"
    assert got["total"] == got["prefill"] + got["decode"], "total is the sum of the two parts"
    for tokens, bad in (((0, 5), "0"), ((5, -3), "-3")):
        try:
            request_flops(TINY, *tokens)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"request_flops(config, {tokens[0]}, {tokens[1]}) was accepted")


test_request_flops()


# %% hidden="request_flops" points=2
def hidden_request_flops():
    import numpy as np

    from mini_engine.config import TINY, ModelConfig

    def count(config, first, last):
        """FLOPs to run the tokens first..last-1, each seeing itself and all before it."""
        d, q = config.hidden_size, config.num_attention_heads * config.head_dim
        kv, ff = config.num_key_value_heads * config.head_dim, config.intermediate_size
        weights = config.num_hidden_layers * (d * q + q * d + d * kv + d * kv + d * ff + d * ff + ff * d)
        seen = [position + 1 for position in range(first, last)]
        head = d * config.vocab_size
        return 2 * (len(seen) * (weights + head) + 2 * config.num_hidden_layers * q * sum(seen))

    got = request_flops(TINY, 7, 1)
    assert got["decode"] == 0, f"one output token comes from the prefill alone; decode is 0, yours {got['decode']}"
    assert got["total"] == got["prefill"] == count(TINY, 0, 7), "one output token costs one prefill"
    rng = np.random.default_rng(33)
    for _ in range(20):
        layers, kv, rep, half, prompt, new = (int(n) for n in rng.integers(1, 9, 6))
        spec = ModelConfig("random", layers, 6, kv * rep, kv, 10, 11, 2 * half)
        got = request_flops(spec, prompt, new)
        expected = {"prefill": count(spec, 0, prompt), "decode": count(spec, prompt, prompt + new - 1)}
        for part, value in expected.items():
            assert got[part] == value, f"{prompt} in, {new} out, {part}: counted {value}, you returned {got[part]}"
        assert got["total"] == sum(expected.values()), "total is prefill plus decode"
    for tokens in ((1, 0), (-1, 1), (1, -1)):
        try:
            request_flops(TINY, *tokens)
        except ValueError:
            continue
        raise AssertionError(f"request_flops(config, {tokens[0]}, {tokens[1]}) was accepted")


hidden_request_flops()

# %% [markdown] task="attention_intensity_prefill" stars=2 minutes=30
# ## 3. Intensity of attention, in prefill and in decode
#
# **Arithmetic intensity** is FLOPs divided by bytes moved between the chip and its memory. Take one head of size $d$ over $N$ tokens, and standard attention, which writes the scores and the weights to memory (algorithm 0 of [Dao et al. 2022](https://arxiv.org/abs/2205.14135)):
#
# | step | reads | writes | FLOPs |
# |---|---|---|---|
# | scores $= QK^\top$ | $2Nd$ | $N^2$ | $2N^2d$ |
# | weights $= \mathrm{softmax}$(scores) | $N^2$ | $N^2$ | not counted |
# | output = weights $\cdot V$ | $N^2 + Nd$ | $Nd$ | $2N^2d$ |
#
# Write `attention_intensity_prefill(n, d, bytes_per=2)`: total FLOPs over total bytes, with `bytes_per` bytes for each number. Nothing is masked, as in the table. Sizes start at 1, and `bytes_per` must be above 0.
#
# Example: $N = 2$, $d = 3$, one byte each: $4 \cdot 4 \cdot 3 = 48$ FLOPs; reads and writes are $4 \cdot 6 + 4 \cdot 4 = 40$ numbers; $48 / 40 = 1.2$.
#
# Then the same head in decode: one query over $N$ cached tokens. Queries, scores, weights and output become a single row; $K$ and $V$ keep all their $N$ rows. Write `attention_intensity_decode(n, d, bytes_per=2)`.
#
# Example: $N = 2$, $d = 3$, one byte each: $4 \cdot 2 \cdot 3 = 24$ FLOPs; query and output have 3 numbers each, $K$ and $V$ 6 each, scores and weights of 2 numbers are each written and read; 26 in all; $24 / 26 = 0.923$.
#
# <details><summary>Hint 1</summary>
#
# Add up the columns "reads" and "writes": how many times $Nd$, how many times $N^2$? For decode: which of the terms lose a factor $N$, and which do not?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Four matrices of $Nd$ numbers cross once each; scores and weights are written once and read once each. In decode two of the four become one row. Do not forget that the table counts numbers, and you need bytes.
#
# </details>


# %% solution="attention_intensity_prefill"
def attention_intensity_prefill(n, d, bytes_per=2):
    """FLOP per byte of standard, unmasked attention of n queries over n tokens, one head of size d.

    n, d: at least 1. bytes_per: bytes per number, above 0. Returns a float. Raises ValueError for other sizes.
    """
    ### BEGIN SOLUTION
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"sizes must be positive, got n={n}, d={d}, bytes_per={bytes_per}")
    flops = 2 * n * n * d + 2 * n * n * d
    numbers = (2 * n * d + n * n) + (n * n + n * n) + (n * n + n * d + n * d)
    return flops / (numbers * bytes_per)
    ### END SOLUTION


def attention_intensity_decode(n, d, bytes_per=2):
    """FLOP per byte of standard attention of one query over n cached tokens, one head of size d.

    n, d: at least 1. bytes_per: bytes per number, above 0. Returns a float. Raises ValueError for other sizes.
    """
    ### BEGIN SOLUTION
    if n < 1 or d < 1 or bytes_per <= 0:
        raise ValueError(f"sizes must be positive, got n={n}, d={d}, bytes_per={bytes_per}")
    flops = 2 * n * d + 2 * n * d
    numbers = (d + n * d + n) + (n + n) + (n + n * d + d)
    return flops / (numbers * bytes_per)
    ### END SOLUTION


# %% tryit="attention_intensity_prefill"
for n in (16, 128, 1024, 8192, 65536):
    print(f"N {n:6}, d 128: {attention_intensity_prefill(n, 128):6.2f} FLOP per byte")

for n in (16, 128, 1024, 8192, 65536):
    print(f"N {n:6}, d 128: {attention_intensity_decode(n, 128):5.3f} FLOP per byte")


# %% test="attention_intensity_prefill" points=2
def test_attention_intensity_prefill():
    got = attention_intensity_prefill(1024, 128)
    assert got is not None, "attention_intensity_prefill returned None: is there a return statement?"
    assert abs(got - 512) > 1, "512 counts only Q, K, V and O; S and P are written and read too"
    assert abs(got - 113.78) > 0.01, "113.78 is FLOPs per number; each number takes bytes_per bytes"
    assert abs(got - 28.44) > 0.01, "28.44 has half the FLOPs: QK and PV are two products"
    assert abs(got - 56.89) < 0.005, f"N=1024, d=128 gives 56.89 FLOP per byte, you returned {got}"
    got = attention_intensity_prefill(2, 3, 1)
    assert abs(got - 1.2) < 1e-12, f"N=2, d=3, one byte: 48 / 40 = 1.2, you returned {got}"
    for sizes, bad in (((-4, 8, 2), "-4"), ((4, 0, 2), "0"), ((4, 8, -1), "-1")):
        try:
            attention_intensity_prefill(*sizes)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"n, d, bytes_per = {sizes} was accepted")

    got = attention_intensity_decode(1024, 128)
    assert got is not None, "attention_intensity_decode returned None: is there a return statement?"
    assert abs(got - 56.89) > 0.01, "56.89 is the prefill value: decode has one query, not N"
    assert abs(got - 1.967) > 0.001, "1.967 is FLOPs per number; each number takes bytes_per bytes"
    assert abs(got - 0.984) < 0.0005, f"N=1024, d=128 gives 0.984 FLOP per byte, you returned {got}"
    got = attention_intensity_decode(2, 3, 1)
    assert abs(got - 24 / 26) < 1e-12, f"N=2, d=3, one byte: 24 / 26 = 0.923, you returned {got}"
    for sizes, bad in (((-4, 8, 2), "-4"), ((4, 0, 2), "0"), ((4, 8, -1), "-1")):
        try:
            attention_intensity_decode(*sizes)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"n, d, bytes_per = {sizes} was accepted")


test_attention_intensity_prefill()


# %% hidden="attention_intensity_prefill" points=4
def hidden_attention_intensity_prefill():
    import numpy as np

    rng = np.random.default_rng(5)
    for _ in range(20):
        n, d = (int(x) for x in rng.integers(1, 60, 2))
        b = float(rng.choice([0.5, 1, 2, 4]))
        q, k, v, o = (np.zeros((n, d)) for _ in range(4))
        s, p = np.zeros((n, n)), np.zeros((n, n))
        moved = [q, k, s, s, p, p, v, o]  # loaded and stored, step by step
        expected = (2 * q.size * n + 2 * p.size * d) / (b * sum(array.size for array in moved))
        got = attention_intensity_prefill(n, d, b)
        assert abs(got / expected - 1) < 1e-12, f"N={n}, d={d}, b={b}: {expected}, you returned {got}"
    assert abs(attention_intensity_prefill(10**9, 128) - 64) < 1e-4, "for long N the limit is d / bytes_per"
    assert attention_intensity_prefill(1, 1, 1) == 0.5, "one token with a head of one number: 4 FLOPs over 8 bytes"
    for sizes in ((0, 8, 2), (4, -8, 2), (4, 8, 0), (-1, 8, 2)):
        try:
            attention_intensity_prefill(*sizes)
        except ValueError:
            continue
        raise AssertionError(f"n, d, bytes_per = {sizes} was accepted")

    rng = np.random.default_rng(6)
    for _ in range(20):
        n, d = (int(x) for x in rng.integers(1, 60, 2))
        b = float(rng.choice([0.5, 1, 2, 4]))
        q, o = np.zeros((1, d)), np.zeros((1, d))
        k, v = np.zeros((n, d)), np.zeros((n, d))
        s, p = np.zeros((1, n)), np.zeros((1, n))
        moved = [q, k, s, s, p, p, v, o]
        expected = (2 * k.size + 2 * v.size) / (b * sum(array.size for array in moved))
        got = attention_intensity_decode(n, d, b)
        assert abs(got / expected - 1) < 1e-12, f"N={n}, d={d}, b={b}: {expected}, you returned {got}"
    assert attention_intensity_decode(1, 1, 1) == 0.5, "one token with a head of one number: 4 FLOPs over 8 bytes"
    for sizes in ((0, 8, 2), (4, -8, 2), (4, 8, 0), (-1, 8, 2)):
        try:
            attention_intensity_decode(*sizes)
        except ValueError:
            continue
        raise AssertionError(f"n, d, bytes_per = {sizes} was accepted")


hidden_attention_intensity_prefill()

# %% [markdown] task="linear_intensity" stars=3 minutes=30
# ## 4. Intensity of a linear layer, and the batch that fills a device
#
# A linear layer computes $Y = XW$ with $X$ `[batch, d_in]`, $W$ `[d_in, d_out]`, $Y$ `[batch, d_out]`. In decode `batch` is the number of requests in one pass. Each of the three arrays crosses the memory bus once: $X$ and $W$ are read, $Y$ is written.
#
# Write `linear_intensity(batch, d_in, d_out, bytes_per=2)`: $2 \cdot \text{batch} \cdot d_{in} \cdot d_{out}$ FLOPs over the bytes. Sizes start at 1, and `bytes_per` must be above 0.
#
# Example: batch 2, $d_{in} = 3$, $d_{out} = 4$, one byte each: $48 / (6 + 12 + 8) = 1.846$.
#
# Batching lets one read of the weights serve many requests. How many until the layer is no longer limited by memory? The intensity from which a device computes at full speed is its **ridge point** (exercise 6). Write `batch_for_ridge(d_in, d_out, ridge, bytes_per=2)`: the smallest whole batch, at least 1, whose `linear_intensity` is at least `ridge`; `None` where no batch gets there, because the inputs and results must be moved too. `ridge` is above 0.
#
# Example: $d_{in} = d_{out} = 8$, one byte, ridge 4: batch 4 gives $512 / (32 + 64 + 32) = 4$, batch 3 gives $384/112 = 3.43$; the answer is 4. With ridge 8 no batch is enough: $128 B / (64 + 16 B)$ stays below 8.
#
# <details><summary>Hint 1</summary>
#
# Write the number of entries of each of the three arrays. Which of them does not grow with the batch? What does the intensity tend to when the batch is enormous and the weights no longer count?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Solve "intensity = ridge" for the batch: it is a linear equation. Round up. Or search: double the batch until it is enough, then halve the interval. Rounding errors can put a closed form one off; check the neighbours if you use it.
#
# </details>


# %% solution="linear_intensity"
def linear_intensity(batch, d_in, d_out, bytes_per=2):
    """FLOP per byte of x [batch, d_in] @ W [d_in, d_out]; x, W and the result cross the bus once each.

    Sizes: at least 1. bytes_per: bytes per number, above 0. Returns a float. Raises ValueError for other sizes.
    """
    ### BEGIN SOLUTION
    if batch < 1 or d_in < 1 or d_out < 1 or bytes_per <= 0:
        raise ValueError(f"sizes must be positive, got {batch}, {d_in}, {d_out}, bytes_per={bytes_per}")
    numbers = batch * d_in + d_in * d_out + batch * d_out
    return 2 * batch * d_in * d_out / (numbers * bytes_per)
    ### END SOLUTION


def batch_for_ridge(d_in, d_out, ridge, bytes_per=2):
    """Smallest batch whose linear layer [d_in, d_out] has an intensity of at least `ridge`, or None if none has.

    d_in, d_out: at least 1. ridge in FLOP per byte and bytes_per in bytes, above 0. Returns an int or None.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if d_in < 1 or d_out < 1 or ridge <= 0 or bytes_per <= 0:
        raise ValueError(f"values must be positive, got {d_in}, {d_out}, ridge {ridge}, bytes_per {bytes_per}")
    needed = ridge * bytes_per  # FLOPs per number moved
    gain = 2 * d_in * d_out - needed * (d_in + d_out)
    if gain <= 0:
        return None
    return math.ceil(needed * d_in * d_out / gain)
    ### END SOLUTION


# %% tryit="linear_intensity"
for batch in (1, 8, 64, 512):
    attention = attention_intensity_decode(1024, 128)
    print(
        f"batch {batch:3}: linear layer {linear_intensity(batch, 4096, 4096):7.2f} FLOP/byte, attention {attention:.2f}"
    )

batches = [2**i for i in range(11)]
fig, ax = figure()
ax.loglog(batches, [linear_intensity(batch, 4096, 4096) for batch in batches], marker="o", label="linear layer")
ax.loglog(batches, [attention_intensity_decode(1024, 128) for _ in batches], marker="s", label="decode attention")
ax.set(xlabel="batch (sequences)", ylabel="intensity (FLOP per byte)")
ax.legend()
show(fig, alt="Intensity against batch: the linear layer rises with the batch, decode attention stays at one.")

ridge = A100_FLOPS / A100_BANDWIDTH
for d_in, d_out in ((576, 1536), (4096, 4096), (4096, 14336)):
    for bytes_per in (2, 1):
        batch = batch_for_ridge(d_in, d_out, ridge, bytes_per)
        print(f"{d_in:4} to {d_out:5}, {bytes_per} bytes per number: batch {batch}")


# %% test="linear_intensity" points=2
def test_linear_intensity():
    got = linear_intensity(2, 3, 4, 1)
    assert got is not None, "linear_intensity returned None: is there a return statement?"
    assert abs(got - 4) > 1e-9, "4 counts the weights only; X is read and Y is written as well"
    assert abs(got - 48 / 26) < 1e-12, f"batch 2, 3 to 4, one byte: 48 / 26 = 1.846, you returned {got}"
    got = linear_intensity(1, 4096, 4096)
    assert abs(got - 0.9995) < 1e-4, f"batch 1, 4096 to 4096, bf16: 0.9995, you returned {got}"
    for sizes, bad in (((-4, 8, 8, 2), "-4"), ((4, 0, 8, 2), "0"), ((4, 8, -2, 2), "-2"), ((4, 8, 8, -1), "-1")):
        try:
            linear_intensity(*sizes)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"batch, d_in, d_out, bytes_per = {sizes} was accepted")

    got = batch_for_ridge(8, 8, 4, 1)
    assert got != 3, "batch 3 has an intensity of 3.43, below the ridge of 4: round up"
    assert got == 4, f"8 to 8, one byte, ridge 4: batch 4, you returned {got}"
    got = batch_for_ridge(4096, 4096, 153)
    assert got != 153, "153 ignores the activations, which are moved as well"
    assert got == 166, f"4096 to 4096 in bf16 reaches a ridge of 153 at batch 166, you returned {got}"
    got = batch_for_ridge(8, 8, 8, 1)
    assert got is None, f"8 to 8, one byte, never reaches 8 FLOP per byte: return None, you returned {got}"
    for values, bad in (((0, 8, 4, 1), "0"), ((8, -3, 4, 1), "-3"), ((8, 8, -2, 1), "-2"), ((8, 8, 4, 0), "0")):
        try:
            batch_for_ridge(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"d_in, d_out, ridge, bytes_per = {values} was accepted")


test_linear_intensity()


# %% hidden="linear_intensity" points=3
def hidden_linear_intensity():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(7)
    for _ in range(20):
        batch, d_in, d_out = (int(x) for x in rng.integers(1, 40, 3))
        b = float(rng.choice([0.5, 1, 2, 4]))
        x, w = np.zeros((batch, d_in)), np.zeros((d_in, d_out))
        y = x @ w
        expected = 2 * y.size * d_in / (b * (x.size + w.size + y.size))
        got = linear_intensity(batch, d_in, d_out, b)
        assert abs(got / expected - 1) < 1e-12, f"{batch}, {d_in}, {d_out}, b={b}: {expected}, you returned {got}"
    assert abs(linear_intensity(1, 1, 1, 1) - 2 / 3) < 1e-12, "sizes of 1 are allowed: 2 FLOPs over 3 bytes"
    for sizes in ((0, 8, 8, 2), (4, -8, 8, 2), (4, 8, 0, 2), (4, 8, 8, 0)):
        try:
            linear_intensity(*sizes)
        except ValueError:
            continue
        raise AssertionError(f"batch, d_in, d_out, bytes_per = {sizes} was accepted")

    def enough(batch, d_in, d_out, ridge, b):
        numbers = batch * d_in + d_in * d_out + batch * d_out
        return Fraction(2 * batch * d_in * d_out) >= Fraction(ridge) * Fraction(b) * numbers

    rng = np.random.default_rng(9)
    answers = []
    for _ in range(60):
        d_in, d_out = (int(x) for x in rng.integers(1, 30, 2))
        ridge, b = int(rng.integers(1, 30)) / 4, float(rng.choice([0.5, 1, 2]))
        got = batch_for_ridge(d_in, d_out, ridge, b)
        answers.append(got)
        expected = next((n for n in range(1, 5000) if enough(n, d_in, d_out, ridge, b)), None)
        assert got is None or isinstance(got, int | np.integer), f"a batch is a whole number or None, yours is {got!r}"
        assert got == expected, (
            f"{d_in} to {d_out}, ridge {ridge}, {b} bytes: the first batch that is enough is {expected}, you returned {got}"
        )
    assert None in answers and 1 in answers, "the sizes of this check must hold both ends"
    assert batch_for_ridge(1, 1, 0.5, 1) == 1, "a size of 1 is allowed: batch 1 has 2 / 3 FLOP per byte"
    for values in ((-1, 8, 4, 1), (8, 0, 4, 1), (8, 8, 0, 1), (8, 8, 4, -1)):
        try:
            batch_for_ridge(*values)
        except ValueError:
            continue
        raise AssertionError(f"d_in, d_out, ridge, bytes_per = {values} was accepted")
    got = batch_for_ridge(10**6, 10**6, 80_000)
    assert got == 95_239, f"a ridge of 80,000 FLOPs a byte needs a batch of 95,239, you returned {got}"


hidden_linear_intensity()

# %% [markdown] answer="batching" points=3
# ## 5. Why batching helps decode, and where it stops
#
# *Written answer.* In decode, a batch of 64 sequences takes hardly longer per step than a single one, for a while. Explain why, using the words *weights*, *intensity* and *ridge point*; say which part of the model does not gain, and what ends the gain in practice. Five or six sentences.
#
# ### BEGIN SOLUTION
# **Model answer.** A decode step of one sequence reads every weight from memory to do one multiply-add with it, about 1 FLOP per byte in 16 bit, while an A100 could do 153 in the time that a byte takes to arrive. With a batch of B sequences the same read serves B multiply-adds, so the intensity of the linear layers grows about in proportion to B. Until it reaches the ridge point (about 166 sequences for a 4096 x 4096 layer on an A100) the step takes as long as reading the weights, so throughput grows with B at an almost constant time per step. Attention does not gain: each sequence has its own KV cache, which no other sequence uses, so its intensity stays near 1 whatever the batch. The KV bytes grow with batch and context and soon exceed the weights; the step then slows down, and memory is full before the ridge point is reached. Past the ridge point more batch only makes each step longer.
#
# **Rubric, 1 point each.** (1) The weights are read once for the whole batch, so FLOPs per byte grow with the batch. (2) The gain lasts while the intensity is below the ridge point. (3) Attention reads a KV cache of its own for each sequence and does not gain, and KV memory or KV reading ends it.
# ### END SOLUTION

# %% [markdown] task="decode_step" stars=2 minutes=40
# ## 6. A decode pass in six divisions
#
# A decode pass takes one new token for each of `batch` requests. This exercise puts a price on it. Five of the six functions are one or two lines; the last uses the others.
#
# | write | what it is |
# |---|---|
# | `decode_attention_ops(context, d_model)` | the proxy $T \cdot d$: multiply-adds of one query against `context` keys in one layer, an `int` |
# | `read_seconds(n_bytes, bandwidth)` | seconds to read `n_bytes` once |
# | `decode_floor_ms(weight_bytes, kv_bytes, bandwidth)` | **milliseconds** to read all weights once and the KV cache of the whole batch once: no pass is faster |
# | `tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1)` | the most tokens per second that this floor allows, all requests together |
# | `ridge_point(peak_flops, bandwidth)` | the intensity, FLOP per byte, at which the time to compute equals the time to read |
# | `roofline(intensity, peak_flops, bandwidth)` | the most FLOP/s at an intensity: memory delivers `intensity * bandwidth` FLOPs' worth of bytes per second, the chip never does more than `peak_flops` ([Williams, Waterman and Patterson 2009](https://doi.org/10.1145/1498765.1498785)) |
#
# Then `decode_step(config, batch, context, peak_flops, bandwidth, bytes_per=2)`: one pass of a whole model, each request after `context` cached tokens. Return a dict:
#
# - `"bytes"`: what is read. Every weight of a product once, `bytes_per` each (all matrices and the LM head; the embedding is a look-up), and for each request the keys and values of its `context` cached tokens, in all layers.
# - `"flops"`: `batch` times `forward_flops(config, 1, context)`, the function of exercise 1.
# - `"seconds"`: the larger of the time to read and the time to compute.
# - `"bound"`: `"memory"` if the time to read is the larger one, else `"compute"`.
# - `"tokens_per_second"`: of all requests together.
# - `"idle_share"`: the share of `peak_flops` that is not used during these seconds, from 0 to 1.
#
# Counts of bytes, tokens of context and the intensity may be 0; `weight_bytes` of the ceiling, `d_model`, `batch`, `bytes_per`, peaks and bandwidths must be above 0.
#
# Examples: 40 GB at 2 TB/s take 0.02 s. 3 GB of weights and 1 GB of cache at 2 TB/s: 2 ms, so at most 500 tokens per second with one request and 2000 with four. A peak of 12 FLOP/s and 4 bytes/s: the ridge is 3, intensity 2 reaches 8 FLOP/s, intensity 5 reaches 12.
#
# <details><summary>Hint 1</summary>
#
# Look at the units: bytes, bytes per second, FLOP per second; most of the functions are the one division that gives the right unit. Check each byte count on its own: a negative one must not hide behind the other.
#
# </details>
# <details><summary>Hint 2</summary>
#
# For `decode_step` count the weights of the products as in exercise 1, or take half of what `forward_flops` says about one token without its attention. Keys and values are two arrays of $H_{kv} d_h$ numbers per token and layer.
#
# </details>


# %% solution="decode_step"
def decode_attention_ops(context, d_model):
    """Multiply-adds of one query against `context` keys, all heads of one layer together: the T·d proxy.

    context: tokens so far, 0 or more. d_model: size of the model, at least 1. Returns an int.
    Raises ValueError for sizes that make no sense.
    """
    ### BEGIN SOLUTION
    if context < 0:
        raise ValueError(f"context cannot be negative, got {context}")
    if d_model < 1:
        raise ValueError(f"d_model must be at least 1, got {d_model}")
    return context * d_model
    ### END SOLUTION


def read_seconds(n_bytes, bandwidth):
    """Seconds to read n_bytes at `bandwidth` bytes per second.

    n_bytes: 0 or more. bandwidth: above 0. Returns a float. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if n_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"cannot read {n_bytes} bytes at {bandwidth} bytes per second")
    return n_bytes / bandwidth
    ### END SOLUTION


def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    """Milliseconds that one decode step needs at least to read the weights and the KV cache of the whole batch.

    weight_bytes, kv_bytes: 0 or more. bandwidth: bytes per second, above 0. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if weight_bytes < 0 or kv_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"cannot read {weight_bytes} + {kv_bytes} bytes at {bandwidth} bytes per second")
    return 1000 * (weight_bytes + kv_bytes) / bandwidth
    ### END SOLUTION


def tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1):
    """Tokens per second of a batch whose decode steps take exactly the time to read weights and KV cache once.

    weight_bytes above 0; kv_bytes of all sequences together, 0 or more; bandwidth in bytes per second, above 0;
    batch at least 1. Returns a float. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if weight_bytes <= 0 or kv_bytes < 0 or bandwidth <= 0 or batch < 1:
        raise ValueError(f"no ceiling for {weight_bytes} + {kv_bytes} bytes at {bandwidth} bytes/s, batch {batch}")
    return batch * bandwidth / (weight_bytes + kv_bytes)
    ### END SOLUTION


def ridge_point(peak_flops, bandwidth):
    """The intensity in FLOP per byte at which compute and bandwidth limit equally.

    peak_flops in FLOP/s, bandwidth in bytes/s, both above 0. Returns a float. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"peak_flops and bandwidth must be positive, got {peak_flops} and {bandwidth}")
    return peak_flops / bandwidth
    ### END SOLUTION


def roofline(intensity, peak_flops, bandwidth):
    """Attainable FLOP/s at an arithmetic intensity.

    intensity in FLOP per byte, 0 or more; peak_flops in FLOP/s and bandwidth in bytes/s, above 0.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if intensity < 0 or peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"no roofline for intensity {intensity}, peak {peak_flops}, bandwidth {bandwidth}")
    return min(peak_flops, intensity * bandwidth)
    ### END SOLUTION


def decode_step(config, batch, context, peak_flops, bandwidth, bytes_per=2):
    """One decode pass of a model: what it reads and computes, how long that takes at best, and what limits it.

    config: a model spec. batch: requests, at least 1. context: cached tokens of each, 0 or more. peak_flops in FLOP/s,
    bandwidth in bytes/s, bytes_per in bytes, above 0. Returns {"bytes", "flops", "seconds", "bound",
    "tokens_per_second", "idle_share"}. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if batch < 1 or bytes_per <= 0:
        raise ValueError(f"no decode pass for batch {batch}, bytes_per {bytes_per}")
    heads = config.num_attention_heads * config.head_dim
    weights = (forward_flops(config, 1) - 4 * config.num_hidden_layers * heads) // 2
    cached = 2 * config.num_hidden_layers * config.num_key_value_heads * config.head_dim * context
    num_bytes = bytes_per * (weights + batch * cached)
    flops = batch * forward_flops(config, 1, context)
    if peak_flops <= 0:
        raise ValueError(f"peak_flops must be positive, got {peak_flops}")
    compute = flops / peak_flops
    reading = read_seconds(num_bytes, bandwidth)
    seconds = max(compute, reading)
    return {
        "bytes": num_bytes,
        "flops": flops,
        "seconds": seconds,
        "bound": "memory" if reading > compute else "compute",
        "tokens_per_second": batch / seconds,
        "idle_share": 1 - compute / seconds,
    }
    ### END SOLUTION


# %% tryit="decode_step"
for name, intensity in (
    ("decode attention", attention_intensity_decode(1024, 128)),
    ("linear layer, batch 1", linear_intensity(1, 4096, 4096)),
    ("linear layer, batch 64", linear_intensity(64, 4096, 4096)),
    ("prefill attention", attention_intensity_prefill(1024, 128)),
    ("linear layer, 1024 tokens", linear_intensity(1024, 4096, 4096)),
):
    reached = roofline(intensity, A100_FLOPS, A100_BANDWIDTH)
    print(
        f"{name:26} {intensity:7.2f} FLOP/byte, at most {reached / 1e12:6.1f} TFLOP/s, {reached / A100_FLOPS:4.0%} of peak"
    )

intensities = [2.0**i for i in range(-3, 12)]
fig, ax = figure()
ax.loglog(intensities, [roofline(i, A100_FLOPS, A100_BANDWIDTH) / 1e12 for i in intensities])
ax.set(xlabel="intensity (FLOP per byte)", ylabel="attainable TFLOP/s", title="A100 80GB, bf16")
show(fig, alt="The roofline of an A100: rising with intensity up to 153 FLOP per byte, flat at 312 TFLOP/s beyond.")

for batch in (1, 16, 256):
    step = decode_step(LLAMA_3_8B, batch, 2048, A100_FLOPS, A100_BANDWIDTH)
    print(
        f"Llama-3-8B, {batch:3} requests: {1e3 * step['seconds']:6.2f} ms ({step['bound']}), "
        f"{step['tokens_per_second']:6.0f} tokens/s, {step['idle_share']:.1%} of an A100 idle"
    )


# %% test="decode_step" points=4
def test_decode_step():
    from mini_engine.config import ModelConfig

    got = decode_attention_ops(4096, 4096)
    assert got is not None, "decode_attention_ops returned None: is there a return statement?"
    assert got != 4096 * 4096**2, "68719476736 is T·d·d, a linear layer over all tokens; the proxy has d only once"
    assert got == 16_777_216, f"context 4096 and d_model 4096 give 16777216, you returned {got}"
    assert decode_attention_ops(3, 4) == 12, "3 tokens of context with d_model 4 take 12 multiply-adds"
    try:
        decode_attention_ops(-2, 4)
    except ValueError as error:
        assert "-2" in str(error), f"the ValueError should name the bad value -2, it says: {error}"
    else:
        raise AssertionError("context=-2 was accepted: raise ValueError for sizes that make no sense")

    got = read_seconds(40e9, 2e12)
    assert got is not None, "read_seconds returned None: is there a return statement?"
    assert got != 20, "20 is milliseconds; the answer is in seconds"
    assert abs(got - 0.02) < 1e-12, f"40 GB at 2 TB/s take 0.02 s, you returned {got}"
    for n_bytes, bandwidth, bad in ((-5, 1, "-5"), (5, 0, "0")):
        try:
            read_seconds(n_bytes, bandwidth)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"n_bytes={n_bytes}, bandwidth={bandwidth} was accepted")

    got = decode_floor_ms(3e9, 1e9, 2e12)
    assert got is not None, "decode_floor_ms returned None: is there a return statement?"
    assert abs(got - 0.002) > 1e-9, "0.002 is seconds; the name says _ms"
    assert abs(got - 1.5) > 1e-9, "1.5 ms reads the weights only; the KV cache is read in every step as well"
    assert abs(got - 2) < 1e-9, f"3 GB + 1 GB at 2 TB/s take 2 ms, you returned {got}"
    for values, bad in (((-1, 5, 9), "-1"), ((5, -2, 9), "-2"), ((5, 5, 0), "0")):
        try:
            decode_floor_ms(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"weight_bytes, kv_bytes, bandwidth = {values} was accepted")

    got = tokens_per_second_ceiling(3e9, 1e9, 2e12)
    assert got is not None, "tokens_per_second_ceiling returned None: is there a return statement?"
    assert abs(got - 0.5) > 1e-9, "0.5 is tokens per millisecond; the floor is in ms, the ceiling per second"
    assert abs(got - 500) < 1e-6, f"a floor of 2 ms is 500 tokens per second, you returned {got}"
    got = tokens_per_second_ceiling(3e9, 1e9, 2e12, batch=4)
    assert abs(got - 500) > 1e-6, "batch=4: each of the 500 steps gives 4 tokens"
    assert abs(got - 2000) < 1e-6, f"500 steps of 4 tokens are 2000 tokens per second, you returned {got}"
    for values, bad in (((0, 5, 9, 1), "0"), ((5, -2, 9, 1), "-2"), ((5, 5, 0, 1), "0"), ((5, 5, 9, -3), "-3")):
        try:
            tokens_per_second_ceiling(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"weight_bytes, kv_bytes, bandwidth, batch = {values} was accepted")

    got = ridge_point(312e12, 2.039e12)
    assert got is not None, "ridge_point returned None: is there a return statement?"
    assert abs(got - 0.0065) > 0.001, "0.0065 is bytes per FLOP: the division is the other way round"
    assert abs(got - 153.02) < 0.01, f"312 TFLOP/s over 2.039 TB/s is 153.02 FLOP per byte, you returned {got}"
    try:
        ridge_point(1e12, 0)
    except ValueError as error:
        assert "0" in str(error), f"the ValueError should name the bad value 0, it says: {error}"
    else:
        raise AssertionError("bandwidth=0 was accepted: raise ValueError for values that make no sense")

    got = roofline(1, 312e12, 2.039e12)
    assert got is not None, "roofline returned None: is there a return statement?"
    assert got != 312e12, "intensity 1 cannot reach the peak: take the smaller limit, not the larger"
    assert abs(got / 2.039e12 - 1) < 1e-12, f"intensity 1 on an A100 reaches 2.039e12 FLOP/s, you returned {got}"
    got = roofline(1000, 312e12, 2.039e12)
    assert abs(got / 312e12 - 1) < 1e-12, f"intensity 1000 is capped at the peak of 3.12e14 FLOP/s, you returned {got}"
    for values, bad in (((-1, 5, 6), "-1"), ((1, 0, 6), "0"), ((1, 5, -7), "-7")):
        try:
            roofline(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"intensity, peak, bandwidth = {values} was accepted")

    spec = ModelConfig("one layer, one head", 1, 4, 1, 1, 11, 11, 4)
    got = decode_step(spec, 2, 3, 1e3, 1e2, 1)
    assert isinstance(got, dict), f"decode_step should return a dict, you returned {type(got).__name__}"
    keys = {"bytes", "flops", "seconds", "bound", "tokens_per_second", "idle_share"}
    assert set(got) == keys, f"the keys are {sorted(keys)}, yours: {sorted(got)}"
    assert got["bytes"] != 264, "264 has one cache for both requests; each reads its own"
    assert got["bytes"] == 240 + 2 * 24, f"240 weights and twice 24 numbers of cache: 288 bytes, you say {got['bytes']}"
    assert got["flops"] == 2 * (480 + 64), f"2 requests, each 480 + 64 FLOPs: 1088, you say {got['flops']}"
    assert abs(got["seconds"] - 2.88) < 1e-12, (
        f"reading takes 2.88 s, computing 1.088 s: 2.88, you say {got['seconds']}"
    )
    assert got["bound"] == "memory", f"reading takes longer: memory, you say {got['bound']!r}"
    rate, idle = got["tokens_per_second"], got["idle_share"]
    assert abs(rate - 2 / 2.88) < 1e-12, f"2 tokens in 2.88 s, you say {rate} per second"
    assert abs(idle - (1 - 1.088 / 2.88)) < 1e-12, f"computing takes 1.088 of 2.88 s: idle 0.622, you say {idle}"


test_decode_step()


# %% hidden="decode_step" points=6
def hidden_decode_step():
    import numpy as np

    from mini_engine.config import ModelConfig

    assert decode_attention_ops(0, 8) == 0, "with no context there is nothing to compare with: 0"
    assert decode_attention_ops(1, 1) == 1, "one token and d_model 1 is one multiply-add, and allowed"
    for context, d_model in ((7, 5), (5, 7), (1000, 576)):
        count = sum(1 for _key in range(context) for _channel in range(d_model))
        got = decode_attention_ops(context, d_model)
        assert got == count, f"context {context}, d_model {d_model}: counted {count}, you returned {got}"
    for context, d_model, bad in ((-1, 8, "-1"), (3, 0, "0"), (3, -5, "-5")):
        try:
            decode_attention_ops(context, d_model)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name {bad}, it says: {error}"
            continue
        raise AssertionError(f"context={context}, d_model={d_model} was accepted")

    assert read_seconds(0, 5) == 0, "zero bytes take no time"
    assert read_seconds(6, 4) == 1.5, "6 bytes at 4 bytes per second take 1.5 s"
    assert read_seconds(1, 0.5) == 2, "a bandwidth below 1 is slow, not wrong"
    for n_bytes, bandwidth in ((-1, 5), (5, -1), (0, 0)):
        try:
            read_seconds(n_bytes, bandwidth)
        except ValueError:
            continue
        raise AssertionError(f"n_bytes={n_bytes}, bandwidth={bandwidth} was accepted")

    got = decode_floor_ms(141_107_412_992 / 8, 0, 2.039e12)
    assert abs(got - 8.6505) < 1e-3, f"Llama-3-70B over 8 A100s: 8.65 ms, you returned {got}"
    assert decode_floor_ms(0, 0, 1) == 0, "nothing to read takes no time"
    assert abs(decode_floor_ms(0, 5, 0.5) - 10_000) < 1e-6, "5 bytes at half a byte per second: 10 s"
    for values in ((-1, 0, 1), (0, -1, 1), (10, -1, 1), (-1, 10, 1), (1, 1, -1)):
        try:
            decode_floor_ms(*values)
        except ValueError:
            continue
        raise AssertionError(f"weight_bytes, kv_bytes, bandwidth = {values} was accepted")

    rng = np.random.default_rng(13)
    for _ in range(20):
        weights, kv, bandwidth, batch = (int(x) for x in rng.integers(1, 1000, 4))
        tokens, seconds = 0, 0.0
        for _step in range(50):
            tokens += batch
            seconds += (weights + kv) / bandwidth
        got = tokens_per_second_ceiling(weights, kv, bandwidth, batch)
        assert abs(got * seconds / tokens - 1) < 1e-9, f"{weights}, {kv}, {bandwidth}, {batch}: you returned {got}"
    assert tokens_per_second_ceiling(4, 0, 8) == 2, "an empty cache is allowed, and the batch is 1 unless given"
    assert tokens_per_second_ceiling(0.5, 0, 0.5) == 1, "fractions of a unit are fine"
    for values in ((-1, 5, 9, 1), (5, -1, 9, 1), (5, 5, -9, 1), (5, 5, 9, 0), (-1, 2, 1, 1)):
        try:
            tokens_per_second_ceiling(*values)
        except ValueError:
            continue
        raise AssertionError(f"weight_bytes, kv_bytes, bandwidth, batch = {values} was accepted")

    assert ridge_point(12, 4) == 3, "12 FLOP/s over 4 bytes/s is 3"
    assert ridge_point(1, 8) == 0.125, "a slow chip with fast memory has a ridge below 1"
    assert abs(ridge_point(0.5, 0.25) - 2) < 1e-12, "fractions of a unit are fine: 0.5 over 0.25 is 2"
    for peak, bandwidth, bad in ((0, 1, "0"), (-3, 1, "-3"), (1, 0, "0"), (1, -2, "-2")):
        try:
            ridge_point(peak, bandwidth)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name {bad}, it says: {error}"
            continue
        raise AssertionError(f"peak_flops={peak}, bandwidth={bandwidth} was accepted")

    assert roofline(0, 12, 4) == 0, "nothing computed per byte reaches 0 FLOP/s"
    assert roofline(3, 12, 4) == 12, "at the ridge both limits give the peak"
    for tenth in range(1, 100):
        intensity = tenth / 10
        # the time for one byte is the longer of moving it and computing on it
        seconds = max(1 / 4, intensity / 12)
        got = roofline(intensity, 12, 4)
        assert abs(got - intensity / seconds) < 1e-9, (
            f"intensity {intensity}: {intensity / seconds}, you returned {got}"
        )
    assert abs(roofline(0.5, 0.5, 0.5) - 0.25) < 1e-12, "values below 1 are fine"
    for values in ((-0.5, 12, 4), (1, -12, 4), (1, 12, 0), (1, 12, -4)):
        try:
            roofline(*values)
        except ValueError:
            continue
        raise AssertionError(f"intensity, peak, bandwidth = {values} was accepted")

    rng = np.random.default_rng(41)
    bounds = set()
    for _ in range(30):
        layers, kv, rep, half, d, ff, vocab = (int(n) for n in rng.integers(1, 6, 7))
        batch, context = int(rng.integers(1, 9)), int(rng.integers(0, 9))
        peak, bandwidth, b = float(rng.integers(1, 9)), float(rng.integers(1, 9)), float(rng.choice([0.5, 1, 2, 4]))
        spec = ModelConfig("random", layers, d, kv * rep, kv, ff, vocab, 2 * half, tie_word_embeddings=layers % 2 == 0)
        q, keys = kv * rep * 2 * half, kv * 2 * half
        weights = d * vocab + sum(d * q + q * d + d * keys + d * keys + 3 * d * ff for _layer in range(layers))
        moved = b * (weights + sum(2 * keys for _row in range(layers * context * batch)))
        work = sum(2 * weights + sum(4 * q for _seen in range(layers * (context + 1))) for _request in range(batch))
        got = decode_step(spec, batch, context, peak, bandwidth, b)
        case = f"{spec}, batch {batch}, context {context}, peak {peak}, bandwidth {bandwidth}, {b} bytes"
        assert abs(got["bytes"] - moved) < 1e-9, f"{case}: {moved} bytes, you say {got['bytes']}"
        assert got["flops"] == work, f"{case}: {work} FLOPs, you say {got['flops']}"
        seconds = max(moved / bandwidth, work / peak)
        assert abs(got["seconds"] / seconds - 1) < 1e-12, f"{case}: {seconds} s, you say {got['seconds']}"
        want = "memory" if moved / bandwidth > work / peak else "compute"
        bounds.add(want)
        assert got["bound"] == want, f"{case}: bound by {want}, you say {got['bound']!r}"
        rate = batch / seconds
        assert abs(got["tokens_per_second"] / rate - 1) < 1e-12, f"{case}: {rate} tokens per second"
        idle = 1 - work / (seconds * peak)
        assert abs(got["idle_share"] - idle) < 1e-9, f"{case}: idle {idle}, you say {got['idle_share']}"
    assert bounds == {"memory", "compute"}, "the sizes of this check must hold both ends"
    even = decode_step(ModelConfig("even", 1, 4, 1, 1, 11, 11, 4), 2, 3, 1088, 288, 1)
    assert even["bound"] == "compute", "where both take as long it is 'compute'"
    for values in (
        (0, 1, 1, 1, 1),
        (1, -1, 1, 1, 1),
        (1, 1, 0, 1, 1),
        (1, 1, 1, 0, 1),
        (1, 1, 1, 1, 0),
        (1, 1, -3, 1, 1),
    ):
        try:
            decode_step(spec, *values)
        except ValueError:
            continue
        raise AssertionError(f"batch, context, peak, bandwidth, bytes_per = {values} was accepted")
    got = decode_attention_ops(7, 5)
    assert isinstance(got, int | np.integer), f"decode_attention_ops counts: return an int, not {type(got).__name__}"


hidden_decode_step()

# %% [markdown] task="layer_time" stars=3 minutes=35
# ## 7. The time of a layer
#
# A piece of work takes at least the time of its FLOPs and at least the time of its bytes; a GPU does both at once, so the larger one counts. Take one layer apart in this way.
#
# Write `layer_time(config, batch, new_tokens, context, peak_flops, bandwidth, bytes_per=2)`: `batch` requests, each with `new_tokens` new tokens after `context` cached ones, go through one layer in one pass. So decode has `new_tokens` 1, and prefill of a prompt of 2048 has `new_tokens` 2048 and `context` 0. Return a dict from the name of a part to a pair `(seconds, bound)`; `bound` is `"memory"` if its bytes take longer, else `"compute"`.
#
# | part | weights | FLOPs | bytes |
# |---|---|---|---|
# | `"qkv"` | $W_q$, $W_k$, $W_v$ | 2 per weight and row | the weights, once |
# | `"attention"` | none | $4 H_q d_h$ per pair of a new token and a token that it sees | $K$ and $V$ of all `context + new_tokens` tokens of every request, once |
# | `"output"` | $W_o$ | 2 per weight and row | the weights, once |
# | `"gate_up"` | gate and up | 2 per weight and row | the weights, once |
# | `"down"` | down | 2 per weight and row | the weights, once |
#
# There are `batch * new_tokens` rows; new token $i$ of a request (from 0) sees $\text{context} + i + 1$ tokens of its own request. Every number has `bytes_per` bytes. The arrays between the parts are small and left out, and attention keeps its scores on the chip, as FlashAttention does.
#
# `batch` and `new_tokens` start at 1, `context` at 0; the rest must be above 0.
#
# Example: $d = 4$, one head of 4, `batch` 1, one new token after 2 cached: attention has 3 pairs, $4 \cdot 4 \cdot 3 = 48$ FLOPs, and $2 \cdot 3 \cdot 4 = 24$ numbers. With 1 byte each, a peak of 48 and a bandwidth of 12, that is 1 s of computing and 2 s of reading: `(2.0, "memory")`.
#
# <details><summary>Hint 1</summary>
#
# Make a list of (part, FLOPs, bytes) first; the times are then one line for all of them.
#
# </details>
# <details><summary>Hint 2</summary>
#
# The pairs of one request are a sum over its new tokens. Every request has as many; no token sees another request. K and V have KV heads, the scores have query heads.
#
# </details>


# %% solution="layer_time"
def layer_time(config, batch, new_tokens, context, peak_flops, bandwidth, bytes_per=2):
    """Seconds of each part of one layer at best, and what limits it.

    batch requests with new_tokens (1 or more) after `context` (0 or more) cached tokens each. peak_flops in FLOP/s,
    bandwidth in bytes/s, bytes_per: above 0. Returns {"qkv", "attention", "output", "gate_up", "down"}, each a pair
    (seconds, "memory" or "compute"). Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if batch < 1 or new_tokens < 1 or context < 0:
        raise ValueError(f"no pass for batch {batch}, {new_tokens} new tokens, context {context}")
    if peak_flops <= 0 or bandwidth <= 0 or bytes_per <= 0:
        raise ValueError(f"need positive peak {peak_flops}, bandwidth {bandwidth}, bytes_per {bytes_per}")
    d, ff = config.hidden_size, config.intermediate_size
    q_size = config.num_attention_heads * config.head_dim
    kv_size = config.num_key_value_heads * config.head_dim
    weights = {"qkv": d * (q_size + 2 * kv_size), "output": q_size * d, "gate_up": 2 * d * ff, "down": ff * d}
    parts = {name: (2 * batch * new_tokens * size, size) for name, size in weights.items()}
    pairs = batch * sum(context + i + 1 for i in range(new_tokens))
    parts["attention"] = 4 * q_size * pairs, 2 * kv_size * batch * (context + new_tokens)
    times = {}
    for name, (flops, numbers) in parts.items():
        compute, reading = flops / peak_flops, bytes_per * numbers / bandwidth
        times[name] = max(compute, reading), "memory" if reading > compute else "compute"
    return times
    ### END SOLUTION


# %% tryit="layer_time"
for title, sizes in (("decode, 1 request", (1, 1, 2048)), ("decode, 64", (64, 1, 2048)), ("prefill", (1, 2048, 0))):
    print(title)
    for part, (seconds, bound) in layer_time(LLAMA_3_8B, *sizes, A100_FLOPS, A100_BANDWIDTH).items():
        print(f"    {part:10} {1e6 * seconds:8.1f} µs  {bound}")


# %% test="layer_time" points=2
def test_layer_time():
    from mini_engine.config import ModelConfig

    spec = ModelConfig("one head", 5, 4, 1, 1, 3, 9, 4)
    got = layer_time(spec, 1, 1, 2, 48, 12, 1)
    assert isinstance(got, dict), f"layer_time should return a dict, you returned {type(got).__name__}"
    parts = {"qkv", "attention", "output", "gate_up", "down"}
    assert set(got) == parts, f"the parts are {sorted(parts)}, yours: {sorted(got)}"
    seconds, bound = got["attention"]
    assert abs(seconds - 3) > 1e-9, "attention: 3 s is the sum; the chip reads and computes at once, the larger counts"
    assert abs(seconds - 2) < 1e-12, f"attention: 1 s to compute, 2 s to read: 2 s, you say {seconds}"
    assert bound == "memory", f"attention: reading takes longer, you say {bound!r}"
    seconds, bound = got["qkv"]
    assert abs(seconds - 4) < 1e-12 and bound == "memory", f"qkv: 48 weights, 4 s to read, 2 s to compute, {got['qkv']}"
    seconds, bound = layer_time(spec, 8, 1, 2, 48, 12, 1)["qkv"]
    assert abs(seconds - 16) < 1e-12, f"qkv, batch 8: 768 FLOPs are 16 s, the weights are read once, you say {seconds}"
    assert bound == "compute", f"qkv, batch 8: computing takes longer, you say {bound!r}"
    try:
        layer_time(spec, 1, 1, -2, 48, 12)
    except ValueError as error:
        assert "-2" in str(error), f"the ValueError should name the bad value -2, it says: {error}"
    else:
        raise AssertionError("context=-2 was accepted: raise ValueError for values that make no sense")


test_layer_time()


# %% hidden="layer_time" points=4
def hidden_layer_time():
    import numpy as np

    from mini_engine.config import ModelConfig

    rng = np.random.default_rng(42)
    seen = set()
    for _ in range(40):
        kv, rep, half, d, ff, batch, new = (int(n) for n in rng.integers(1, 6, 7))
        context = int(rng.integers(0, 20))
        peak, bandwidth, b = float(rng.integers(1, 9)), float(rng.integers(1, 9)), float(rng.choice([0.5, 1, 2, 4]))
        spec = ModelConfig("random", int(rng.integers(1, 4)), d, kv * rep, kv, ff, 7, 2 * half)
        q, keys = kv * rep * 2 * half, kv * 2 * half
        flops, numbers = {}, {}
        for name, matrices in (
            ("qkv", [(d, q), (d, keys), (d, keys)]),
            ("output", [(q, d)]),
            ("gate_up", [(d, ff), (d, ff)]),
            ("down", [(ff, d)]),
        ):
            numbers[name] = sum(rows * columns for rows, columns in matrices)
            flops[name] = sum(2 * numbers[name] for _row in range(batch * new))
        flops["attention"] = numbers["attention"] = 0
        for _request in range(batch):
            numbers["attention"] += 2 * keys * (context + new)
            for query in range(context, context + new):
                for _key in range(query + 1):
                    flops["attention"] += 2 * q + 2 * q
        got = layer_time(spec, batch, new, context, peak, bandwidth, b)
        for name in flops:
            compute, reading = flops[name] / peak, b * numbers[name] / bandwidth
            case = f"{spec}, batch {batch}, {new} new after {context}, peak {peak}, bandwidth {bandwidth}, {b} bytes"
            seconds, bound = got[name]
            assert abs(seconds / max(compute, reading) - 1) < 1e-12, (
                f"{case}: {name} takes {max(compute, reading)} s, you say {seconds}"
            )
            want = "memory" if reading > compute else "compute"
            assert bound == want, f"{case}: {name} is bound by {want}, you say {bound!r}"
            seen.add((name == "attention", want))
    assert len(seen) == 4, "the sizes of this check must hold both bounds for both kinds of part"
    spec = ModelConfig("tie", 1, 2, 1, 1, 1, 1, 2)
    assert layer_time(spec, 1, 1, 0, 2, 1, 1)["output"][1] == "compute", "where both take as long it is 'compute'"
    good = (1, 1, 0, 1.0, 1.0, 1)
    for place, bad in (
        (0, 0),
        (1, 0),
        (2, -1),
        (3, 0),
        (4, 0),
        (5, 0),
        (3, -2.0),
        (4, -2.0),
        (5, -1),
        (0, -3),
        (1, -1),
    ):
        values = [*good[:place], bad, *good[place + 1 :]]
        try:
            layer_time(spec, *values)
        except ValueError as error:
            assert str(bad) in str(error), f"the ValueError should name {bad}, it says: {error}"
            continue
        raise AssertionError(f"batch, new_tokens, context, peak, bandwidth, bytes_per = {values} was accepted")


hidden_layer_time()

# %% [markdown] task="classify_phase" stars=1 minutes=10
# ## 8. Prefill and decode in one table
#
# Write `classify_phase()`: the comparison of the two phases as a dict with the keys `"prefill"` and `"decode"`. Each value is a dict with four keys; choose from the words given:
#
# | key | choices |
# |---|---|
# | `"tokens_per_pass"` | `"one per sequence"`, `"the whole prompt"` |
# | `"bottleneck"` (long prompt; small batch) | `"compute"`, `"bandwidth"` |
# | `"latency_metric"` (which one it drives) | `"TTFT"`, `"TPOT"` |
# | `"fixes"` | a dict: each technique below to its family |
#
# Techniques for prefill: `"prefix caching"`, `"FlashAttention"`. Techniques for decode: `"int8 weights"`, `"grouped-query attention"`, `"fp8 KV cache"`, `"continuous batching"`, `"speculative decoding"`.
#
# Families: `"fewer bytes"` (the same FLOPs, less traffic), `"more reuse"` (each byte read serves more tokens), `"less compute"` (work is left out).
#
# <details><summary>Hint 1</summary>
#
# TTFT is the time to the first token, TPOT the time for each further one. For the families ask: what happens to the bytes of one step, and what to the tokens which one step yields?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Speculative decoding runs the large model once over several draft tokens, so one read of the weights can yield more than one token. FlashAttention computes the same scores, without writing them to memory. Prefix caching finds K and V of a known beginning in memory and does not compute them again.
#
# </details>


# %% solution="classify_phase"
def classify_phase():
    """{"prefill": row, "decode": row}; a row has tokens_per_pass, bottleneck, latency_metric and fixes (see above)."""
    ### BEGIN SOLUTION
    return {
        "prefill": {
            "tokens_per_pass": "the whole prompt",
            "bottleneck": "compute",
            "latency_metric": "TTFT",
            "fixes": {"prefix caching": "less compute", "FlashAttention": "fewer bytes"},
        },
        "decode": {
            "tokens_per_pass": "one per sequence",
            "bottleneck": "bandwidth",
            "latency_metric": "TPOT",
            "fixes": {
                "int8 weights": "fewer bytes",
                "grouped-query attention": "fewer bytes",
                "fp8 KV cache": "fewer bytes",
                "continuous batching": "more reuse",
                "speculative decoding": "more reuse",
            },
        },
    }
    ### END SOLUTION


# %% tryit="classify_phase"
for phase, row in classify_phase().items():
    print(phase)
    for key, value in row.items():
        print(f"    {key:16} {value}")


# %% test="classify_phase" points=1
def test_classify_phase():
    got = classify_phase()
    assert got is not None, "classify_phase returned None: is there a return statement?"
    assert set(got) == {"prefill", "decode"}, f"the keys are prefill and decode, yours: {sorted(got)}"
    columns = {"tokens_per_pass", "bottleneck", "latency_metric", "fixes"}
    for phase in ("prefill", "decode"):
        assert set(got[phase]) == columns, f"{phase} needs the keys {sorted(columns)}, yours: {sorted(got[phase])}"
    assert got["decode"]["tokens_per_pass"] == "one per sequence", (
        "decode: each pass takes the one token that was just chosen, for each sequence"
    )
    assert got["prefill"]["latency_metric"] == "TTFT", "the prompt pass must end before the first token can come: TTFT"
    words = {"fewer bytes", "more reuse", "less compute"}
    for phase, count in (("prefill", 2), ("decode", 5)):
        fixes = got[phase]["fixes"]
        assert len(fixes) == count, f"{phase} has {count} techniques, you listed {len(fixes)}"
        assert set(fixes.values()) <= words, f"choose families from {sorted(words)}, yours: {sorted(fixes.values())}"


test_classify_phase()


# %% hidden="classify_phase" points=2
def hidden_classify_phase():
    got = classify_phase()
    assert got["prefill"]["tokens_per_pass"] == "the whole prompt", "prefill: all prompt tokens go through together"
    assert got["decode"]["latency_metric"] == "TPOT", "each decode step is the wait for one further token: TPOT"
    assert got["prefill"]["bottleneck"] == "compute", "prefill: each weight serves all prompt tokens, above the ridge"
    assert got["decode"]["bottleneck"] == "bandwidth", (
        "decode: each weight serves one token per sequence, below the ridge"
    )
    why = {
        "prefix caching": ("prefill", "less compute", "the shared beginning is not computed again"),
        "FlashAttention": ("prefill", "fewer bytes", "the same scores, never written to memory"),
        "int8 weights": ("decode", "fewer bytes", "each weight takes one byte instead of two"),
        "grouped-query attention": ("decode", "fewer bytes", "fewer KV heads are stored and read"),
        "fp8 KV cache": ("decode", "fewer bytes", "each cached number takes one byte"),
        "continuous batching": ("decode", "more reuse", "one read of the weights serves many sequences"),
        "speculative decoding": ("decode", "more reuse", "one read of the weights verifies several tokens"),
    }
    for technique, (phase, family, reason) in why.items():
        assert got[phase]["fixes"].get(technique) == family, f"{technique} is {family}: {reason}"


hidden_classify_phase()

# %% [markdown] answer="decode_starves" points=3
# ## 9. Why decode starves the GPU
#
# *Written answer.* A GPU that is busy in prefill uses less than one percent of its peak when a single sequence decodes, on the same model. Explain why, with a number for the intensity and a number for the ridge point, and name one fix of each family "fewer bytes" and "more reuse". Four or five sentences.
#
# ### BEGIN SOLUTION
# **Model answer.** In prefill each weight that is read is used for all prompt tokens, so a prompt of 1000 tokens gives hundreds of FLOPs per byte, above the A100's ridge point of 153 FLOP per byte, and the arithmetic units are the limit. In decode a pass holds one token: each 2-byte weight takes part in one multiply-add, 2 FLOPs over 2 bytes, an intensity of about 1. Memory then allows 1/153 of the peak, 0.7 percent, and the arithmetic units wait for the rest of the time; attention over the KV cache has an intensity of about 1 too. The time of a step is therefore bytes over bandwidth. It falls with fewer bytes (quantized weights, GQA, a smaller KV type) or with more reuse of each byte (batching, speculative decoding).
#
# **Rubric, 1 point each.** (1) Decode uses each weight for one token, prefill for the whole prompt. (2) An intensity of about 1 against a ridge point of about 153 (or the numbers of another chip), so below one percent of peak. (3) One right fix of each family.
# ### END SOLUTION

# %% [markdown] task="cheapest_model" stars=2 minutes=30
# ## 10. Which size is cheapest over a lifetime
#
# A forward pass costs about 2 FLOPs per parameter and token. Training costs about 6: the forward pass, and a backward pass that costs twice as much ([Kaplan et al. 2020](https://arxiv.org/abs/2001.08361), section 2.1). So the life of a model with $P$ parameters costs
#
# $$6 P \cdot \text{tokens trained} + 2 P \cdot \text{tokens served}.$$
#
# Write three functions:
#
# - `lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days)`: the FLOPs of serving over the FLOPs of training.
# - `break_even_tokens(small, large)`: two models of equal quality, each a pair `(n_params, train_tokens)`; the small one has fewer parameters and was trained on more text. From how many served tokens on is the small one at least as cheap over its life? Return a `float`; 0.0 where it is from the start.
# - `cheapest_model(models, served_tokens, price_ratio=1.0)`: the pair with the lowest cost among a list of such pairs, all of equal quality. A served FLOP costs `price_ratio` times a trained one, because decode leaves most of a chip idle while it holds it. Of equal costs take the model with fewer parameters.
#
# Counts of parameters and trained tokens and the `price_ratio` must be above 0; served tokens and days may be 0. `small` must have fewer parameters than `large`, and a list of models at least one.
#
# Examples: trained on 10 tokens, serving 5 a day for 6 days: $2P \cdot 30 / (6P \cdot 10) = 1$. `small = (2, 50)` and `large = (3, 20)` cost $600$ and $360$ to train, and each served token costs 4 against 6: the 240 are saved after 120 tokens. So `cheapest_model([small, large], 100)` is `(3, 20)`, and with 130 tokens it is `(2, 50)`.
#
# <details><summary>Hint 1</summary>
#
# In the ratio the parameters cancel, and still they must be checked. For the break-even, set the two lifetime costs equal and solve for the tokens served.
#
# </details>
# <details><summary>Hint 2</summary>
#
# `min` with a `key` finds the cheapest; a key may be a tuple, whose second entry decides between equals.
#
# </details>


# %% solution="cheapest_model"
def lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days):
    """FLOPs of serving a model over the FLOPs of training it: 2N per token served, 6N per token trained on.

    n_params, train_tokens: above 0. served_tokens_per_day, days: 0 or more. Returns a float.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if n_params <= 0 or train_tokens <= 0:
        raise ValueError(f"n_params and train_tokens must be positive, got {n_params} and {train_tokens}")
    if served_tokens_per_day < 0 or days < 0:
        raise ValueError(f"tokens and days cannot be negative, got {served_tokens_per_day} and {days}")
    serving = 2 * n_params * served_tokens_per_day * days
    training = 6 * n_params * train_tokens
    return serving / training
    ### END SOLUTION


def break_even_tokens(small, large):
    """Served tokens from which the smaller of two equally good models is at least as cheap over its life.

    small, large: (n_params, train_tokens), above 0, small with fewer parameters. Returns a float, 0.0 or more.
    Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    for value in (*small, *large):
        if value <= 0:
            raise ValueError(f"parameters and tokens must be positive, got {value}")
    if small[0] >= large[0]:
        raise ValueError(f"the small model has {small[0]} parameters, the large one {large[0]}")
    more_to_train = 6 * (small[0] * small[1] - large[0] * large[1])
    return max(0.0, more_to_train / (2 * (large[0] - small[0])))
    ### END SOLUTION


def cheapest_model(models, served_tokens, price_ratio=1.0):
    """The model with the lowest lifetime cost: 6 FLOPs a parameter and trained token, 2 · price_ratio a served one.

    models: list of (n_params, train_tokens), above 0, at least one. served_tokens: 0 or more. price_ratio: above 0.
    Returns one of the pairs, of equal costs the one with fewer parameters. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    for value in (price_ratio, *(value for model in models for value in model)):
        if value <= 0:
            raise ValueError(f"parameters, tokens and prices must be positive, got {value}")
    if served_tokens < 0:
        raise ValueError(f"served_tokens cannot be negative, got {served_tokens}")

    def cost(model):
        n_params, trained = model
        return 6 * n_params * trained + 2 * price_ratio * n_params * served_tokens, n_params

    return min(models, key=cost)
    ### END SOLUTION


# %% tryit="cheapest_model"
for days in (1, 45, 365, 730):  # an 8B model trained on 15e12 tokens that serves 1e12 tokens a day
    print(f"after {days:3} days serving cost {lifetime_ratio(8e9, 15e12, 1e12, days):6.2f} times the training")

# sizes of equal loss by the fit of Hoffmann et al. 2022 (the chapter has the formula)
models = [(5e9, 5.1e12), (7e9, 2.7e12), (10e9, 1.6e12), (13e9, 1.2e12), (30e9, 0.6e12)]
print(f"the 7B is cheaper than the 13B from {break_even_tokens(models[1], models[3]):.1e} served tokens on")
for served in (0, 1e12, 1e13, 1e14):
    n_params, trained = cheapest_model(models, served)
    print(f"{served:.0e} tokens served: {n_params / 1e9:.0f}B, trained on {trained:.1e}")


# %% test="cheapest_model" points=2
def test_cheapest_model():
    got = lifetime_ratio(8e9, 15e12, 1e12, 45)
    assert got is not None, "lifetime_ratio returned None: is there a return statement?"
    assert abs(got - 3) > 1e-9, "3 is tokens over tokens; a token trained on costs three times a token served"
    assert abs(got - 9) > 1e-9, "9 has the factors 2 and 6 the wrong way round"
    assert abs(got - 1) < 1e-12, f"45 days of 1e12 tokens against 15e12 trained: 1, you returned {got}"
    for values, bad in (((0, 1, 1, 1), "0"), ((1, -4, 1, 1), "-4"), ((1, 1, -2, 1), "-2"), ((1, 1, 1, -3), "-3")):
        try:
            lifetime_ratio(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"lifetime_ratio{values} was accepted")

    small, large = (2, 50), (3, 20)
    got = break_even_tokens(small, large)
    assert got is not None, "break_even_tokens returned None: is there a return statement?"
    assert abs(got - 40) > 1e-9, "40 forgets the factors 6 and 2: training costs three times as much per token"
    assert abs(got - 120) < 1e-9, f"the small one costs 240 more to train and 2 less per served token: 120, got {got}"
    got = cheapest_model([small, large], 100)
    assert got is not None, "cheapest_model returned None: is there a return statement?"
    assert tuple(got) == large, f"100 served tokens: the large one costs 960 against 1000, you returned {got}"
    got = cheapest_model([small, large], 130)
    assert tuple(got) == small, f"130 served tokens: the small one costs 1120 against 1140, you returned {got}"
    got = cheapest_model([small, large], 100, 2.0)
    assert tuple(got) == small, f"100 tokens at twice the price are like 200: the small one, you returned {got}"
    for call, bad in (
        (lambda: break_even_tokens((3, 5), (3, 7)), "3"),
        (lambda: cheapest_model([(2, -7)], 1), "-7"),
        (lambda: cheapest_model([(2, 7)], -4), "-4"),
    ):
        try:
            call()
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"a call with {bad} was accepted: raise ValueError for values that make no sense")


test_cheapest_model()


# %% hidden="cheapest_model" points=4
def hidden_cheapest_model():
    from fractions import Fraction

    import numpy as np

    rng = np.random.default_rng(17)
    for _ in range(20):
        n, trained, served, days = (int(x) for x in rng.integers(1, 50, 4))
        training = sum(3 * 2 * n for _token in range(trained))
        serving = sum(2 * n for _day in range(days) for _token in range(served))
        got = lifetime_ratio(n, trained, served, days)
        assert abs(got - serving / training) < 1e-9, (
            f"({n}, {trained}, {served}, {days}): {serving / training}, got {got}"
        )
    assert lifetime_ratio(5, 5, 0, 5) == 0, "a model that serves nothing costs nothing to serve"
    assert lifetime_ratio(5, 5, 5, 0) == 0, "on the day of release the ratio is 0"
    for values in ((-1, 1, 1, 1), (1, 0, 1, 1), (1, 1, -1, 1), (1, 1, 1, -1)):
        try:
            lifetime_ratio(*values)
        except ValueError:
            continue
        raise AssertionError(f"lifetime_ratio{values} was accepted")

    def lifetime(model, served, price=1):
        return sum(Fraction(6) * model[0] for _ in range(model[1])) + Fraction(price) * 2 * model[0] * served

    for _ in range(40):
        n, extra, d_small, d_large = (int(x) for x in rng.integers(1, 40, 4))
        small, large = (n, d_small), (n + extra, d_large)
        served = 0
        while lifetime(small, served) > lifetime(large, served):
            served += 1
        got = break_even_tokens(small, large)
        assert served - 1 < got <= served or got == served == 0, (
            f"{small} against {large}: at least as cheap from {served} served tokens on, you returned {got}"
        )
        models = [(int(a), int(b)) for a, b in rng.integers(1, 30, (int(rng.integers(1, 6)), 2))]
        tokens, price = int(rng.integers(0, 60)), float(rng.choice([0.5, 1, 4]))
        before = list(models)
        best = min(lifetime(model, tokens, price) for model in models)
        want = min(model for model in models if lifetime(model, tokens, price) == best)
        got = tuple(cheapest_model(models, tokens, price))
        assert got == want, f"{models}, {tokens} served at price ratio {price}: {want}, you returned {got}"
        assert models == before, "cheapest_model changed the list it was given"
    assert cheapest_model([(6, 10), (4, 15)], 0) == (4, 15), "equal costs: the one with fewer parameters"
    assert break_even_tokens((2, 3), (3, 20)) == 0, "cheaper to train and to serve: from the first token on, 0.0"
    for call in (
        lambda: break_even_tokens((4, 5), (3, 7)),
        lambda: break_even_tokens((0, 5), (3, 7)),
        lambda: break_even_tokens((2, 5), (3, 0)),
        lambda: break_even_tokens((2, -5), (3, 7)),
        lambda: cheapest_model([], 1),
        lambda: cheapest_model([(2, 7), (0, 7)], 1),
        lambda: cheapest_model([(2, 0)], 1),
        lambda: cheapest_model([(2, 7)], -1),
        lambda: cheapest_model([(2, 7)], 1, 0),
        lambda: cheapest_model([(2, 7)], 1, -2),
        lambda: cheapest_model([(0, 7), (2, 7)], 1),
        lambda: cheapest_model([(2, 7), (-1, 7), (3, 7)], 1),
        lambda: cheapest_model([(9, 9), (1, 1), (3, -2)], 1),
    ):
        try:
            call()
        except ValueError:
            continue
        raise AssertionError("a call with values that make no sense was accepted")


hidden_cheapest_model()

# %% [markdown] answer="inference_cost" points=3
# ## 11. Why inference dominates the cost
#
# *Written answer.* Training a model is a single, enormous expense; one answer costs next to nothing. Why do people who run a popular model still spend most of their compute on inference? Use your `lifetime_ratio` for a case of your own and give the day on which serving overtakes training. Say also one thing the FLOP ratio leaves out that makes inference cost more still. Four or five sentences.
#
# ### BEGIN SOLUTION
# **Model answer.** Training costs about 6N FLOPs for each token of the training set, once; serving costs about 2N for each token read or written, every day, for as long as the model is in use. The parameters cancel: serving overtakes training when three times the training tokens have been served. A model trained on 15e12 tokens that serves 1e12 a day gets there after 45 days and has spent about 16 times the training compute after two years. FLOPs understate it: decode uses a small share of the chip's peak, because it waits for memory, while training can use most of it, so a FLOP of decode costs many times as much chip time. Capacity must also be kept for the busiest hour, and latency limits forbid the largest batches.
#
# **Rubric, 1 point each.** (1) Training is paid once, inference per token without end, 6N against 2N. (2) A case with numbers and the right day (3 · training tokens / tokens per day). (3) One thing beyond the ratio: low utilisation in decode, peak capacity, latency limits, longer outputs of reasoning models, and the like.
# ### END SOLUTION

# %% [markdown]
# ## What to take along
#
# What must stay true: count a multiply-add as 2 FLOPs, each visible pair of tokens once, and each byte that crosses the memory bus. What was computed, not measured: every time here is a floor from a data sheet; a real step takes longer; measure it on the device you have.
