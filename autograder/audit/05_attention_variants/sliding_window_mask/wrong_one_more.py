"""Lets the window count the past only: one token more."""
def sliding_window_mask(n, window):
    for count in (n, window):
        if count < 1:
            raise ValueError(f"n and window must be at least 1, got {count}")
    query, key = np.arange(n)[:, None], np.arange(n)
    return (key <= query) & (query - window <= key)
