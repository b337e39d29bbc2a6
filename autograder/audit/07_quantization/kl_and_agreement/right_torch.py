"""torch's kl_div on log-probabilities."""
def kl_and_agreement(reference, logits):
    import torch

    p, q = (torch.tensor(np.asarray(z), dtype=torch.float64).log_softmax(1) for z in (reference, logits))
    if p.shape != q.shape or not len(p):
        raise ValueError(f"{tuple(p.shape)} against {tuple(q.shape)}")
    kl = torch.nn.functional.kl_div(q, p, reduction="batchmean", log_target=True)
    return kl.item(), (p.argmax(1) == q.argmax(1)).double().mean().item()
