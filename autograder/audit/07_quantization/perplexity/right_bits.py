"""Counts in bits throughout: 2 to the mean of log2 is the same perplexity."""
def perplexity(logits, targets):
    logits, targets = np.asarray(logits, float), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows, {len(targets)} targets")
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise IndexError("no such token")
    rows = np.arange(len(targets))
    z = logits - logits.max(1, keepdims=True)
    bits = (np.log(np.exp(z).sum(1)) - z[rows, targets]) / np.log(2)
    return float(2 ** bits.mean())
