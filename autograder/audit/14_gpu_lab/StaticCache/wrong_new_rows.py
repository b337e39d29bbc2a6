"""Builds new K and V with torch.where instead of writing in place: the old address never changes."""


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
        new_k, new_v = self.k.clone(), self.v.clone()
        new_k[layer].index_copy_(2, rows, k)
        new_v[layer].index_copy_(2, rows, v)
        self.k, self.v = new_k, new_v
        mask = torch.arange(self.max_tokens, device=self.k.device) <= rows[:, None]
        return self.k[layer], self.v[layer], mask[None, None]

    def advance(self, num_new):
        self.position += num_new
