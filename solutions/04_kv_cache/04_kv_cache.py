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
# # 04 · The KV cache
#
# In this notebook you price, build and use a KV cache: the two arrays that let a decoder read its history instead of computing it again. The chapter *The KV cache* of the book tells the story; here you write the parts.
#
# Each exercise has a cell for your code, a cell to try it, and a cell of checks. Run the checks as often as you like: a failed one says what it saw and what usually causes it. Some checks are hidden and run when the notebook is graded; they use other sizes and odd inputs.

# %% setup=True
import numpy as np

from mini_engine.config import LLAMA_2_7B, LLAMA_3_8B, SMOLLM2_135M

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
# A `bytes_per` that is zero or negative makes no sense: raise `ValueError` with the value in the message.
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
    for bad in (-1, -0.5):
        try:
            kv_bytes_per_token(SMOLLM2_135M, bad)
        except ValueError:
            continue
        raise AssertionError(f"bytes_per={bad} was accepted")


hidden_kv_bytes_per_token()
