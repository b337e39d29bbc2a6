"""a list of column numbers"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    order = []
    for start in range(0, num_columns, head_dim):
        order += list(range(start, start + head_dim, 2)) + list(range(start + 1, start + head_dim, 2))
    return w[:, order]
