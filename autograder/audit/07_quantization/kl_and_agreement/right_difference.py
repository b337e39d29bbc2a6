"""Cross-entropy minus entropy, row by row."""
def kl_and_agreement(reference, logits):
    if np.shape(reference) != np.shape(logits) or len(logits) == 0:
        raise ValueError("shapes differ or are empty")
    a, b = np.asarray(reference, float), np.asarray(logits, float)
    a, b = a - a.max(1, keepdims=True), b - b.max(1, keepdims=True)
    log_p, log_q = a - np.log(np.exp(a).sum(1, keepdims=True)), b - np.log(np.exp(b).sum(1, keepdims=True))
    same = float((a.argmax(1) == b.argmax(1)).mean())
    p = np.exp(log_p)
    rows = [float(-(p[i] @ log_q[i]) + p[i] @ log_p[i]) for i in range(len(p))]
    return sum(rows) / len(rows), same
