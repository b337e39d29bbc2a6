"""The lazy form of the paper's algorithm: finishes a group first, then updates everything behind it in one product."""
def gptq_quantize(w, x, bits, group_size, damp=0.01):
    num_in, num_out = w.shape
    if bits not in range(2, 9):
        raise ValueError("bits=" + str(bits))
    if group_size <= 0 or num_in % group_size != 0:
        raise ValueError("group_size=" + str(group_size))
    if x.shape[1] != num_in:
        raise ValueError("x has width " + str(x.shape[1]))
    if damp < 0:
        raise ValueError("damp=" + str(damp))
    import torch

    work = torch.tensor(np.asarray(w), dtype=torch.float64)
    acts = torch.tensor(np.asarray(x), dtype=torch.float64)
    h = acts.T @ acts
    idle = torch.diagonal(h) == 0
    h[idle, idle] = 1
    h += torch.eye(num_in, dtype=torch.float64) * damp * torch.diagonal(h).mean()
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    last = 2 ** (bits - 1) - 1
    qs, all_scales = [], []
    for start in range(0, num_in, group_size):
        block = work[start : start + group_size].clone()
        errors = torch.zeros_like(block)
        scale = (block.abs().amax(0) / last).half()
        scale[scale == 0] = 1
        all_scales.append(scale.numpy())
        step = scale.double()
        factor = upper[start : start + group_size, start : start + group_size]
        for i in range(group_size):
            row = torch.round(block[i] / step).clamp(-last, last)
            qs.append(row.to(torch.int8).numpy())
            errors[i] = (block[i] - row * step) / factor[i, i]
            block[i + 1 :] -= factor[i, i + 1 :, None] * errors[i]
        work[start + group_size :] -= upper[start : start + group_size, start + group_size :].T @ errors
    return np.array(qs), np.array(all_scales)
