"""Shifts the kept rows to the front in place of a ring."""
class RollingKVCache:
    def __init__(self, n_layers, n_kv_heads, head_dim, window, batch=1, dtype=np.float32):
        for name, size in dict(n_layers=n_layers, heads=n_kv_heads, dim=head_dim, window=window, batch=batch).items():
            if size <= 0:
                raise ValueError(f"{name}={size}")
        self.need = (batch, n_kv_heads, head_dim)
        self.window = window
        self.rows = [np.zeros((2, batch, n_kv_heads, 0, head_dim), dtype) for _ in range(n_layers)]
        self.seen = [0] * n_layers

    @property
    def length(self):
        return self.seen[-1]

    def append(self, layer, k, v):
        if layer < 0:
            raise IndexError(f"layer {layer}")
        held = self.rows[layer]
        flat = k.ndim == 3
        if flat and self.need[0] > 1 or k.shape != v.shape:
            raise ValueError(f"{k.shape} and {v.shape}")
        new = np.stack([k, v])
        new = (new[:, None] if flat else new).astype(held.dtype)
        if (new.shape[1], new.shape[2], new.shape[4]) != self.need:
            raise ValueError(f"shape {k.shape}")
        past = held[:, :, :, max(0, held.shape[3] - self.window + 1) :]
        everything = np.concatenate([past, new], axis=3)
        self.rows[layer] = everything[:, :, :, max(0, everything.shape[3] - self.window) :].copy()
        self.seen[layer] += k.shape[-2]
        keys, values = everything[:, 0] if flat else everything
        return keys, values
