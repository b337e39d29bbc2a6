"""One fancy assignment to flat slots."""
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
        n_blocks, size, heads, dim = self.keys.shape
        if np.shape(k) != np.shape(v) or np.ndim(k) != 3 or (k.shape[0], k.shape[2]) != (heads, dim):
            raise ValueError(f"wrong shapes {np.shape(k)}, {np.shape(v)}")
        table = self.block_tables.get(seq, [])
        start = self.lengths.get(seq, 0)
        positions = np.arange(start, start + k.shape[1])
        wanted = len({int(p) // size for p in positions} - set(range(len(table))))
        copy = len(positions) > 0 and start % size > 0 and self.allocator.refcounts[table[-1]] > 1
        if wanted + copy > self.allocator.num_free_blocks:
            raise OutOfBlocks("not enough")
        table = list(table)
        if copy:
            fresh = self.allocator.allocate()
            for pool in (self.keys, self.values):
                pool[fresh] = pool[table[-1]]
            self.allocator.free(table[-1])
            table[-1] = fresh
        for _ in range(wanted):
            table.append(self.allocator.allocate())
        if len(positions):
            slots = np.array(table)[positions // size] * size + positions % size
            self.keys.reshape(-1, heads, dim)[slots] = k.swapaxes(0, 1)
            self.values.reshape(-1, heads, dim)[slots] = v.swapaxes(0, 1)
        self.block_tables[seq] = table
        self.lengths[seq] = start + len(positions)

    def gather(self, seq):
        heads, dim = self.keys.shape[2:]
        at = np.arange(self.lengths[seq])
        slots = np.array(self.block_tables[seq], dtype=int)[at // self.block_size] * self.block_size + at % self.block_size
        return tuple(pool.reshape(-1, heads, dim)[slots].swapaxes(0, 1) for pool in (self.keys, self.values))

    def fork(self, seq, child):
        table = list(self.block_tables[seq])
        if child in self.lengths:
            raise ValueError(f"{child} exists")
        for block in table:
            self.allocator.fork(block)
        self.block_tables[child], self.lengths[child] = table, self.lengths[seq]

    def free(self, seq):
        table = self.block_tables.pop(seq)
        self.lengths.pop(seq)
        while table:
            self.allocator.free(table.pop())
