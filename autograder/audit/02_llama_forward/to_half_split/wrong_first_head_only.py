"""reorders the first head only"""


def to_half_split(w, head_dim):
    num_rows, num_columns = w.shape
    if head_dim < 2 or head_dim % 2 or num_columns % head_dim:
        raise ValueError(f"head_dim must be even and divide the {num_columns} columns, got {head_dim}")
    new = w.copy()
    new[:, :head_dim] = np.concatenate([w[:, 0:head_dim:2], w[:, 1:head_dim:2]], axis=1)
    return new
