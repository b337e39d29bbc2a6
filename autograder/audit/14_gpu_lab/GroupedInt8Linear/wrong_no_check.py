"""Accepts groups that do not divide the inputs: the last inputs are cut off."""


class GroupedInt8Linear(Counted):
    def __init__(self, weight, group_size=64):
        super().__init__()
        groups = weight.detach().float().T[:, : weight.shape[0] // max(group_size, 1) * max(group_size, 1)].reshape(weight.shape[1], -1, max(group_size, 1))
        scales = (groups.abs().amax(dim=-1) / 127).half()
        scales = torch.where(scales == 0, torch.ones_like(scales), scales)
        q = (groups / scales.float().unsqueeze(-1)).round().clamp(-127, 127)
        self.register_buffer("q", q.to(torch.int8).reshape(weight.shape[1], -1))
        self.register_buffer("scales", scales)

    def forward(self, x):
        groups = self.q.to(x.dtype).unflatten(1, (self.scales.shape[1], -1))
        weight = (groups * self.scales.to(x.dtype).unsqueeze(-1)).flatten(1)
        return x[..., : weight.shape[1]] @ weight.T
