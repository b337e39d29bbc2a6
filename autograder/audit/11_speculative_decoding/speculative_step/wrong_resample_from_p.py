"""Draws the replacement from p instead of the residual."""
def speculative_step(p, q, draft_tokens, rng):
    """Judge a draft: the accepted tokens, then a replacement or a bonus token; distributed as the target's own.

    p: target distributions [k + 1, V]. q: draft distributions [k, V]. draft_tokens: k ints. rng: has random(), uniform
    in [0, 1). Returns a list of 1 to k + 1 ints. Raises ValueError when the rows of p or q do not fit the draft.
    """
    k = len(draft_tokens)
    if len(p) != k + 1 or len(q) != k:
        raise ValueError(f"{k} drafted tokens need {k + 1} rows of p and {k} of q, got {len(p)} and {len(q)}")

    def draw(weights):
        cumulative = np.cumsum(weights)
        token = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        return int(min(token, np.flatnonzero(weights)[-1]))

    for i, token in enumerate(draft_tokens):
        if rng.random() * q[i][token] < p[i][token]:
            continue
        residual = np.maximum(np.subtract(p[i], q[i]), 0.0)
        return [*draft_tokens[:i], draw(p[i])]
    return [*draft_tokens, draw(p[k])]
