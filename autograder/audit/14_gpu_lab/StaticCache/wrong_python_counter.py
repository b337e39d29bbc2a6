"""Counts tokens in a Python integer: a recording writes every token into the row of the first."""


class StaticCache(Replayable):
    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        self.config, self.max_tokens, self.batch, self.dtype = config, max_tokens, batch, dtype
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.length = 0

    def positions(self, num_new):
        return torch.arange(self.length, self.length + num_new, device=self.k.device).expand(self.batch, num_new)

    def update(self, layer, k, v):
        end = self.length + k.shape[2]
        self.k[layer, :, :, self.length : end] = k
        self.v[layer, :, :, self.length : end] = v
        rows = torch.arange(self.length, end, device=self.k.device)
        mask = torch.arange(self.max_tokens, device=self.k.device) <= rows[:, None]
        return self.k[layer], self.v[layer], mask[None, None]

    def advance(self, num_new):
        self.length += num_new
        self.position += num_new
