"""Takes the threshold from torch.topk."""


def top_k_filter(logits, k):
    import torch

    if k < 1:
        raise ValueError(f"bad k: {k}")
    x = torch.tensor(np.asarray(logits, dtype=float))
    bar = x.topk(min(k, x.shape[-1]), dim=-1).values[..., -1:]
    return x.masked_fill(x < bar, float("-inf")).numpy()
