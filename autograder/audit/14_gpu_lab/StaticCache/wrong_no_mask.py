"""Returns no mask: tokens look at rows that hold nothing."""


class StaticCache(Replayable):
    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        self.config, self.max_tokens, self.batch, self.dtype = config, max_tokens, batch, dtype
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros(shape, dtype=dtype, device=device)
        self.position = torch.zeros(1, dtype=torch.long, device=device)

    def positions(self, num_new):
        return (self.position + torch.arange(num_new, device=self.k.device)).expand(self.batch, num_new)

    def update(self, layer, k, v):
        rows = self.position + torch.arange(k.shape[2], device=self.k.device)
        self.k[layer].index_copy_(2, rows, k)
        self.v[layer].index_copy_(2, rows, v)
        mask = torch.arange(self.max_tokens, device=self.k.device) <= rows[:, None]
        return self.k[layer], self.v[layer], None

    def advance(self, num_new):
        self.position += num_new
