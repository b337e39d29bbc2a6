"""Sorts and scatters with torch."""


def top_p_filter(logits, p):
    import torch

    if not 0 < p <= 1:
        raise ValueError(f"p={p}")
    x = torch.tensor(np.asarray(logits, dtype=float))
    if p == 1:
        return x.numpy()
    z, order = x.sort(dim=-1, descending=True, stable=True)
    q = z.softmax(-1)
    z = z.masked_fill(q.cumsum(-1) - q >= p, float("-inf"))
    return torch.empty_like(x).scatter_(-1, order, z).numpy()
