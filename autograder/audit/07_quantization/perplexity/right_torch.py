"""torch's cross-entropy in float64."""
def perplexity(logits, targets):
    logits, targets = np.asarray(logits, float), np.asarray(targets)
    if len(targets) == 0 or len(targets) != len(logits):
        raise ValueError(f"{len(logits)} rows, {len(targets)} targets")
    if targets.min() < 0 or targets.max() >= logits.shape[1]:
        raise IndexError("no such token")
    rows = np.arange(len(targets))
    import torch

    return torch.nn.functional.cross_entropy(torch.from_numpy(logits), torch.from_numpy(targets)).exp().item()
