"""What stands between the products: RMSNorm, RoPE, SwiGLU, and the exponential that they and softmax need."""

import numpy as np

from mini_engine.cpu.compiler import kernel
from mini_engine.cpu.lanes import floor, fma, fold, load, maximum, minimum, splat, store, two_to

WIDTH = 16  # lanes of what works along a row; a row's length is padded with zeros to a multiple

# exp(x) = 2**n * exp(r) with |r| <= ln(2) / 2, ln(2) in two parts so that r is exact enough, and exp(r) by a
# polynomial. Constants of Cephes' expf (Moshier, netlib.org/cephes), good to 2 units in the last place of float32.
LOG2_E, LN2_HIGH, LN2_LOW = np.float32(1.44269504088896341), np.float32(-0.693359375), np.float32(2.12194440e-4)
TERMS = tuple(
    np.float32(c) for c in (1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5)
)
LOWEST, HIGHEST = np.float32(-87.3), np.float32(88.3)  # beyond, the result is no normal float


@kernel
def exponential(x):
    """e ** x of a vector of WIDTH floats; x is first clipped to the range of normal floats."""
    one = splat(np.float32(1), WIDTH)
    x = minimum(maximum(x, splat(LOWEST, WIDTH)), splat(HIGHEST, WIDTH))
    n = floor(fma(x, splat(LOG2_E, WIDTH), splat(np.float32(0.5), WIDTH)))
    r = fma(n, splat(LN2_LOW, WIDTH), fma(n, splat(LN2_HIGH, WIDTH), x))
    y = splat(TERMS[0], WIDTH)
    y = fma(y, r, splat(TERMS[1], WIDTH))
    y = fma(y, r, splat(TERMS[2], WIDTH))
    y = fma(y, r, splat(TERMS[3], WIDTH))
    y = fma(y, r, splat(TERMS[4], WIDTH))
    y = fma(y, r, splat(TERMS[5], WIDTH))
    return fma(y * r, r, r + one) * two_to(n)


@kernel
def rms_norm(x, weight, size, eps, out):
    """out = x / sqrt(mean(x^2) + eps) * weight for one row of `size` floats; all three are padded with zeros."""
    squares = splat(np.float32(0), WIDTH)
    for i in range(0, len(weight), WIDTH):
        v = load(x, i, WIDTH)
        squares = fma(v, v, squares)
    mean = fold(squares, False) / np.float32(size)
    factor = splat(np.float32(1) / np.sqrt(mean + eps), WIDTH)
    for i in range(0, len(weight), WIDTH):
        store(out, i, load(x, i, WIDTH) * factor * load(weight, i, WIDTH))


@kernel
def swiglu(gate_up, out):
    """out = silu(gate) * up for one row; gate and up lie one after the other. out may be where gate lies."""
    half = len(gate_up) // 2
    one, zero = splat(np.float32(1), WIDTH), splat(np.float32(0), WIDTH)
    for i in range(0, half, WIDTH):
        gate = load(gate_up, i, WIDTH)
        store(out, i, gate / (one + exponential(zero - gate)) * load(gate_up, half + i, WIDTH))


@kernel
def rope(heads, num_heads, head_dim, cos, sin):
    """Turn the pairs (i, i + D/2) of the first num_heads heads of one row in place. cos, sin: [D/2] of its position."""
    half = head_dim // 2
    for head in range(num_heads):
        for i in range(half):
            a, b = heads[head * head_dim + i], heads[head * head_dim + half + i]
            heads[head * head_dim + i] = a * cos[i] - b * sin[i]
            heads[head * head_dim + half + i] = b * cos[i] + a * sin[i]
