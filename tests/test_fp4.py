"""MXFP4 and NVFP4, bit for bit: against the gguf package, and against torch's float8_e4m3fn for the scales."""

import gguf
import numpy as np
import pytest
import torch

from mini_engine.quant import fp4

MXFP4, NVFP4 = gguf.GGMLQuantizationType.MXFP4, gguf.GGMLQuantizationType.NVFP4
HUGE = np.float32(3.4e38)


def same_bits(a, b):
    return a.dtype == b.dtype == np.float32 and np.array_equal(a.view(np.uint32), b.view(np.uint32))


def test_all_codes_under_all_scales_read_as_in_gguf():
    every_pair = np.arange(256, dtype=np.uint8).reshape(16, 16)
    scales = np.arange(255, dtype=np.uint8)
    stored = np.concatenate([np.repeat(scales, 16)[:, None], np.tile(every_pair, (255, 1))], axis=1)
    with np.errstate(over="ignore"):
        assert same_bits(fp4.mxfp4_decode(stored), gguf.quants.dequantize(stored, MXFP4))
    scales = np.arange(127, dtype=np.uint8)
    codes = np.tile(every_pair.reshape(8, 32), (127, 1))
    stored = np.concatenate([np.repeat(scales, 8)[:, None].repeat(4, 1), codes], axis=1)
    assert same_bits(fp4.nvfp4_decode(stored), gguf.quants.dequantize(stored, NVFP4))


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 77, 1e30])
def test_mxfp4_writes_the_bytes_of_gguf(scale):
    rng = np.random.default_rng(1)
    x = (rng.standard_t(3, (300, 96)) * scale).astype(np.float32)
    x[0], x[1, :32], x[2] = 0, np.float32(scale), -np.float32(scale)
    x[3] = np.float32(2.0 ** np.floor(np.log2(scale))) * np.tile(np.arange(-8, 8) / 4, 6)  # codes and halves
    x[4:40] = np.float32(2.0) ** rng.integers(-20, 20, (36, 96))
    x[40:80] = np.nextafter(x[4:44], np.float32(0))  # just below a power of two
    x[80] = -0.0
    assert np.array_equal(fp4.mxfp4_encode(x), gguf.quants.quantize(x, MXFP4))


def test_mxfp4_at_the_ends_of_float32():
    tiny = np.float32(2.0**-149)
    stored = fp4.mxfp4_encode(np.full(32, tiny))
    assert stored[0] == 0 and not fp4.mxfp4_decode(stored).any(), "2^-149 is nearer to 0 than to 2^-128"
    smallest = np.float32(2.0**-128)
    assert (fp4.mxfp4_decode(fp4.mxfp4_encode(np.full(32, smallest))) == smallest).all()
    x = np.full(32, HUGE)
    assert np.array_equal(fp4.mxfp4_encode(x), gguf.quants.quantize(x, MXFP4))
    assert np.isfinite(fp4.mxfp4_decode(fp4.mxfp4_encode(x))).all()


def test_every_code_is_its_own_nearest_and_halves_go_towards_zero():
    signed = np.concatenate([fp4.CODES[1:8], fp4.CODES[9:]])
    x = np.concatenate([signed, np.zeros(18)]).astype(np.float32)
    assert np.array_equal(fp4.mxfp4_decode(fp4.mxfp4_encode(x)), x)
    codes = fp4.round_e2m1(np.concatenate([fp4.MIDPOINTS, -fp4.MIDPOINTS]), np.float32(1))
    assert codes.tolist() == [*range(7), 0, *range(9, 15)]
    above = np.nextafter(fp4.MIDPOINTS, np.float32(9))
    assert fp4.round_e2m1(above, np.float32(1)).tolist() == [*range(1, 8)]
    assert fp4.round_e2m1(np.array([6, 7, HUGE, -HUGE]), np.float32(1)).tolist() == [7, 7, 7, 15]


def test_scales_of_nvfp4_round_as_torch_rounds_to_float8():
    values = fp4.E4M3.astype(np.float64)
    halves = (values[1:] + values[:-1]) / 2
    x = np.concatenate([values, halves, np.nextafter(halves, 0), np.nextafter(halves, 1e9), [440, 448]])
    x = np.concatenate([x.astype(np.float32), np.random.default_rng(2).lognormal(0, 3, 5000).astype(np.float32)])
    x = np.minimum(x, 448)
    want = torch.from_numpy(x).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
    assert np.array_equal(fp4.round_e4m3(x), want)
    assert fp4.round_e4m3(np.array([449.0, 1e30])).tolist() == [126, 126], "beyond the largest it saturates"
    assert np.array_equal(fp4.E4M3, torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float().numpy())


def test_nvfp4_agrees_with_scalars_and_with_ggufs_scale():
    """gguf has no NVFP4 writer in Python, only a rounding of scales, which differs at halves and from 256 on."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(40, 128)).astype(np.float32)
    stored = fp4.nvfp4_encode(x)
    scales = stored.reshape(40, 2, 36)[..., :4].reshape(40, 8)
    want = gguf.quants.NVFP4.fp32_to_ue4m3(np.abs(x.reshape(40, 8, 16)).max(-1) / np.float32(6))
    assert np.array_equal(scales, want)
    back = gguf.quants.dequantize(stored, NVFP4)
    assert same_bits(fp4.nvfp4_decode(stored), back)
    for row, col in ((0, 0), (7, 33), (39, 127)):
        scale = float(fp4.E4M3[scales[row, col // 16]])
        nearest = min(fp4.CODES.astype(float) * scale, key=lambda value: abs(value - float(x[row, col])))
        assert back[row, col] == np.float32(nearest)


def test_a_tensor_scale_saves_small_weights():
    x = np.random.default_rng(4).normal(size=(8, 64)).astype(np.float32) * 1e-4
    assert not fp4.nvfp4_decode(fp4.nvfp4_encode(x)).any(), "the smallest E4M3 number is 2^-9"
    scale = fp4.nvfp4_tensor_scale(x)
    back = fp4.nvfp4_decode(fp4.nvfp4_encode(x, scale), scale)
    assert np.linalg.norm(back - x) < 0.12 * np.linalg.norm(x)
    stored = fp4.nvfp4_encode(x, scale)
    assert stored.reshape(8, 36)[:, :4].max() == 126, "the largest block's scale is the largest E4M3 number"
    assert fp4.nvfp4_tensor_scale(np.zeros((2, 64))) == 1
    assert not fp4.nvfp4_decode(fp4.nvfp4_encode(np.zeros(64))).any()


def test_bytes_per_weight():
    assert fp4.mxfp4_encode(np.ones(320)).nbytes * 8 / 320 == 4.25
    assert fp4.nvfp4_encode(np.ones(320)).nbytes * 8 / 320 == 4.5


@pytest.mark.parametrize("encode", [fp4.mxfp4_encode, fp4.nvfp4_encode])
def test_what_cannot_be_stored_is_refused(encode):
    for bad in (np.nan, np.inf, -np.inf):
        x = np.ones((2, 64))
        x[1, 5] = bad
        with pytest.raises(ValueError, match="1 of the numbers are not finite"):
            encode(x)
    for shape in ((3, 33), (0,), ()):
        with pytest.raises(ValueError, match="must be a multiple of"):
            encode(np.ones(shape))


def test_bytes_that_mean_nothing_are_refused():
    with pytest.raises(ValueError, match="E8M0's NaN"):
        fp4.mxfp4_decode(np.full(17, 255, np.uint8))
    with pytest.raises(ValueError, match="blocks of 17, got uint8 of shape \\(16,\\)"):
        fp4.mxfp4_decode(np.zeros(16, np.uint8))
    with pytest.raises(ValueError, match="no E4M3 number"):
        fp4.nvfp4_decode(np.full(36, 127, np.uint8))
    with pytest.raises(ValueError, match="tensor_scale must be positive and finite, got 0"):
        fp4.nvfp4_encode(np.ones(64), 0)
