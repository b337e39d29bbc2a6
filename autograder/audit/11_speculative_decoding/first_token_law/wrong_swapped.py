"""Takes p for the draft and q for the target."""
def first_token_law(p, q):
    """Exact probabilities of one speculative step with one draft: (accepted [V], resampled [V]), together p.

    p: target distribution [V]. q: draft distribution [V]. Raises ValueError when the shapes differ.
    """
    p, q = np.asarray(p), np.asarray(q)
    if p.shape != q.shape:
        raise ValueError(f"p has shape {p.shape}, q {q.shape}")
    return np.minimum(p, q), np.maximum(q - p, 0.0)
