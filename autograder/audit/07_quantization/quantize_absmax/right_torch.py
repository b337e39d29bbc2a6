"""Uses torch's rounding."""
def quantize_absmax(w, bits=8):
    import torch

    if bits < 2 or bits > 8:
        raise ValueError(f"{bits} bits")
    t = torch.from_numpy(np.asarray(w, dtype=np.float64))
    scale = t.abs().max().item() / (2 ** (bits - 1) - 1)
    scale = scale if scale > 0 else 1e-8
    return torch.round(t / scale).to(torch.int8).numpy(), scale
