"""writes into the caller's array"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    new = w.reshape(num_rows, -1, head_dim // 2, 2).swapaxes(2, 3).reshape(num_rows, num_columns).copy()
    w[...] = new
    return w
