"""Remembers where each n-gram ended last."""
def ngram_draft(ids, n, k):
    if n <= 0:
        raise ValueError(f"n = {n}")
    if k < 0:
        raise ValueError(f"k = {k}")
    ids = list(map(int, ids))
    seen = {}
    for end in range(n, len(ids)):
        seen[tuple(ids[end - n : end])] = end
    end = seen.get(tuple(ids[-n:])) if len(ids) > n else None
    return [] if end is None else ids[end : min(end + k, len(ids))]
