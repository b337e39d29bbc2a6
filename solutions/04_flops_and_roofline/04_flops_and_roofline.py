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
# One convention holds everywhere: **a multiply-add counts as 2 FLOPs**, so a product of `[N, a]` with `[a, b]` costs $2 \cdot N \cdot a \cdot b$. Sizes that make no sense raise `ValueError` with the value in the message.

# %% setup=True
import math

from mini_engine.accounting import request_flops_simple
from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, SMOLLM2_135M
from mini_engine.plotting import figure, show

# NVIDIA A100 80GB SXM, dense bf16, from its data sheet: FLOP/s and bytes/s
A100_FLOPS, A100_BANDWIDTH = 312e12, 2.039e12

# %% [markdown] task="decode_attention_ops" stars=1 minutes=5
# ## 1. What grows as the answer grows
#
# In a decode step one new query is compared with every token so far. The linear layers cost the same in step 1 and in step 1000; attention does not. The shortest way to say how it grows is the proxy $T \cdot d$: context length times model size, the multiply-adds of $QK^\top$ in one layer.
#
# Write `decode_attention_ops(context, d_model)`, the proxy as an `int`. A context of 0 costs 0. A negative context, or a `d_model` below 1, raises `ValueError` with the value in the message.
#
# Example: 3 tokens of context and `d_model` 4 give $3 \cdot 4 = 12$.
#
# <details><summary>Hint 1</summary>
#
# One dot product of two vectors with $d$ numbers takes $d$ multiply-adds. How many dot products does one query need?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Check the two arguments first, then return their product.
#
# </details>


# %% solution="decode_attention_ops"
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


# %% tryit="decode_attention_ops"
for context in (1, 1024, 4096, 131072):
    print(f"context {context:6}: {decode_attention_ops(context, 4096):12,} multiply-adds in one layer")


# %% test="decode_attention_ops" points=1
def test_decode_attention_ops():
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


test_decode_attention_ops()


# %% hidden="decode_attention_ops" points=1
def hidden_decode_attention_ops():
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


hidden_decode_attention_ops()

# %% [markdown] task="forward_flops" stars=3 minutes=25
# ## 2. FLOPs of a forward pass
#
# Write `forward_flops(config, n_tokens, context=0)`: the FLOPs of all matrix products when `n_tokens` new tokens go through the model after `context` tokens that are already in the KV cache. Return an `int`.
#
# Three parts, all at 2 FLOPs per multiply-add:
#
# | part | matrices or products | how often |
# |---|---|---|
# | linear layers | $W_q, W_o$: $d \times H_q d_h$; $W_k, W_v$: $d \times H_{kv} d_h$; gate, up, down: $d \times d_{ff}$ | each new token, each layer |
# | attention | $QK^\top$ and $PV$: $H_q d_h$ multiply-adds each | each pair of a new token and a token that it sees, each layer |
# | LM head | $d \times V$ | each new token |
#
# Attention is causal: new token $i$ (from 0) sees the `context` cached tokens, the new ones before it, and itself, so $\text{context} + i + 1$ tokens. The embedding is a look-up and costs nothing; a tied LM head is still multiplied. Norms, softmax, RoPE and SiLU are left out: they are one or two percent of the work.
#
# `config` has the fields `num_hidden_layers`, `hidden_size`, `num_attention_heads`, `num_key_value_heads`, `head_dim`, `intermediate_size`, `vocab_size`. No tokens cost 0 FLOPs; a negative `n_tokens` or `context` raises `ValueError`.
#
# Example: the attention part alone, 3 new tokens after 2 cached ones, 1 layer, 1 head of 4: the tokens see 3 + 4 + 5 = 12 tokens, so $2 \cdot 2 \cdot 4 \cdot 12 = 192$ FLOPs.
#
# The count follows appendix F of [Hoffmann et al. 2022](https://arxiv.org/abs/2203.15556), with LLaMA's matrices and the causal half of the scores.
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


# %% tryit="forward_flops"
for spec in (SMOLLM2_135M, LLAMA_2_7B, LLAMA_3_8B):
    for context in (0, 4096):
        flops = forward_flops(spec, 1, context)
        print(f"{spec.name:14} one token after {context:4} cached: {flops / 1e9:7.3f} GFLOP")


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


test_forward_flops()


# %% hidden="forward_flops" points=3
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


hidden_forward_flops()

# %% [markdown] task="request_flops" stars=2 minutes=15
# ## 3. FLOPs of a request
#
# A request with a KV cache is one pass over the prompt, then one pass per further token. The prompt pass already gives the logits of the first output token, so `output_tokens` tokens need `output_tokens - 1` decode steps; the last token is never fed back.
#
# Write `request_flops(config, input_tokens, output_tokens)`. Return a dict of three `int`s: `"prefill"`, `"decode"` and `"total"`. You may call your `forward_flops`. Either count below 1 raises `ValueError`.
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

# %% [markdown] task="attention_intensity_prefill" stars=2 minutes=20
# ## 4. Intensity of attention in prefill
#
# **Arithmetic intensity** is FLOPs divided by bytes moved between the chip and its memory. Take one head of size $d$ over $N$ tokens, and standard attention, which writes the scores $S$ and the weights $P$ to memory (algorithm 0 of [Dao et al. 2022](https://arxiv.org/abs/2205.14135)):
#
# | step | reads | writes | FLOPs |
# |---|---|---|---|
# | $S = QK^\top$ | $2Nd$ | $N^2$ | $2N^2d$ |
# | $P = \mathrm{softmax}(S)$ | $N^2$ | $N^2$ | not counted |
# | $O = PV$ | $N^2 + Nd$ | $Nd$ | $2N^2d$ |
#
# Write `attention_intensity_prefill(n, d, bytes_per=2)`: total FLOPs over total bytes, with `bytes_per` bytes for each number. Nothing is masked, as in the table. A size below 1, or `bytes_per` not above 0, raises `ValueError`.
#
# Example: $N = 2$, $d = 3$, one byte each: $4 \cdot 4 \cdot 3 = 48$ FLOPs; reads and writes are $4 \cdot 6 + 4 \cdot 4 = 40$ numbers; $48 / 40 = 1.2$.
#
# <details><summary>Hint 1</summary>
#
# Add up the columns "reads" and "writes": how many times $Nd$, how many times $N^2$?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Four matrices of $Nd$ numbers cross once each. $S$ and $P$ are written once and read once each. Do not forget that the table counts numbers, and you need bytes.
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


# %% tryit="attention_intensity_prefill"
for n in (16, 128, 1024, 8192, 65536):
    print(f"N {n:6}, d 128: {attention_intensity_prefill(n, 128):6.2f} FLOP per byte")


# %% test="attention_intensity_prefill" points=1
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


test_attention_intensity_prefill()


# %% hidden="attention_intensity_prefill" points=2
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


hidden_attention_intensity_prefill()

# %% [markdown] task="attention_intensity_decode" stars=2 minutes=15
# ## 5. Intensity of attention in decode
#
# The same head, but now one query over $N$ cached tokens. Go through the table of exercise 4 again with a single row of $Q$, $S$, $P$ and $O$: $K$ and $V$ keep all their $N$ rows.
#
# Write `attention_intensity_decode(n, d, bytes_per=2)`. Errors as before.
#
# Example: $N = 2$, $d = 3$, one byte each: $4 \cdot 2 \cdot 3 = 24$ FLOPs; $Q$ and $O$ have 3 numbers each, $K$ and $V$ 6 each, $S$ and $P$ of 2 numbers are written and read; 26 in all; $24 / 26 = 0.923$.
#
# <details><summary>Hint 1</summary>
#
# Which of the terms of exercise 4 lose a factor $N$, and which do not?
#
# </details>
# <details><summary>Hint 2</summary>
#
# FLOPs fall by $N$. Of the numbers moved, two matrices stay as they are, two become one row, and the four passes over $S$ and $P$ become passes over $N$ numbers.
#
# </details>


# %% solution="attention_intensity_decode"
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


# %% tryit="attention_intensity_decode"
for n in (16, 128, 1024, 8192, 65536):
    print(f"N {n:6}, d 128: {attention_intensity_decode(n, 128):5.3f} FLOP per byte")


# %% test="attention_intensity_decode" points=1
def test_attention_intensity_decode():
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


test_attention_intensity_decode()


# %% hidden="attention_intensity_decode" points=2
def hidden_attention_intensity_decode():
    import numpy as np

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


hidden_attention_intensity_decode()

# %% [markdown] task="linear_intensity" stars=1 minutes=10
# ## 6. Intensity of a linear layer
#
# A linear layer computes $Y = XW$ with $X$ `[batch, d_in]`, $W$ `[d_in, d_out]`, $Y$ `[batch, d_out]`. In decode `batch` is the number of sequences that take a step together. Each of the three arrays crosses the memory bus once: $X$ and $W$ are read, $Y$ is written.
#
# Write `linear_intensity(batch, d_in, d_out, bytes_per=2)`: $2 \cdot \text{batch} \cdot d_{in} \cdot d_{out}$ FLOPs over the bytes. Errors as before.
#
# Example: batch 2, $d_{in} = 3$, $d_{out} = 4$, one byte each: $48 / (6 + 12 + 8) = 1.846$.
#
# <details><summary>Hint 1</summary>
#
# Which of the three arrays does not grow with the batch?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Write the number of entries of each array, add, multiply by `bytes_per`.
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


# %% test="linear_intensity" points=1
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


test_linear_intensity()


# %% hidden="linear_intensity" points=1
def hidden_linear_intensity():
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


hidden_linear_intensity()

# %% [markdown] task="ridge_point" stars=1 minutes=5
# ## 7. The ridge point
#
# A chip can do at most `peak_flops` FLOPs per second and read at most `bandwidth` bytes per second. The **ridge point** is the intensity at which both limits bind at once: below it the chip waits for memory, above it for its arithmetic units.
#
# Write `ridge_point(peak_flops, bandwidth)` in FLOP per byte. A value that is not above 0 raises `ValueError`.
#
# Example: 12 FLOP/s and 4 bytes/s: a task with 3 FLOPs per byte keeps both busy.
#
# <details><summary>Hint 1</summary>
#
# Look at the units: FLOP per second, bytes per second, and the answer in FLOP per byte.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One division, after the checks.
#
# </details>


# %% solution="ridge_point"
def ridge_point(peak_flops, bandwidth):
    """The intensity in FLOP per byte at which compute and bandwidth limit equally.

    peak_flops in FLOP/s, bandwidth in bytes/s, both above 0. Returns a float. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if peak_flops <= 0 or bandwidth <= 0:
        raise ValueError(f"peak_flops and bandwidth must be positive, got {peak_flops} and {bandwidth}")
    return peak_flops / bandwidth
    ### END SOLUTION


# %% tryit="ridge_point"
print(f"A100 80GB, bf16: {ridge_point(A100_FLOPS, A100_BANDWIDTH):.1f} FLOP per byte")


# %% test="ridge_point" points=1
def test_ridge_point():
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


test_ridge_point()


# %% hidden="ridge_point" points=1
def hidden_ridge_point():
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


hidden_ridge_point()

# %% [markdown] task="roofline" stars=1 minutes=10
# ## 8. The roofline
#
# The **roofline** is the most FLOP/s that a task of a given intensity can reach: memory delivers `intensity * bandwidth` FLOPs' worth of bytes per second, and the chip never does more than `peak_flops` ([Williams, Waterman and Patterson 2009](https://doi.org/10.1145/1498765.1498785)).
#
# Write `roofline(intensity, peak_flops, bandwidth)`. An intensity of 0 gives 0; a negative one raises `ValueError`, as does a peak or a bandwidth that is not above 0.
#
# Example: peak 12 FLOP/s, 4 bytes/s: intensity 2 reaches 8 FLOP/s, intensity 5 reaches 12.
#
# <details><summary>Hint 1</summary>
#
# Two limits hold at the same time. Which of them do you feel?
#
# </details>
# <details><summary>Hint 2</summary>
#
# The smaller of two numbers.
#
# </details>


# %% solution="roofline"
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


# %% tryit="roofline"
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


# %% test="roofline" points=1
def test_roofline():
    got = roofline(1, 312e12, 2.039e12)
    assert got is not None, "roofline returned None: is there a return statement?"
    assert got != 312e12, "intensity 1 cannot reach the peak: take the smaller limit, not the larger"
    assert got == 2.039e12, f"intensity 1 on an A100 reaches 2.039e12 FLOP/s, you returned {got}"
    got = roofline(1000, 312e12, 2.039e12)
    assert got == 312e12, f"intensity 1000 is capped at the peak of 3.12e14 FLOP/s, you returned {got}"
    for values, bad in (((-1, 5, 6), "-1"), ((1, 0, 6), "0"), ((1, 5, -7), "-7")):
        try:
            roofline(*values)
        except ValueError as error:
            assert bad in str(error), f"the ValueError should name the bad value {bad}, it says: {error}"
        else:
            raise AssertionError(f"intensity, peak, bandwidth = {values} was accepted")


test_roofline()


# %% hidden="roofline" points=1
def hidden_roofline():
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


hidden_roofline()

# %% [markdown] task="batch_for_ridge" stars=3 minutes=20
# ## 9. The batch that reaches the ridge
#
# Batching lets one read of the weights serve many sequences. How many until the linear layer is no longer limited by memory?
#
# Write `batch_for_ridge(d_in, d_out, ridge, bytes_per=2)`: the smallest whole batch, at least 1, whose `linear_intensity` is at least `ridge`; `None` where no batch gets there, because the activations themselves must be moved too. `ridge` is above 0; other values raise `ValueError`.
#
# Example: $d_{in} = d_{out} = 8$, one byte, ridge 4: batch 4 gives $512 / (32 + 64 + 32) = 4$, batch 3 gives $384/112 = 3.43$; the answer is 4. With ridge 8 no batch is enough: $128 B / (64 + 16 B)$ stays below 8.
#
# <details><summary>Hint 1</summary>
#
# What does `linear_intensity` tend to when the batch is enormous and the weights no longer count? Is the ridge below that?
#
# </details>
# <details><summary>Hint 2</summary>
#
# Solve "intensity = ridge" for the batch: it is a linear equation. Round up. Or search: double the batch until it is enough, then halve the interval. Rounding errors can put a closed form one off; check the neighbours if you use it.
#
# </details>


# %% solution="batch_for_ridge"
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


# %% tryit="batch_for_ridge"
ridge = A100_FLOPS / A100_BANDWIDTH
for d_in, d_out in ((576, 1536), (4096, 4096), (4096, 14336)):
    for bytes_per in (2, 1):
        batch = batch_for_ridge(d_in, d_out, ridge, bytes_per)
        print(f"{d_in:4} to {d_out:5}, {bytes_per} bytes per number: batch {batch}")


# %% test="batch_for_ridge" points=1
def test_batch_for_ridge():
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


test_batch_for_ridge()


# %% hidden="batch_for_ridge" points=2
def hidden_batch_for_ridge():
    from fractions import Fraction

    import numpy as np

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


hidden_batch_for_ridge()

# %% [markdown] answer="batching" points=3
# ## 10. Why batching helps decode, and where it stops
#
# *Written answer.* In decode, a batch of 64 sequences takes hardly longer per step than a single one, for a while. Explain why, using the words *weights*, *intensity* and *ridge point*; say which part of the model does not gain, and what ends the gain in practice. Five or six sentences.
#
# ### BEGIN SOLUTION
# **Model answer.** A decode step of one sequence reads every weight from memory to do one multiply-add with it, about 1 FLOP per byte in 16 bit, while an A100 could do 153 in the time that a byte takes to arrive. With a batch of B sequences the same read serves B multiply-adds, so the intensity of the linear layers grows about in proportion to B. Until it reaches the ridge point (about 166 sequences for a 4096 x 4096 layer on an A100) the step takes as long as reading the weights, so throughput grows with B at an almost constant time per step. Attention does not gain: each sequence has its own KV cache, which no other sequence uses, so its intensity stays near 1 whatever the batch. The KV bytes grow with batch and context and soon exceed the weights; the step then slows down, and memory is full before the ridge point is reached. Past the ridge point more batch only makes each step longer.
#
# **Rubric, 1 point each.** (1) The weights are read once for the whole batch, so FLOPs per byte grow with the batch. (2) The gain lasts while the intensity is below the ridge point. (3) Attention reads a KV cache of its own for each sequence and does not gain, and KV memory or KV reading ends it.
# ### END SOLUTION

# %% [markdown] task="read_seconds" stars=1 minutes=5
# ## 11. Time to read
#
# Write `read_seconds(n_bytes, bandwidth)`: the seconds to read `n_bytes` once at `bandwidth` bytes per second. Zero bytes take no time. Negative bytes, or a bandwidth not above 0, raise `ValueError`.
#
# Example: 6 bytes at 4 bytes per second take 1.5 seconds.
#
# <details><summary>Hint 1</summary>
#
# Units again: bytes, bytes per second, seconds.
#
# </details>
# <details><summary>Hint 2</summary>
#
# 40 GB at 2 TB/s should come out as 0.02.
#
# </details>


# %% solution="read_seconds"
def read_seconds(n_bytes, bandwidth):
    """Seconds to read n_bytes at `bandwidth` bytes per second.

    n_bytes: 0 or more. bandwidth: above 0. Returns a float. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if n_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"cannot read {n_bytes} bytes at {bandwidth} bytes per second")
    return n_bytes / bandwidth
    ### END SOLUTION


# %% tryit="read_seconds"
for what, n_bytes in (
    ("SmolLM2-135M in bf16", 269e6),
    ("Llama-3-8B in bf16", 16.06e9),
    ("Llama-3-70B in bf16", 141.1e9),
):
    print(f"{what:21} {1e3 * read_seconds(n_bytes, A100_BANDWIDTH):7.2f} ms at A100 bandwidth")


# %% test="read_seconds" points=1
def test_read_seconds():
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


test_read_seconds()


# %% hidden="read_seconds" points=1
def hidden_read_seconds():
    assert read_seconds(0, 5) == 0, "zero bytes take no time"
    assert read_seconds(6, 4) == 1.5, "6 bytes at 4 bytes per second take 1.5 s"
    assert read_seconds(1, 0.5) == 2, "a bandwidth below 1 is slow, not wrong"
    for n_bytes, bandwidth in ((-1, 5), (5, -1), (0, 0)):
        try:
            read_seconds(n_bytes, bandwidth)
        except ValueError:
            continue
        raise AssertionError(f"n_bytes={n_bytes}, bandwidth={bandwidth} was accepted")


hidden_read_seconds()

# %% [markdown] task="decode_floor_ms" stars=1 minutes=10
# ## 12. The floor of a decode step
#
# A decode step has to read all weights once and the KV cache of every sequence in the batch once. No kernel, however clever, goes below the time of that read.
#
# Write `decode_floor_ms(weight_bytes, kv_bytes, bandwidth)`: that time in **milliseconds**. `kv_bytes` is the cache of the whole batch. Negative bytes, or a bandwidth not above 0, raise `ValueError`.
#
# Example: 3 GB of weights and 1 GB of cache at 2 TB/s: 4e9 / 2e12 s = 2 ms.
#
# <details><summary>Hint 1</summary>
#
# It is a `read_seconds` of everything that must be read, in other units.
#
# </details>
# <details><summary>Hint 2</summary>
#
# One second is 1000 milliseconds. Check both byte counts on their own: a negative one must not hide behind the other.
#
# </details>


# %% solution="decode_floor_ms"
def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    """Milliseconds that one decode step needs at least to read the weights and the KV cache of the whole batch.

    weight_bytes, kv_bytes: 0 or more. bandwidth: bytes per second, above 0. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    if weight_bytes < 0 or kv_bytes < 0 or bandwidth <= 0:
        raise ValueError(f"cannot read {weight_bytes} + {kv_bytes} bytes at {bandwidth} bytes per second")
    return 1000 * (weight_bytes + kv_bytes) / bandwidth
    ### END SOLUTION


# %% tryit="decode_floor_ms"
for batch in (0, 1, 16, 59):
    kv = batch * 8192 * 131_072  # Llama-3-8B: 131072 bytes per token
    print(f"Llama-3-8B, {batch:2} sequences of 8192 tokens: {decode_floor_ms(16.06e9, kv, A100_BANDWIDTH):6.2f} ms")


# %% test="decode_floor_ms" points=1
def test_decode_floor_ms():
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


test_decode_floor_ms()


# %% hidden="decode_floor_ms" points=1
def hidden_decode_floor_ms():
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


hidden_decode_floor_ms()

# %% [markdown] task="tokens_per_second_ceiling" stars=1 minutes=10
# ## 13. The ceiling on tokens per second
#
# Every sequence in the batch gets one token per step. Write `tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1)`: the tokens per second of the whole batch if every step takes exactly the floor of exercise 12. `kv_bytes` is again the cache of all sequences together.
#
# The floor must be above zero, so `weight_bytes` must be positive; `kv_bytes` may be 0; `bandwidth` and `batch` must be positive. Anything else raises `ValueError`.
#
# Example: a floor of 2 ms is 500 steps per second; with a batch of 4 that is 2000 tokens per second.
#
# <details><summary>Hint 1</summary>
#
# How many steps fit into a second, and how many tokens does each step give?
#
# </details>
# <details><summary>Hint 2</summary>
#
# `batch` over the seconds of one step. Mind milliseconds if you call `decode_floor_ms`.
#
# </details>


# %% solution="tokens_per_second_ceiling"
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


# %% tryit="tokens_per_second_ceiling"
for batch in (1, 4, 16, 59):
    ceiling = tokens_per_second_ceiling(16.06e9, batch * 8192 * 131_072, A100_BANDWIDTH, batch)
    print(f"Llama-3-8B on an A100, {batch:2} sequences of 8192 tokens: at most {ceiling:5.0f} tokens/s together")


# %% test="tokens_per_second_ceiling" points=1
def test_tokens_per_second_ceiling():
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


test_tokens_per_second_ceiling()


# %% hidden="tokens_per_second_ceiling" points=1
def hidden_tokens_per_second_ceiling():
    import numpy as np

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


hidden_tokens_per_second_ceiling()

# %% [markdown] task="idle_share" stars=1 minutes=10
# ## 14. How much of the chip is idle
#
# Write `idle_share(intensity, peak_flops, bandwidth)`: the share of the chip's peak FLOP/s that stays unused at the roofline, between 0 and 1. Errors as in `roofline`; you may call it.
#
# Example: peak 12 FLOP/s, 4 bytes/s: intensity 1 reaches 4 FLOP/s, so 8/12 = 0.667 of the chip is idle.
#
# <details><summary>Hint 1</summary>
#
# Which share is used? The idle one is the rest.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Above the ridge nothing is idle: the result must be 0 there, not negative.
#
# </details>


# %% solution="idle_share"
def idle_share(intensity, peak_flops, bandwidth):
    """Share of peak_flops that a task of this intensity leaves unused at best, from 0 to 1.

    intensity in FLOP per byte, 0 or more; peak_flops and bandwidth above 0. Raises ValueError for other values.
    """
    ### BEGIN SOLUTION
    return 1 - roofline(intensity, peak_flops, bandwidth) / peak_flops
    ### END SOLUTION


# %% tryit="idle_share"
for name, intensity in (
    ("decode, batch 1", linear_intensity(1, 4096, 4096)),
    ("decode, batch 64", linear_intensity(64, 4096, 4096)),
    ("prefill, 1024 tokens", linear_intensity(1024, 4096, 4096)),
):
    print(f"linear layer in {name:20}: {idle_share(intensity, A100_FLOPS, A100_BANDWIDTH):6.1%} of an A100 idle")


# %% test="idle_share" points=1
def test_idle_share():
    got = idle_share(1, 12, 4)
    assert got is not None, "idle_share returned None: is there a return statement?"
    assert abs(got - 4 / 12) > 1e-9, "0.333 is the share in use; the idle share is the rest"
    assert abs(got - 8 / 12) < 1e-12, f"intensity 1, peak 12, bandwidth 4: 0.667 idle, you returned {got}"
    got = idle_share(100, 12, 4)
    assert got == 0, f"far above the ridge nothing is idle: 0, you returned {got}"
    try:
        idle_share(-1, 12, 4)
    except ValueError as error:
        assert "-1" in str(error), f"the ValueError should name the bad value -1, it says: {error}"
    else:
        raise AssertionError("intensity=-1 was accepted: raise ValueError for values that make no sense")


test_idle_share()


# %% hidden="idle_share" points=1
def hidden_idle_share():
    assert idle_share(0, 12, 4) == 1, "nothing computed: all of it is idle"
    for tenth in range(1, 100):
        intensity = tenth / 10
        compute, memory = intensity / 12, 1 / 4  # seconds for one byte
        expected = (max(compute, memory) - compute) / max(compute, memory)
        got = idle_share(intensity, 12, 4)
        assert abs(got - expected) < 1e-9, f"intensity {intensity}: {expected} of the time idle, you returned {got}"
    for values in ((-0.5, 12, 4), (1, 0, 4), (1, -12, 4), (1, 12, 0), (1, 12, -4)):
        try:
            idle_share(*values)
        except ValueError:
            continue
        raise AssertionError(f"intensity, peak, bandwidth = {values} was accepted")


hidden_idle_share()

# %% [markdown] task="classify_phase" stars=1 minutes=10
# ## 15. Prefill and decode in one table
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
        "int8 weights": ("decode", "fewer bytes", "each weight takes one byte in place of two"),
        "grouped-query attention": ("decode", "fewer bytes", "fewer KV heads are stored and read"),
        "fp8 KV cache": ("decode", "fewer bytes", "each cached number takes one byte"),
        "continuous batching": ("decode", "more reuse", "one read of the weights serves many sequences"),
        "speculative decoding": ("decode", "more reuse", "one read of the weights verifies several tokens"),
    }
    for technique, (phase, family, reason) in why.items():
        assert got[phase]["fixes"].get(technique) == family, f"{technique} is {family}: {reason}"


hidden_classify_phase()

# %% [markdown] answer="decode_starves" points=3
# ## 16. Why decode starves the GPU
#
# *Written answer.* A GPU that is busy in prefill uses less than one percent of its peak when a single sequence decodes, on the same model. Explain why, with a number for the intensity and a number for the ridge point, and name one fix of each family "fewer bytes" and "more reuse". Four or five sentences.
#
# ### BEGIN SOLUTION
# **Model answer.** In prefill each weight that is read is used for all prompt tokens, so a prompt of 1000 tokens gives hundreds of FLOPs per byte, above the A100's ridge point of 153 FLOP per byte, and the arithmetic units are the limit. In decode a pass holds one token: each 2-byte weight takes part in one multiply-add, 2 FLOPs over 2 bytes, an intensity of about 1. Memory then allows 1/153 of the peak, 0.7 percent, and the arithmetic units wait for the rest of the time; attention over the KV cache has an intensity of about 1 too. The time of a step is therefore bytes over bandwidth. It falls with fewer bytes (quantized weights, GQA, a smaller KV type) or with more reuse of each byte (batching, speculative decoding).
#
# **Rubric, 1 point each.** (1) Decode uses each weight for one token, prefill for the whole prompt. (2) An intensity of about 1 against a ridge point of about 153 (or the numbers of another chip), so below one percent of peak. (3) One right fix of each family.
# ### END SOLUTION

# %% [markdown] task="lifetime_ratio" stars=1 minutes=10
# ## 17. Training once, serving for ever
#
# A forward pass costs about $2N$ FLOPs per token for a model of $N$ parameters, and training about $6N$ per token: the forward pass, and a backward pass that costs twice as much ([Kaplan et al. 2020](https://arxiv.org/abs/2001.08361), section 2.1).
#
# Write `lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days)`: the FLOPs of serving over the FLOPs of training. `n_params` and `train_tokens` must be positive, the other two 0 or more; else `ValueError`.
#
# Example: trained on 10 tokens, serving 5 a day for 6 days: $2N \cdot 30 / (6N \cdot 10) = 1$.
#
# <details><summary>Hint 1</summary>
#
# Which of the arguments stands both above and below the line? It still must be checked.
#
# </details>
# <details><summary>Hint 2</summary>
#
# Total tokens served times 2, over tokens trained times 6.
#
# </details>


# %% solution="lifetime_ratio"
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


# %% tryit="lifetime_ratio"
for days in (1, 45, 365, 730):  # an 8B model trained on 15e12 tokens that serves 1e12 tokens a day
    print(f"after {days:3} days serving cost {lifetime_ratio(8e9, 15e12, 1e12, days):6.2f} times the training")


# %% test="lifetime_ratio" points=1
def test_lifetime_ratio():
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


test_lifetime_ratio()


# %% hidden="lifetime_ratio" points=1
def hidden_lifetime_ratio():
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


hidden_lifetime_ratio()

# %% [markdown] answer="inference_cost" points=3
# ## 18. Why inference dominates the cost
#
# *Written answer.* Training a model is a single, enormous expense; one answer costs next to nothing. Why do people who run a popular model still spend most of their compute on inference? Use your `lifetime_ratio` for a case of your own and give the day on which serving overtakes training. Say also one thing the FLOP ratio leaves out that makes inference dearer still. Four or five sentences.
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
