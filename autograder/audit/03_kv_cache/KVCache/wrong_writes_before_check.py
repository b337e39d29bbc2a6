"""Writes what fits and only then refuses: a refused append leaves traces."""
class KVCache:

    def __init__(self, n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32):
        self.shape = (n_layers, batch, n_kv_heads, max_tokens, head_dim)
        for size in self.shape:
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size} in {self.shape}")
        self.keys = np.zeros(self.shape, dtype)
        self.values = np.zeros(self.shape, dtype)
        self.counts = [0] * n_layers

    @property
    def length(self):
        return min(self.counts)

    def append(self, layer, k, v):
        n_layers, batch, n_kv_heads, max_tokens, head_dim = self.shape
        if not 0 <= layer < n_layers:
            raise IndexError(f"layer {layer} of a cache with {n_layers} layers")
        num_new = k.shape[-2]
        want = (batch, n_kv_heads, num_new, head_dim)
        if batch == 1 and k.ndim == 3:
            want = want[1:]
        if k.shape != want or v.shape != want:
            raise ValueError(f"k and v must be {want}, got {k.shape} and {v.shape}")
        start, end = self.counts[layer], self.counts[layer] + num_new
        fits = self.keys[layer, :, :, start:end].shape[2]
        self.keys[layer, :, :, start:end] = k[..., :fits, :]
        self.counts[layer] = start + fits
        if end > max_tokens:
            raise ValueError(f"the cache is full: {start} tokens held, {num_new} new, max_tokens is {max_tokens}")
        self.keys[layer, :, :, start:end] = k
        self.values[layer, :, :, start:end] = v
        self.counts[layer] = end
        keys, values = self.keys[layer, :, :, :end], self.values[layer, :, :, :end]
        return (keys, values) if k.ndim == 4 else (keys[0], values[0])
