"""NumPy's sliding windows."""
def ngram_draft(ids, n, k):
    if n < 1 or k < 0:
        raise ValueError(f"n={n}, k={k}")
    ids = np.asarray(ids, dtype=np.int64)
    if len(ids) <= n:
        return []
    windows = np.lib.stride_tricks.sliding_window_view(ids[:-1], n)
    hits = np.flatnonzero((windows == ids[-n:]).all(axis=1))
    return ids[hits[-1] + n :][:k].tolist() if hits.size else []
