"""Scatter along the tokens; one buffer for K and V."""


class StaticCache(Replayable):
    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        self.config, self.max_tokens, self.batch, self.dtype = config, max_tokens, batch, dtype
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        self.kv = torch.zeros((2, *shape), dtype=dtype, device=device)
        self.k, self.v = self.kv[0], self.kv[1]
        self.position = torch.tensor([0], device=device)

    def positions(self, num_new):
        steps = torch.arange(num_new, device=self.kv.device)
        return torch.stack([steps] * self.batch) + self.position

    def update(self, layer, k, v):
        rows = self.positions(k.shape[2])[0]
        where = rows.view(1, 1, -1, 1).expand(k.shape)
        self.k[layer].scatter_(2, where, k)
        self.v[layer].scatter_(2, where, v)
        columns = torch.arange(self.max_tokens, device=rows.device)
        mask = ~(columns.view(1, 1, 1, -1) > rows.view(1, 1, -1, 1))
        return self.k[layer], self.v[layer], mask

    def advance(self, num_new):
        self.position.copy_(self.position + num_new)
