"""Sums over the rows instead of the mean."""
def kl_and_agreement(reference, logits):
    if np.shape(reference) != np.shape(logits) or len(logits) == 0:
        raise ValueError("shapes differ or are empty")
    a, b = np.asarray(reference, float), np.asarray(logits, float)
    a, b = a - a.max(1, keepdims=True), b - b.max(1, keepdims=True)
    log_p, log_q = a - np.log(np.exp(a).sum(1, keepdims=True)), b - np.log(np.exp(b).sum(1, keepdims=True))
    same = float((a.argmax(1) == b.argmax(1)).mean())
    return float((np.exp(log_p) * (log_p - log_q)).sum()), same
