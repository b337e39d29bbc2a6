"""One array with the token axis first, handed out through transposed views; keys and values side by side."""
class KVCache:
    def __init__(self, n_layers, n_kv_heads, head_dim, max_tokens, batch=1, dtype=np.float32):
        for size in (n_layers, n_kv_heads, head_dim, max_tokens, batch):
            if size < 1:
                raise ValueError(f"a size below 1: {size}")
        self.data = np.zeros((n_layers, 2, max_tokens, batch, n_kv_heads, head_dim), dtype)
        self.used = np.zeros(n_layers, dtype=int)

    @property
    def length(self):
        return int(self.used.min())

    def append(self, layer, k, v):
        n_layers, _, max_tokens, batch, heads, dim = self.data.shape
        if layer not in range(n_layers):
            raise IndexError(f"no layer {layer}")
        three = k.ndim == 3 and batch == 1
        new = k.shape[-2]
        for array in (k, v):
            if array.shape != ((heads, new, dim) if three else (batch, heads, new, dim)):
                raise ValueError(f"wrong shape {array.shape}")
        start = int(self.used[layer])
        if start + new > max_tokens:
            raise ValueError(f"room for {max_tokens} tokens, {start + new} asked for")
        for i, array in enumerate((k, v)):
            for token in range(new):
                self.data[layer, i, start + token] = array[..., token, :]
        self.used[layer] += new
        keys, values = self.data[layer, :, : start + new].transpose(0, 2, 3, 1, 4)
        return (keys[0], values[0]) if three else (keys, values)
