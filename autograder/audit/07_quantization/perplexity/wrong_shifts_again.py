"""Shifts once more: row i is compared with the target of row i + 1."""
def perplexity(logits, targets):
    logits, targets = np.asarray(logits, float), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows, {len(targets)} targets")
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise IndexError("no such token")
    rows = np.arange(len(targets))
    z = logits - logits.max(1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(1, keepdims=True))
    return float(np.exp(-log_p[rows[:-1], targets[1:]].mean())) if len(rows) > 1 else float(np.exp(-log_p[0, targets[0]]))
