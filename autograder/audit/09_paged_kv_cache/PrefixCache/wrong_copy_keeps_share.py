"""Takes a fresh block and keeps its share of the old one."""
class PrefixCache:

    def __init__(self, allocator, block_size):
        self.allocator, self.block_size = allocator, block_size
        self.table = OrderedDict()

    def insert(self, token_ids, blocks):
        names = block_hashes(token_ids, self.block_size)
        for name, block in reversed(list(zip(names, blocks, strict=False))):
            if name not in self.table:
                self.table[name] = self.allocator.fork(block)
            self.table.move_to_end(name)

    def match(self, token_ids):
        hits = []
        for name in block_hashes(token_ids, self.block_size):
            if name not in self.table:
                break
            hits.append(name)
        for name in reversed(hits):
            self.table.move_to_end(name)
        blocks = [self.allocator.fork(self.table[name]) for name in hits]
        return blocks, max(0, min(len(blocks) * self.block_size, len(token_ids) - 1))

    def make_writable(self, block):
        if self.allocator.refcounts[block] == 1:
            return block
        fresh = self.allocator.allocate()
        return fresh

    def evict(self, n):
        idle = [name for name, block in self.table.items() if self.allocator.refcounts[block] == 1]
        for name in idle[:n]:
            self.allocator.free(self.table.pop(name))
        return len(idle[:n])
