"""Gives 0 and minus infinity to add, not booleans."""
def sliding_window_mask(n, window):
    for count in (n, window):
        if count < 1:
            raise ValueError(f"n and window must be at least 1, got {count}")
    query, key = np.arange(n)[:, None], np.arange(n)
    return np.where((key <= query) & (query - window < key), 0.0, -np.inf)
