"""Rounding, packing, AWQ and GPTQ, against torch, the gguf package and definitions worked out the slow way."""

import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType, quants

from mini_engine.accounting import quantized_bytes
from mini_engine.quant.arrays import fake_quantize, pack_nibbles, quantize, unpack_nibbles
from mini_engine.quant.calibration import InputStatistics, awq, gptq, round_groups


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [4, 16, 48])
def test_symmetric_rounding_is_that_of_torch(bits, group_size):
    w = np.random.default_rng(bits).normal(size=(48, 5)).astype(np.float32)
    stored = quantize(w, bits, group_size)
    last = 2 ** (bits - 1) - 1
    columns = torch.from_numpy(w.reshape(-1, group_size, 5).transpose(0, 2, 1).reshape(-1, group_size).copy())
    scales = (columns.abs().amax(1) / last).half().float()
    zeros = torch.zeros(len(columns), dtype=torch.int32)
    expected = torch.fake_quantize_per_channel_affine(columns, scales, zeros, 0, -last, last)
    got = stored.dequantize().reshape(-1, group_size, 5).transpose(0, 2, 1).reshape(-1, group_size)
    # torch multiplies by 1 / scale, which may move a value that lies on the edge between two steps
    assert np.isclose(got, expected.numpy(), atol=1e-6).mean() > 0.99
    assert stored.q.dtype == np.int8 and np.abs(stored.q).max() <= last and stored.scales.dtype == np.float16


def test_asymmetric_groups_of_32_recover_q4_1_blocks_exactly():
    w = np.random.default_rng(1).normal(size=(8, 96)).astype(np.float32)
    blocks = quants.quantize(w, GGMLQuantizationType.Q4_1)
    from_file = quants.dequantize(blocks, GGMLQuantizationType.Q4_1)
    assert np.abs(from_file - w).max() > 0.05, "Q4_1 loses something, or this test shows nothing"
    stored = quantize(from_file.T, 4, 32, symmetric=False)
    np.testing.assert_array_equal(stored.dequantize(), from_file.T)
    assert stored.num_bytes == blocks.nbytes, "the same five bits a weight"
    assert np.abs(fake_quantize(from_file.T, 4, 32) - from_file.T).max() > 0.05, "the symmetric grid is another one"


def test_bytes_are_those_of_accounting():
    w = np.ones((256, 10), np.float32)
    for bits, group_size, symmetric in ((8, 128, True), (4, 128, True), (4, 32, False), (3, 64, True)):
        expected = quantized_bytes(w.size, bits, group_size, 2, 0 if symmetric else 2)
        assert quantize(w, bits, group_size, symmetric).num_bytes == expected


def test_odd_groups():
    w = np.zeros((8, 2), np.float32)
    w[4:, 0] = 3
    for symmetric in (True, False):
        np.testing.assert_allclose(fake_quantize(w, 4, 4, symmetric), w, rtol=1e-3)
    tiny = np.full((4, 1), 1e-9, np.float32)
    assert np.abs(fake_quantize(tiny, 8, 4)).max() < 1e-6, "a scale that underflows float16 must not divide by zero"
    for bad in (np.full((4, 1), 1e9), np.full((4, 1), np.nan)):
        for symmetric in (True, False):
            with pytest.raises(ValueError, match="float16"):
                quantize(bad, 8, 4, symmetric)
    for bits, group_size in ((8, 3), (8, 0), (8, -4), (9, 4), (1, 4)):
        with pytest.raises(ValueError, match=str(group_size if bits == 8 else bits)):
            quantize(w, bits, group_size)


def test_a_shorter_last_group():
    w = np.random.default_rng(2).normal(size=(10, 3)).astype(np.float32)
    for symmetric in (True, False):
        got = round_groups(w, 4, 4, symmetric)
        expected = [fake_quantize(w[a:b], 4, b - a, symmetric) for a, b in ((0, 4), (4, 8), (8, 10))]
        np.testing.assert_array_equal(got, np.concatenate(expected))


def test_nibbles():
    signed = np.random.default_rng(3).integers(-8, 8, (3, 4, 10)).astype(np.int8)
    packed = pack_nibbles(signed)
    assert packed.shape == (3, 4, 5) and packed.dtype == np.uint8
    assert int(packed[0, 0, 0]) == int(signed[0, 0, 0]) % 16 + 16 * (int(signed[0, 0, 1]) % 16)
    np.testing.assert_array_equal(unpack_nibbles(packed), signed)
    unsigned = (signed.astype(int) + 8).astype(np.uint8)
    np.testing.assert_array_equal(unpack_nibbles(pack_nibbles(unsigned), signed=False), unsigned)
    with pytest.raises(ValueError, match="3"):
        pack_nibbles(signed[0, 0, :3])


def statistics_of(x):
    """InputStatistics of rows x, taken in three uneven parts."""
    statistics = InputStatistics(torch.zeros(x.shape[1], x.shape[1]), torch.zeros(x.shape[1]))
    for part in np.split(x, [5, 30]):
        statistics.add(torch.from_numpy(part))
    return statistics


@pytest.fixture(scope="module")
def layer():
    rng = np.random.default_rng(4)
    w = rng.normal(size=(192, 24)).astype(np.float32)
    x = (rng.normal(size=(300, 40)) @ rng.normal(size=(40, 192)) + rng.normal(size=(300, 192))).astype(np.float32)
    x[:, [3, 70, 150]] *= 20
    return w, x


def test_statistics_are_the_averages(layer):
    _, x = layer
    statistics = statistics_of(x)
    np.testing.assert_allclose(statistics.hessian, x.T.astype(float) @ x / len(x), rtol=1e-3, atol=0.05)
    np.testing.assert_allclose(statistics.mean_abs, np.abs(x).mean(0), rtol=1e-4)


@pytest.mark.parametrize("symmetric", [True, False])
def test_awq_and_gptq_lower_the_output_error(layer, symmetric):
    w, x = layer
    statistics = statistics_of(x)

    def output_error(w_hat):
        return np.linalg.norm(x @ (w_hat - w))

    plain = output_error(round_groups(w, 4, 128, symmetric))
    for method in (awq, gptq):
        w_hat = method(w, statistics, 4, 128, symmetric)
        assert output_error(w_hat) < 0.7 * plain, method.__name__
        assert np.linalg.norm(w_hat - w) > np.linalg.norm(round_groups(w, 4, 128, symmetric) - w), method.__name__


def test_awq_without_outliers_or_search_is_plain_rounding(layer):
    w, x = layer
    plain = round_groups(w, 4, 64)
    np.testing.assert_allclose(awq(w, statistics_of(x), 4, 64, num_steps=0), plain, atol=1e-6)


def test_gptq_is_the_definition(layer):
    """After each row, the best change of all rows behind it, from a fresh inverse; blocks and factors avoided."""
    w, x = layer[0][:, :4].astype(float), layer[1]
    h = x.T.astype(float) @ x / len(x)
    h += np.eye(len(w)) * 0.01 * np.diag(h).mean()
    moved, expected = w.copy(), np.zeros_like(w)
    for i in range(len(w)):
        if i % 48 == 0:
            step = (np.abs(moved[i : i + 48]).max(0) / 7).astype(np.float16).astype(float)
        expected[i] = np.clip(np.rint(moved[i] / step), -7, 7) * step
        rest = np.linalg.inv(h[i:, i:])
        moved[i:] -= np.outer(rest[:, 0] / rest[0, 0], moved[i] - expected[i])
    got = gptq(w.astype(np.float32), statistics_of(x), 4, 48)
    # float32 against float64: a value near the edge between two steps may fall to the other side
    assert np.isclose(got, expected, atol=1e-3).mean() > 0.9
    ratio = np.linalg.norm(x @ (got - w)) / np.linalg.norm(x @ (expected - w))
    assert 0.95 < ratio < 1.05


def test_the_real_checkpoint_lies_on_its_own_grid(smollm2):
    _, weights = smollm2
    for name in ("w_q", "w_down"):
        w = weights["layers"][17][name]
        np.testing.assert_array_equal(fake_quantize(w, 4, 32, symmetric=False), w, name)
        assert np.linalg.norm(fake_quantize(w, 4, 32) - w) > 0.05 * np.linalg.norm(w), name
