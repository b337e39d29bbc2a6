"""Accepts a double free: the block is handed out twice later."""
class BlockAllocator:

    def __init__(self, n_blocks):
        if n_blocks < 1:
            raise ValueError(f"n_blocks must be at least 1, got {n_blocks}")
        self.num_blocks = n_blocks
        self.refcounts = [0] * n_blocks
        self._free = deque(range(n_blocks))

    @property
    def num_free_blocks(self):
        return len(self._free)

    def allocate(self):
        if not self._free:
            raise OutOfBlocks(f"all {self.num_blocks} blocks are in use")
        block = self._free.popleft()
        self.refcounts[block] = 1
        return block

    def fork(self, b):
        if not 0 <= b < self.num_blocks or self.refcounts[b] == 0:
            raise ValueError(f"block {b} is not in use and cannot be shared")
        self.refcounts[b] += 1
        return b

    def free(self, b):
        self.refcounts[b] -= 1
        if self.refcounts[b] == 0:
            self._free.append(b)
