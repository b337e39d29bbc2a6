"""Gives the chance to accept a token once it is drafted."""
def first_token_law(p, q):
    """Exact probabilities of one speculative step with one draft: (accepted [V], resampled [V]), together p.

    p: target distribution [V]. q: draft distribution [V]. Raises ValueError when the shapes differ.
    """
    p, q = np.asarray(p), np.asarray(q)
    if p.shape != q.shape:
        raise ValueError(f"p has shape {p.shape}, q {q.shape}")
    return np.minimum(1, p / np.where(q > 0, q, 1)), np.maximum(p - q, 0.0)
