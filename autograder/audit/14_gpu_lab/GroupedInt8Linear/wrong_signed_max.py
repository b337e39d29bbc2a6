"""Takes the largest weight, not the largest absolute one."""


class GroupedInt8Linear(Counted):
    def __init__(self, weight, group_size=64):
        super().__init__()
        if group_size < 1 or weight.shape[0] % group_size:
            raise ValueError(f"{group_size=} and {weight.shape[0]} inputs")
        groups = weight.detach().float().T.reshape(weight.shape[1], -1, group_size)
        scales = (groups.amax(dim=-1).clamp_min(0) / 127).half()
        scales = torch.where(scales == 0, torch.ones_like(scales), scales)
        q = (groups / scales.float().unsqueeze(-1)).round().clamp(-127, 127)
        self.register_buffer("q", q.to(torch.int8).reshape(weight.shape[1], weight.shape[0]))
        self.register_buffer("scales", scales)

    def forward(self, x):
        groups = self.q.to(x.dtype).unflatten(1, (self.scales.shape[1], -1))
        weight = (groups * self.scales.to(x.dtype).unsqueeze(-1)).flatten(1)
        return x @ weight.T
