"""Token by token, undoing on OutOfBlocks."""
class PagedKVCache:

    def __init__(self, n_blocks, block_size, n_kv_heads, head_dim, dtype=np.float32):
        for size in (n_blocks, block_size, n_kv_heads, head_dim):
            if size < 1:
                raise ValueError(f"every size must be at least 1, got {size}")
        self.block_size = block_size
        self.keys = np.zeros((n_blocks, block_size, n_kv_heads, head_dim), dtype)
        self.values = np.zeros_like(self.keys)
        self.allocator = BlockManager(n_blocks)
        self.block_tables = {}
        self.lengths = {}


    def append(self, seq, k, v):
        if k.shape != v.shape or len(k.shape) != 3 or k.shape[:1] + k.shape[2:] != self.keys.shape[2:]:
            raise ValueError(f"wrong shapes {k.shape}, {v.shape}")
        old = self.block_tables.get(seq, [])
        table, length, taken, given = list(old), self.lengths.get(seq, 0), [], []
        try:
            for t in range(k.shape[1]):
                column, slot = divmod(length + t, self.block_size)
                if column == len(table):
                    table.append(self.allocator.allocate())
                    taken.append(table[-1])
                elif self.allocator.refcounts[table[column]] > 1:
                    fresh = self.allocator.allocate()
                    taken.append(fresh)
                    self.keys[fresh], self.values[fresh] = self.keys[table[column]], self.values[table[column]]
                    given.append(table[column])
                    table[column] = fresh
                self.keys[table[column], slot] = k[:, t]
                self.values[table[column], slot] = v[:, t]
        except OutOfBlocks:
            for block in taken:
                self.allocator.free(block)
            raise
        for block in given:
            self.allocator.free(block)
        self.block_tables[seq], self.lengths[seq] = table, length + k.shape[1]

    def gather(self, seq):
        length = self.lengths[seq]
        out = []
        for pool in (self.keys, self.values):
            rows = [pool[b] for b in self.block_tables[seq]]
            joined = np.concatenate(rows) if rows else np.zeros((0, *pool.shape[2:]), pool.dtype)
            out.append(np.moveaxis(joined[:length], 1, 0).copy())
        return tuple(out)

    def fork(self, seq, child):
        if seq not in self.block_tables:
            raise KeyError(seq)
        if child in self.block_tables:
            raise ValueError(child)
        self.lengths[child] = self.lengths[seq]
        self.block_tables[child] = list(map(self.allocator.fork, self.block_tables[seq]))

    def free(self, seq):
        del self.lengths[seq]
        for block in self.block_tables[seq]:
            self.allocator.free(block)
        del self.block_tables[seq]
