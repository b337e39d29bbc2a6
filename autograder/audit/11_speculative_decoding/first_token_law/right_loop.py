"""Token by token, as the rule says."""
def first_token_law(p, q):
    if len(p) != len(q):
        raise ValueError(f"{len(p)} and {len(q)} tokens")
    accepted, residual = [], []
    for a, b in zip(p, q):
        accepted.append(b * min(1, a / b) if b > 0 else 0.0)
        residual.append(max(a - b, 0.0))
    total = sum(residual)
    refused = 1 - sum(accepted)
    return np.array(accepted), np.array([refused * r / total if total else 0.0 for r in residual])
