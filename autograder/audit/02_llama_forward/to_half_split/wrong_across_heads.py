"""takes all even columns of the matrix first: columns leave their head"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    return np.concatenate([w[:, 0::2], w[:, 1::2]], axis=1)
