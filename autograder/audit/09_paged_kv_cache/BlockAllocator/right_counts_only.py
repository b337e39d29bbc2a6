"""Searches the counts; no second list to disagree with."""
class BlockAllocator:
    def __init__(self, n_blocks):
        if n_blocks < 1:
            raise ValueError(f"n_blocks {n_blocks}")
        self.refcounts = [0] * n_blocks

    @property
    def num_blocks(self):
        return len(self.refcounts)

    @property
    def num_free_blocks(self):
        return self.refcounts.count(0)

    def allocate(self):
        if 0 not in self.refcounts:
            raise OutOfBlocks("none left")
        b = self.refcounts.index(0)
        self.refcounts[b] += 1
        return b

    def fork(self, b):
        return self.change(b, 1)

    def free(self, b):
        self.change(b, -1)

    def change(self, b, by):
        if b < 0 or b >= len(self.refcounts) or not self.refcounts[b]:
            raise ValueError(f"block {b} is free or does not exist")
        self.refcounts[b] += by
        return b
