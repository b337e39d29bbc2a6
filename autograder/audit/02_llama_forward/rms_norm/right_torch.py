"""torch's rms_norm in float32 or wider"""
import numpy as np
import torch


def rms_norm(x, weight, eps):
    x = np.asarray(x)
    wide = torch.tensor(x.astype(np.float32 if x.dtype == np.float16 else x.dtype if x.dtype.kind == "f" else np.float64))
    out = torch.nn.functional.rms_norm(wide, (x.shape[-1],), torch.tensor(np.asarray(weight)).to(wide.dtype), eps)
    return out.numpy().astype(x.dtype if x.dtype.kind == "f" else np.float64)
