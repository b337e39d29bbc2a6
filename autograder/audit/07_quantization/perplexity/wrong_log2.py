"""Averages log2 and raises e to it."""
def perplexity(logits, targets):
    logits, targets = np.asarray(logits, float), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows, {len(targets)} targets")
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise IndexError("no such token")
    rows = np.arange(len(targets))
    z = logits - logits.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    return float(np.exp(-np.log2(p[rows, targets]).mean()))
