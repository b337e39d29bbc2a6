"""Takes blocks one by one and keeps them when the last one fails."""
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
        heads, head_dim = self.keys.shape[2:]
        if k.ndim != 3 or k.shape != v.shape or k.shape[0] != heads or k.shape[2] != head_dim:
            raise ValueError(f"k and v must be [{heads}, n, {head_dim}], got {k.shape} and {v.shape}")
        table, start = list(self.block_tables.get(seq, [])), self.lengths.get(seq, 0)
        end = start + k.shape[1]
        last = start // self.block_size
        must_copy = start < end and last < len(table) and self.allocator.refcounts[table[last]] > 1
        num_new = -(-end // self.block_size) - len(table)
        if must_copy:
            old, table[last] = table[last], self.allocator.allocate()
            self.keys[table[last]], self.values[table[last]] = self.keys[old], self.values[old]
            self.allocator.free(old)
        table += [self.allocator.allocate() for _ in range(num_new)]
        for i in range(start, end):
            block, slot = table[i // self.block_size], i % self.block_size
            self.keys[block, slot], self.values[block, slot] = k[:, i - start], v[:, i - start]
        self.block_tables[seq], self.lengths[seq] = table, end

    def gather(self, seq):
        table, length = self.block_tables[seq], self.lengths[seq]
        heads, head_dim = self.keys.shape[2:]
        k, v = (pool[table].reshape(-1, heads, head_dim)[:length] for pool in (self.keys, self.values))
        return k.transpose(1, 0, 2), v.transpose(1, 0, 2)

    def fork(self, seq, child):
        if child in self.block_tables:
            raise ValueError(f"sequence {child!r} exists already")
        self.block_tables[child] = [self.allocator.fork(block) for block in self.block_tables[seq]]
        self.lengths[child] = self.lengths[seq]

    def free(self, seq):
        for block in self.block_tables.pop(seq):
            self.allocator.free(block)
        del self.lengths[seq]
