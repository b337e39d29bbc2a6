"""A NumPy table of requests and steps, summed over the requests."""
def active_counts(remaining):
    left = np.array(remaining, dtype=int)
    if (left < 0).any():
        raise ValueError(f"negative: {left.min()}")
    if not left.size:
        return []
    return (left[:, None] > np.arange(left.max())).sum(axis=0).tolist()
