"""A set of free numbers."""
class BlockAllocator:
    def __init__(self, n_blocks):
        if n_blocks <= 0:
            raise ValueError(f"n_blocks {n_blocks}")
        self.num_blocks = n_blocks
        self.refcounts = [0 for _ in range(n_blocks)]
        self.available = set(range(n_blocks))

    @property
    def num_free_blocks(self):
        return len(self.available)

    def allocate(self):
        try:
            b = self.available.pop()
        except KeyError:
            raise OutOfBlocks("none left") from None
        self.refcounts[b] = 1
        return b

    def fork(self, b):
        self.check(b)
        self.refcounts[b] += 1
        return b

    def free(self, b):
        self.check(b)
        self.refcounts[b] -= 1
        if not self.refcounts[b]:
            self.available.add(b)

    def check(self, b):
        if b not in range(self.num_blocks) or b in self.available:
            raise ValueError(f"block {b} is not in use")
