"""Builds its cache from a base class in a free cell, with slots and properties.

answers: kv_bytes_per_token
score: kv_bytes_per_token=3 KVCache=6
note: -
"""
# %%
class Store:
    __slots__ = ("data", "held")

    def __init__(self, layers, heads, dim, room, batch, dtype):
        for size in (layers, heads, dim, room, batch):
            if size < 1:
                raise ValueError(f"a size of {size} makes no sense")
        self.data = np.zeros((2, layers, batch, heads, room, dim), dtype)
        self.held = [0] * layers
# %% KVCache
class KVCache(Store):
    def __init__(self, n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32):
        super().__init__(n_layers, n_kv_heads, head_dim, max_tokens, batch, dtype)

    length = property(lambda self: min(self.held))

    def append(self, layer, k, v):
        _, layers, batch, heads, room, dim = self.data.shape
        if layer not in range(layers):
            raise IndexError(layer)
        flat = batch == 1 and k.ndim == 3
        want = (heads, k.shape[-2], dim) if flat else (batch, heads, k.shape[-2], dim)
        start, end = self.held[layer], self.held[layer] + k.shape[-2]
        if k.shape != want or v.shape != want or end > room:
            raise ValueError(f"{k.shape}, {v.shape} do not fit behind {start} of {room}")
        self.data[0, layer, ..., start:end, :], self.data[1, layer, ..., start:end, :] = k, v
        self.held[layer] = end
        keys, values = self.data[:, layer, ..., :end, :]
        return (keys[0], values[0]) if flat else (keys, values)
