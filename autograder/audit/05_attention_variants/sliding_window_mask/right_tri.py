"""The difference of two triangles."""
def sliding_window_mask(n, window):
    if min(n, window) <= 0:
        raise ValueError(f"not positive: {min(n, window)}")
    return np.tri(n, dtype=bool) & ~np.tri(n, k=-window, dtype=bool)
