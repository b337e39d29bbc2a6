"""Loops over groups and outputs."""
def quantize_groups(w, bits, group_size, symmetric=True):
    if bits < 2 or bits > 8 or group_size <= 0 or len(w) % group_size != 0:
        raise ValueError(f"cannot use {bits} bits in groups of {group_size}")
    num_groups, num_out = len(w) // group_size, w.shape[1]
    q = np.zeros(w.shape, np.int8 if symmetric else np.uint8)
    scales = np.ones((num_groups, num_out), np.float16)
    zeros = None if symmetric else np.zeros((num_groups, num_out), np.uint8)
    for g in range(num_groups):
        for o in range(num_out):
            rows = slice(g * group_size, g * group_size + group_size)
            column = w[rows, o].astype(float)
            if symmetric:
                least, most = -(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1
                scale = np.float16(max(abs(column)) / most)
            else:
                least, most = 0, 2**bits - 1
                scale = np.float16((max(column.max(), 0) - min(column.min(), 0)) / most)
            if scale == 0:
                scale = np.float16(0.5)
            z = 0
            if not symmetric:
                z = zeros[g, o] = min(round(-min(column.min(), 0) / float(scale)), most)
            scales[g, o] = scale
            for i, v in enumerate(column):
                q[g * group_size + i, o] = min(max(round(v / float(scale)) + int(z), least), most)
    return q, scales, zeros
