"""Takes the size of the weights for that of the activations."""
def awq_scale_search(w, x, bits, group_size):
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"x has {x.shape[1]} columns")
    size = np.maximum(np.abs(w).mean(1), 1e-4)
    best = None
    for alpha in np.arange(21) / 20:
        s = size**alpha
        s = s / np.sqrt(s.max() * s.min())
        error = np.linalg.norm(x @ w - (x / s) @ fake_quantize(w * s[:, None], bits, group_size))
        if best is None or error < best[0]:
            best = error, s
    return best[1]
