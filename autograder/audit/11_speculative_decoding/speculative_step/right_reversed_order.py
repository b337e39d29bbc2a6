"""Lays the tokens from the last to the first, in torch."""
def speculative_step(p, q, draft_tokens, rng):
    tokens = [int(t) for t in draft_tokens]
    target, drafted = torch.as_tensor(np.array(p)).double(), torch.as_tensor(np.array(q)).double()
    if target.shape[0] != len(tokens) + 1 or drafted.shape[0] != len(tokens):
        raise ValueError("one row of p more than drafts, one row of q for each")
    kept = 0
    while kept < len(tokens):
        x = tokens[kept]
        if rng.random() >= (target[kept, x] / drafted[kept, x]).item():
            break
        kept += 1
    weights = target[kept]
    if kept < len(tokens):
        residual = (target[kept] - drafted[kept]).clamp(min=0)
        weights = residual if residual.max() > 0 else weights
    order = [t for t in reversed(range(len(weights))) if weights[t] > 0]
    left = rng.random() * weights.sum().item()
    for t in order:
        if left < weights[t].item():
            return tokens[:kept] + [t]
        left -= weights[t].item()
    return tokens[:kept] + [order[-1]]
