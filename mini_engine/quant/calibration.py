"""AWQ and GPTQ for the matrices of a real model: rounding that looks at activations (torch; the exercise is in NumPy).

Both work from sums over a calibration text, so no activations are kept: H = X'X / N [in, in] and the mean |x| [in].
The weights that come back are dequantized, for measuring quality.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mini_engine.layers import Linear
from mini_engine.quant.arrays import fake_quantize

GPTQ_BLOCK = 128


@dataclass
class InputStatistics:
    """What a linear layer's inputs were like on a text: `hessian` [in, in] and `mean_abs` [in], float32, averaged."""

    hessian: torch.Tensor
    mean_abs: torch.Tensor
    num_rows: int = 0

    def add(self, x):
        """Take in rows x [..., in]."""
        rows = x.reshape(-1, x.shape[-1]).float()
        total = self.num_rows + len(rows)
        self.hessian.mul_(self.num_rows / total).addmm_(rows.T, rows, alpha=1 / total)
        self.mean_abs.mul_(self.num_rows / total).add_(rows.abs().sum(0), alpha=1 / total)
        self.num_rows = total


@torch.inference_mode()
def collect_statistics(model, windows):
    """{name of the linear layer: InputStatistics} of an engine model run over windows of ids [N]; not of the head."""
    statistics, hooks = {}, []
    for name, module in model.named_modules():
        if isinstance(module, Linear) and name != "lm_head":
            num_in = module.weight.shape[0]
            statistics[name] = InputStatistics(torch.zeros(num_in, num_in), torch.zeros(num_in))
            hooks.append(module.register_forward_pre_hook(lambda _module, args, s=statistics[name]: s.add(args[0])))
    try:
        for ids in windows:
            model.hidden_states(torch.as_tensor(ids)[None])
    finally:
        for hook in hooks:
            hook.remove()
    return statistics


def round_groups(w, bits, group_size, symmetric=True):
    """w [in, out] rounded and dequantized; unlike fake_quantize it allows a shorter last group."""
    padded = np.pad(w, ((0, -len(w) % group_size), (0, 0)), mode="edge")
    return fake_quantize(padded, bits, group_size, symmetric)[: len(w)]


def awq(w, statistics, bits, group_size, symmetric=True, num_steps=10):
    """w [in, out] rounded after its rows are scaled by a power of the mean activation, then unscaled (2306.00978, 3.2).

    The power, of num_steps + 1 from 0 to 1, is the one with the least output error tr(D' H D), D the weight error.
    Folding the scales into the layer before is left out: the numbers are the same.
    """
    size = statistics.mean_abs.clamp_min(1e-4).numpy()
    best, best_error = None, np.inf
    for alpha in np.linspace(0, 1, num_steps + 1):
        s = (size**alpha / np.sqrt((size**alpha).max() * (size**alpha).min()))[:, None].astype(np.float32)
        w_hat = round_groups(w * s, bits, group_size, symmetric) / s
        lost = torch.from_numpy(w_hat - w)
        error = float(((statistics.hessian @ lost) * lost).sum())
        if error < best_error:
            best, best_error = w_hat, error
    return best


def gptq(w, statistics, bits, group_size, symmetric=True, damp=0.01):
    """w [in, out] rounded input by input, each error moved into the rows behind (2210.17323, algorithm 1).

    Statistics are those of the float model, damping is a share of the mean diagonal, the order is that of the rows.
    """
    w = torch.from_numpy(np.array(w, dtype=np.float32))
    hessian = statistics.hessian.double().clone()
    diagonal = hessian.diagonal()
    diagonal[diagonal == 0] = 1
    diagonal += damp * diagonal.mean()
    upper = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(hessian)), upper=True).float()
    w_hat, num_in = torch.empty_like(w), len(w)
    for start in range(0, num_in, GPTQ_BLOCK):
        end = min(start + GPTQ_BLOCK, num_in)
        errors = torch.empty(end - start, w.shape[1])
        for i in range(start, end):
            if i % group_size == 0:
                lowest, step, last = grid_of(w[i : i + group_size], bits, symmetric)
            steps = torch.clamp(torch.round((w[i] - lowest) / step), -last if symmetric else 0, last)
            w_hat[i] = steps * step + lowest
            errors[i - start] = (w[i] - w_hat[i]) / upper[i, i]
            w[i + 1 : end].addr_(upper[i, i + 1 : end], errors[i - start], alpha=-1)
        w[end:].addmm_(upper[start:end, end:].T, errors, alpha=-1)
    return w_hat.numpy()


def grid_of(rows, bits, symmetric):
    """(lowest, step, last integer) of one group's grid for every output, rounded to float16 as they are stored."""
    if symmetric:
        last, lowest = 2 ** (bits - 1) - 1, torch.zeros(rows.shape[1])
        step = rows.abs().amax(dim=0) / last
    else:
        last, lowest = 2**bits - 1, rows.amin(dim=0).half().float()
        step = (rows.amax(dim=0) - rows.amin(dim=0)) / last
    step = step.half().float()
    return lowest, torch.where(step == 0, torch.ones_like(step), step), last
