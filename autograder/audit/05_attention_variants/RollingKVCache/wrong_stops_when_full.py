"""Refuses to go on past the window, like the cache of chapter 3."""
class RollingKVCache:

    def __init__(self, n_layers, n_kv_heads, head_dim, window, batch=1, dtype=np.float32):
        self.shape = (n_layers, batch, n_kv_heads, window, head_dim)
        for size in self.shape:
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size} in {self.shape}")
        self.keys = np.empty(self.shape, dtype)
        self.values = np.empty(self.shape, dtype)
        self.counts = [0] * n_layers

    @property
    def length(self):
        return min(self.counts)

    def append(self, layer, k, v):
        n_layers, batch, n_kv_heads, window, head_dim = self.shape
        if not 0 <= layer < n_layers:
            raise IndexError(f"layer {layer} of a cache with {n_layers} layers")
        num_new = k.shape[-2]
        want = (batch, n_kv_heads, num_new, head_dim)
        has_batch = batch > 1 or k.ndim == 4
        if k.shape != want[not has_batch :] or v.shape != want[not has_batch :]:
            raise ValueError(f"k and v must be {want}, got {k.shape} and {v.shape}")
        count = self.counts[layer]
        if count + num_new > window:
            raise ValueError('full')
        old = np.arange(max(0, count - window + 1), count) % window
        kept = min(num_new, window)
        slots = np.arange(count + num_new - kept, count + num_new) % window
        seen = []
        for store, new in ((self.keys[layer], k), (self.values[layer], v)):
            new = new.reshape(want).astype(store.dtype)
            seen.append(np.concatenate([store[:, :, old], new], axis=2))
            store[:, :, slots] = new[:, :, num_new - kept :]
        self.counts[layer] = count + num_new
        return tuple(seen) if has_batch else (seen[0][0], seen[1][0])
