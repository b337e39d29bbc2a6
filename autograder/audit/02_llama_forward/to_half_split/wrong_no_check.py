"""accepts a head size that does not fit"""


def to_half_split(w, head_dim):
    order = np.arange(w.shape[1])
    if head_dim > 0 and w.shape[1] % head_dim == 0:
        order = np.concatenate([np.r_[s : s + head_dim : 2, s + 1 : s + head_dim : 2] for s in range(0, w.shape[1], head_dim)])
    return w[:, order]
