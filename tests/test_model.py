"""The decoder, its layers and the contiguous cache, against transformers and against formulas written out."""

import numpy as np
import pytest
import torch
from make_tiny import make_expected, make_weights
from oracle import expected_logits, transformers_llama

from mini_engine import layers
from mini_engine.accounting import kv_cache_bytes
from mini_engine.config import TINY, ModelConfig
from mini_engine.generate import generate
from mini_engine.kv_cache import KVCache
from mini_engine.layers import attention
from mini_engine.model import Llama
from mini_engine.rope import apply_rope, rope_tables
from mini_engine.weights import flatten, load_tiny, load_tiny_expected

PROMPTS = (
    "The capital of France is",
    "Once upon a time, there was a little",
    "def fibonacci(n):\n",
    "The three primary colors are",
    "Water boils at",
    "2 + 2 = 4, 3 + 3 =",
    "Dear Sir or Madam,",
    "To make a cup of tea, first",
    "import numpy as np\n\nx = np.",
    "<|im_start|>user\nName a planet.<|im_end|>\n<|im_start|>assistant\n",
)


@pytest.fixture(scope="module")
def tiny():
    return load_tiny()


@pytest.fixture(scope="module")
def tiny_double(tiny):
    return Llama(*tiny, dtype=torch.float64)


def test_shipped_files_are_what_the_script_makes(tiny):
    shipped, made = flatten(tiny[1]), flatten(make_weights())
    assert shipped.keys() == made.keys()
    for name in made:
        np.testing.assert_array_equal(shipped[name], made[name], err_msg=f"{name}: run python tests/make_tiny.py")
    made = make_expected(tiny[1])
    cases = load_tiny_expected()
    assert len(made) == 3 * len(cases)
    for i, case in enumerate(cases):
        for key, value in case.items():
            np.testing.assert_allclose(value, made[f"{key}_{i}"], atol=1e-5, err_msg=f"{key}_{i}: run make_tiny.py")


@pytest.mark.parametrize("dtype, tolerance", [(torch.float32, 1e-4), (torch.float64, 1e-4), (torch.bfloat16, 0.15)])
def test_tiny_logits_equal_transformers(tiny, dtype, tolerance):
    model = Llama(*tiny, dtype=dtype)
    for case in load_tiny_expected():
        got = model(torch.from_numpy(case["ids"])[None])[0]
        assert got.dtype == dtype
        np.testing.assert_allclose(got.float().numpy(), case["logits"], atol=tolerance)


@pytest.mark.parametrize("use_cache", [True, False])
def test_tiny_greedy_equals_transformers(tiny_double, use_cache):
    for case in load_tiny_expected():
        got = list(generate(tiny_double, case["ids"], len(case["greedy"]), use_cache=use_cache))
        assert got == case["greedy"].tolist()


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize("heads, kv_heads, head_dim", [(4, 4, 8), (6, 2, 8), (6, 1, 8), (3, 3, 32)])
def test_every_shape_equals_transformers(heads, kv_heads, head_dim, tied):
    config = ModelConfig("random", 3, 48, heads, kv_heads, 80, 97, head_dim, 500.0, 64, tied, 1e-6)
    weights = make_weights(config, seed=heads + kv_heads)
    if tied:
        del weights["lm_head"]
        weights["embedding"] /= 7  # as the head it then gives logits of spread 1
    ids = np.random.default_rng(3).integers(0, 97, 40)
    expected = expected_logits(transformers_llama(config, weights), ids)
    got = Llama(config, weights)(torch.from_numpy(ids)[None])[0]
    assert expected.std() > 0.9
    np.testing.assert_allclose(got.numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("splits", [(1,) * 12, (5, 1, 1, 5), (11, 1), (2, 7, 3)])
def test_chunks_through_the_cache_equal_one_pass(tiny_double, splits):
    ids = torch.from_numpy(np.random.default_rng(5).integers(0, 512, (2, 12)))
    cache = tiny_double.new_cache(12, batch=2)
    got = torch.cat([tiny_double(part, cache) for part in ids.split(list(splits), dim=1)], dim=1)
    assert cache.length == 12
    np.testing.assert_allclose(got.numpy(), tiny_double(ids).numpy(), atol=1e-10)


def test_rows_of_a_batch_do_not_touch_each_other(tiny_double):
    ids = torch.from_numpy(np.random.default_rng(6).integers(0, 512, (3, 9)))
    together = tiny_double(ids)
    for row in range(3):
        np.testing.assert_allclose(together[row].numpy(), tiny_double(ids[row : row + 1])[0].numpy(), atol=1e-10)


class RaggedCache:
    """Rows of different length through the protocol: row b's next token stands at position lengths[b]."""

    def __init__(self, config, lengths, max_tokens):
        shape = (config.num_hidden_layers, len(lengths), config.num_key_value_heads, max_tokens, config.head_dim)
        self.k, self.v = torch.full(shape, torch.nan, dtype=torch.float64), torch.zeros(shape, dtype=torch.float64)
        self.k.nan_to_num_(nan=1e3)  # what was never written must not be read
        self.lengths = torch.tensor(lengths)

    def positions(self, num_new):
        return self.lengths[:, None] + torch.arange(num_new)

    def update(self, layer, k, v):
        positions = self.positions(k.shape[2])
        for row, where in enumerate(positions):
            self.k[layer, row, :, where], self.v[layer, row, :, where] = k[row], v[row]
        mask = torch.arange(self.k.shape[3]) <= positions[..., None]
        return self.k[layer], self.v[layer], mask[:, None]

    def advance(self, num_new):
        self.lengths += num_new


@pytest.mark.parametrize("num_new", [1, 3])
def test_ragged_rows_through_a_mask(tiny, tiny_double, num_new):
    rng = np.random.default_rng(7)
    lengths = [2, 9, 5]
    rows = [torch.from_numpy(rng.integers(0, 512, length + num_new)) for length in lengths]
    cache = RaggedCache(tiny[0], lengths, 16)
    for i, (row, length) in enumerate(zip(rows, lengths, strict=True)):
        alone = tiny_double.new_cache(16)
        tiny_double(row[None, :length], alone)
        cache.k[:, i, :, :length], cache.v[:, i, :, :length] = alone.k[:, 0, :, :length], alone.v[:, 0, :, :length]
    got = tiny_double(torch.stack([row[-num_new:] for row in rows]), cache)
    for i, row in enumerate(rows):
        np.testing.assert_allclose(got[i].numpy(), tiny_double(row[None])[0, -num_new:].numpy(), atol=1e-10)


@pytest.mark.parametrize("num_new, num_keys, heads, kv_heads", [(1, 7, 6, 2), (3, 7, 6, 2), (7, 7, 6, 2), (4, 9, 3, 3)])
def test_attention_equals_a_loop(num_new, num_keys, heads, kv_heads):
    rng = np.random.default_rng(8)
    q = rng.standard_normal((2, heads, num_new, 4))
    k, v = rng.standard_normal((2, 2, kv_heads, num_keys, 4))
    got = attention(*map(torch.from_numpy, (q, k, v))).numpy()
    for b, h, i in np.ndindex(2, heads, num_new):
        kv_head, visible = h // (heads // kv_heads), num_keys - num_new + i + 1
        scores = [q[b, h, i] @ k[b, kv_head, j] / 2 for j in range(visible)]
        weights = np.exp(scores) / np.exp(scores).sum()
        expected = sum(w * v[b, kv_head, j] for j, w in enumerate(weights))
        np.testing.assert_allclose(got[b, h, i], expected, atol=1e-12)


def test_rope_is_a_turn_of_complex_numbers():
    x = np.random.default_rng(9).standard_normal((1, 5, 2, 8))
    cos, sin = rope_tables(8, 100, 10000.0, torch.float64)
    positions = torch.tensor([0, 1, 2, 50, 99])
    got = apply_rope(torch.from_numpy(x), cos[positions][None, :, None], sin[positions][None, :, None]).numpy()
    angles = positions.numpy()[:, None] / 10000.0 ** (np.arange(4) / 4)
    turned = (x[..., :4] + 1j * x[..., 4:]) * np.exp(1j * angles)[None, :, None]
    np.testing.assert_allclose(got, np.concatenate((turned.real, turned.imag), axis=-1), atol=1e-12)


def test_full_cache_refuses_and_writes_nothing(tiny_double):
    cache = tiny_double.new_cache(4)
    tiny_double(torch.tensor([[1, 2, 3]]), cache)
    before = cache.k.clone(), cache.v.clone()
    with pytest.raises(ValueError, match="3 of 4 tokens used, 2 more"):
        tiny_double(torch.tensor([[4, 5]]), cache)
    with pytest.raises(ValueError, match="full"):
        cache.update(1, torch.zeros(1, 2, 2, 16), torch.zeros(1, 2, 2, 16))
    assert cache.length == 3
    for array, saved in zip((cache.k, cache.v), before, strict=True):
        np.testing.assert_array_equal(array[:, :, :, :3], saved[:, :, :, :3])
    tiny_double(torch.tensor([[4]]), cache)
    assert cache.length == 4


def test_truncated_cache_goes_on_as_if_nothing_had_been(tiny_double):
    cache = tiny_double.new_cache(8)
    tiny_double(torch.tensor([[1, 2, 3, 4, 5]]), cache)
    cache.truncate(2)
    got = tiny_double(torch.tensor([[9, 8]]), cache)
    np.testing.assert_allclose(got.numpy(), tiny_double(torch.tensor([[1, 2, 9, 8]]))[:, 2:].numpy(), atol=1e-10)
    for bad in (-1, 5):
        with pytest.raises(ValueError, match=str(bad)):
            cache.truncate(bad)


def test_cache_holds_the_bytes_of_the_formula():
    cache = KVCache(TINY, 100, batch=3, dtype=torch.bfloat16)
    assert cache.num_bytes == kv_cache_bytes(3, 2, 100, 2, 16, 2)
    for bad in ({"max_tokens": 0}, {"max_tokens": 1025}, {"max_tokens": 1, "batch": 0}):
        with pytest.raises(ValueError):
            KVCache(TINY, **bad)


def test_foreign_ids_are_refused(tiny_double):
    for bad in (512, -1):
        with pytest.raises(IndexError):
            tiny_double(torch.tensor([[bad]]))
        with pytest.raises(ValueError, match=f"token id {bad} "):
            list(generate(tiny_double, [3, bad], 4))


def test_generate_ends_after_eos_and_within_the_context(tiny_double):
    case = load_tiny_expected()[1]
    greedy = case["greedy"].tolist()
    eos = greedy[5]
    first = greedy.index(eos)
    assert list(generate(tiny_double, case["ids"], 32, eos_token_id=eos)) == greedy[: first + 1]
    assert list(generate(tiny_double, case["ids"], 0)) == []
    assert len(list(generate(tiny_double, [5] * 1020, 4))) == 4
    for prompt, num_new, match in (([5] * 1020, 5, "1024"), ([], 3, "empty"), ([1], -1, "-1")):
        with pytest.raises(ValueError, match=match):
            list(generate(tiny_double, prompt, num_new))


@pytest.mark.parametrize("device", ["cuda"])
def test_same_on_cuda(tiny, device):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    model = Llama(*tiny, device=device)
    for case in load_tiny_expected():
        got = list(generate(model, case["ids"], len(case["greedy"])))
        assert got == case["greedy"].tolist()


@pytest.fixture(scope="module")
def real_oracle(smollm2):
    """transformers with the real model; that its weights are the file's is tested in test_weights.py."""
    return transformers_llama(*smollm2)


@pytest.mark.parametrize("prompt", PROMPTS)
def test_real_model_equals_transformers(smollm2_model, smollm2_tokenizer, real_oracle, prompt):
    """Logits to 1e-3, and greedy text: every id we chose is transformers' argmax after the same ids before it."""
    ids = smollm2_tokenizer.encode(prompt)
    greedy = list(generate(smollm2_model, ids, 20, smollm2_tokenizer.eos_token_id))
    expected = expected_logits(real_oracle, ids + greedy)
    got = smollm2_model(torch.tensor([ids + greedy]))[0].numpy()
    np.testing.assert_allclose(got, expected, atol=1e-3)
    assert expected.argmax(axis=-1)[len(ids) - 1 : -1].tolist() == greedy


@pytest.mark.parametrize("num_parts", [1, 2, 3, 4])
@pytest.mark.parametrize("num_rows", [1, 5])
def test_products_of_few_rows_are_split_and_the_same(num_parts, num_rows, monkeypatch):
    """Row-major weights, transposed ones (a tied head), and sizes that do not split: 3 divides neither 400 nor 512."""
    generator = torch.Generator().manual_seed(1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: num_parts)
    calls = []
    real = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda *args: calls.append(1) or real(*args))
    x = torch.randn(num_rows, 1, 400, generator=generator, dtype=torch.float64)
    for weight in (
        torch.randn(400, 512, generator=generator, dtype=torch.float64),
        torch.randn(512, 400, generator=generator, dtype=torch.float64).T,
    ):
        got = layers.Linear(weight)(x)
        assert got.shape == (num_rows, 1, 512)
        torch.testing.assert_close(got, x @ weight, rtol=0, atol=1e-11)
    assert len(calls) == (2 if num_parts in (2, 4) else 0)
    calls.clear()
    layers.Linear(torch.ones(400, 512, dtype=torch.float64))(torch.ones(9, 400, dtype=torch.float64))
    assert not calls, "many rows use all cores anyway"
