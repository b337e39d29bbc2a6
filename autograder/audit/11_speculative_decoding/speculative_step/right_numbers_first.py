"""Takes all its numbers at the start and counts the accepted drafts."""
def speculative_step(p, q, draft_tokens, rng):
    draft = np.asarray(draft_tokens, dtype=int)
    k = len(draft)
    p, q = np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64)
    if p.shape[0] != k + 1 or q.shape[0] != k:
        raise ValueError("rows and drafts do not fit")
    u = np.array([rng.random() for _ in range(k + 1)])
    ok = u[:k] * q[np.arange(k), draft] < p[np.arange(k), draft] if k else np.zeros(0, bool)
    n = k if ok.all() else int(np.argmin(ok))
    weights = p[n] if n == k else np.clip(p[n] - q[n], 0, None)
    if not weights.sum() > 0:
        weights = p[n]
    possible = np.flatnonzero(weights > 0)
    edges = np.cumsum(weights[possible])
    chosen = possible[min(int((edges <= u[k] * edges[-1]).sum()), len(possible) - 1)]
    return draft[:n].tolist() + [int(chosen)]
