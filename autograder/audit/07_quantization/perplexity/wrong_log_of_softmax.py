"""Takes the logarithm of a softmax that has underflowed to 0."""
def perplexity(logits, targets):
    logits, targets = np.asarray(logits, float), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows, {len(targets)} targets")
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise IndexError("no such token")
    rows = np.arange(len(targets))
    z = logits - logits.max(1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(1, keepdims=True)
    with np.errstate(all="ignore"):
        return float(np.exp(-np.log(p[rows, targets]).mean()))
