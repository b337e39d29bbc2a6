"""A deque of tokens per layer, which drops the oldest by itself."""
from collections import deque
class RollingKVCache:
    def __init__(self, n_layers, n_kv_heads, head_dim, window, batch=1, dtype=np.float32):
        sizes = (n_layers, n_kv_heads, head_dim, window, batch)
        if min(sizes) < 1:
            raise ValueError(f"sizes {sizes}")
        self.layers = [deque(maxlen=window) for _ in range(n_layers)]
        self.counts = np.zeros(n_layers, int)
        self.batch, self.heads, self.dim, self.window, self.dtype = batch, n_kv_heads, head_dim, window, dtype

    @property
    def length(self):
        return int(self.counts.min())

    def append(self, layer, k, v):
        if not 0 <= layer < len(self.layers):
            raise IndexError(layer)
        lead = (self.batch,) if k.ndim == 4 or self.batch > 1 else ()
        for array in (k, v):
            if array.shape != (*lead, self.heads, k.shape[-2], self.dim):
                raise ValueError(f"{array.shape}")
        past = list(self.layers[layer])
        past = past[max(0, len(past) - self.window + 1) :]
        new = [(k[..., t, :].astype(self.dtype), v[..., t, :].astype(self.dtype)) for t in range(k.shape[-2])]
        self.layers[layer].extend(new)
        self.counts[layer] += len(new)
        shape = (*lead, self.heads, 0, self.dim)
        stack = lambda i: np.stack([pair[i] for pair in past + new], axis=-2) if past + new else np.zeros(shape, self.dtype)
        return stack(0).reshape(*lead, self.heads, -1, self.dim), stack(1).reshape(*lead, self.heads, -1, self.dim)
