"""One array per layer and kind in a list, and the count of the last layer as the length."""
class KVCache:
    def __init__(self, n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32):
        for name, size in dict(n_layers=n_layers, heads=n_kv_heads, dim=head_dim, max_tokens=max_tokens, batch=batch).items():
            if size <= 0:
                raise ValueError(f"{name} = {size}")
        make = lambda: np.empty((batch, n_kv_heads, max_tokens, head_dim), dtype=dtype)
        self.layers = [{"k": make(), "v": make(), "used": 0} for _ in range(n_layers)]
        self.max_tokens = max_tokens

    @property
    def length(self):
        return self.layers[-1]["used"]

    def append(self, layer, k, v):
        if layer < 0:
            raise IndexError(layer)
        store = self.layers[layer]
        flat = np.ndim(k) == 3
        if np.shape(k) != np.shape(v):
            raise ValueError("k and v differ in shape")
        if flat:
            k, v = k[np.newaxis], v[np.newaxis]
        used, new = store["used"], k.shape[2]
        if k.shape[:2] + k.shape[3:] != store["k"].shape[:2] + store["k"].shape[3:]:
            raise ValueError(f"shape {k.shape} does not belong into {store['k'].shape}")
        if used + new > self.max_tokens:
            raise ValueError(f"{used} + {new} tokens are more than {self.max_tokens}")
        for name, rows in (("k", k), ("v", v)):
            np.copyto(store[name][:, :, used : used + new], rows, casting="same_kind")
        store["used"] = used + new
        views = tuple(store[name][:, :, : used + new] for name in "kv")
        return tuple(view[0] for view in views) if flat else views
