"""torch's layer_norm in float32 or wider"""
import numpy as np
import torch


def layer_norm(x, weight, bias, eps):
    x = np.asarray(x)
    kind = np.float32 if x.dtype == np.float16 else x.dtype if x.dtype.kind == "f" else np.float64
    args = [torch.tensor(np.asarray(a).astype(kind)) for a in (x, weight, bias)]
    out = torch.nn.functional.layer_norm(args[0], (x.shape[-1],), args[1], args[2], eps).numpy()
    return out.astype(x.dtype if x.dtype.kind == "f" else np.float64)
