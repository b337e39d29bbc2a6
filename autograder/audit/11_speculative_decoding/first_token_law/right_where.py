"""Selects by comparison."""
def first_token_law(p, q):
    p, q = np.array(p, float), np.array(q, float)
    if p.shape != q.shape:
        raise ValueError(f"shapes {p.shape} and {q.shape}")
    accepted = np.where(p < q, p, q)
    return accepted, p - accepted
