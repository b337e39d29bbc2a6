"""Index assignment with a tensor, columns and lower triangle kept from the start."""


class StaticCache(Replayable):
    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        self.config, self.max_tokens, self.batch, self.dtype = config, max_tokens, batch, dtype
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        self.k = torch.zeros(shape, dtype=dtype, device=device)
        self.v = torch.zeros_like(self.k)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.steps = torch.arange(max_tokens, device=device)
        self.triangle = torch.ones(max_tokens, max_tokens, dtype=torch.bool, device=device).tril()

    def positions(self, num_new):
        return (self.position + self.steps[:num_new])[None].repeat(self.batch, 1)

    def update(self, layer, k, v):
        rows = self.position + self.steps[: k.shape[2]]
        self.k[layer, :, :, rows] = k
        self.v[layer, :, :, rows] = v
        return self.k[layer], self.v[layer], self.triangle[rows].view(1, 1, -1, self.max_tokens)

    def advance(self, num_new):
        self.position.add_(num_new)
