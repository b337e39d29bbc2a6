"""column by column into a new array"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    new = np.empty_like(w)
    for column in range(num_columns):
        head, inside = divmod(column, head_dim)
        pair, part = divmod(inside, 2)
        new[:, head * head_dim + part * (head_dim // 2) + pair] = w[:, column]
    return new
