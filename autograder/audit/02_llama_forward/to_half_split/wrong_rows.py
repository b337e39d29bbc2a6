"""reorders the rows"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    if num_rows % head_dim:
        return w.copy()
    pairs = w.reshape(-1, head_dim // 2, 2, num_columns)
    return pairs.swapaxes(1, 2).reshape(num_rows, num_columns).copy()
