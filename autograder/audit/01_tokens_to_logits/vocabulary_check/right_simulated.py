"""the numbers counted by running the loop"""
import numpy as np


def vocabulary_check():
    sizes = []
    ids = [0] * 8
    for _ in range(5):
        sizes.append(len(ids))
        ids.append(0)
    return {
        "token": "c",
        "embedding": "a",
        "logits": "d",
        "autoregressive": "b",
        "where": "c",
        "embedded_shape": np.broadcast_to(np.float32(0), (sizes[0], 4096)).shape,
        "logits_shape": np.broadcast_to(np.float32(0), (sizes[0], 32000)).shape,
        "rows_used": 1,
        "num_passes": len(sizes),
        "last_pass_tokens": sizes[-1],
    }
