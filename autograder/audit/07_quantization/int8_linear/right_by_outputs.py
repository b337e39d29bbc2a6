"""Goes through blocks of outputs instead of groups of inputs."""
def int8_linear(x, q, scales, group_size):
    num_in, num_out = q.shape
    if group_size <= 0 or num_in % group_size != 0:
        raise ValueError(f"groups of {group_size} in {num_in} inputs")
    if x.shape[1] != num_in or scales.shape[0] * group_size != num_in or scales.shape[1] != num_out:
        raise ValueError("x, q and scales do not fit together")
    y = np.empty((len(x), num_out), np.float32)
    for o in range(0, num_out, 8):
        block = q[:, o : o + 8].astype(np.float32) * np.repeat(scales[:, o : o + 8].astype(np.float32), group_size, axis=0)
        y[:, o : o + 8] = x @ block
    return y
