"""reverses the odd columns"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    new = []
    for start in range(0, num_columns, head_dim):
        head = w[:, start : start + head_dim]
        new += [head[:, 0::2], head[:, 1::2][:, ::-1]]
    return np.concatenate(new, axis=1)
