"""torch's silu"""
import numpy as np
import torch


def swiglu(x, w_gate, w_up, w_down):
    x, w_gate, w_up, w_down = (torch.tensor(a) for a in (x, w_gate, w_up, w_down))
    return ((torch.nn.functional.silu(x @ w_gate) * (x @ w_up)) @ w_down).numpy()
