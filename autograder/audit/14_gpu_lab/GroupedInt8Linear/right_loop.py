"""Column by column with NumPy; the products of the groups are summed with their scales afterwards."""


class GroupedInt8Linear(Counted):
    def __init__(self, weight, group_size=64):
        super().__init__()
        w = weight.detach().float().numpy()
        if group_size < 1 or len(w) % group_size != 0:
            raise ValueError(f"groups of {group_size} in {len(w)} inputs")
        q = np.zeros((w.shape[1], len(w)), np.int8)
        scales = np.ones((w.shape[1], len(w) // group_size), np.float16)
        for o in range(w.shape[1]):
            for g in range(scales.shape[1]):
                run = slice(g * group_size, (g + 1) * group_size)
                step = np.float16(np.abs(w[run, o]).max() / np.float32(127))
                if step:
                    scales[o, g] = step
                q[o, run] = np.clip(np.rint(w[run, o] / np.float32(scales[o, g])), -127, 127)
        self.register_buffer("q", torch.from_numpy(q))
        self.register_buffer("scales", torch.from_numpy(scales))

    def forward(self, x):
        num_groups = self.scales.shape[1]
        parts = x.unflatten(-1, (num_groups, -1))
        stored = self.q.to(x.dtype).unflatten(1, (num_groups, -1))
        sums = torch.einsum("...gi,ogi->...og", parts, stored)
        return (sums * self.scales.to(x.dtype)).sum(-1)
