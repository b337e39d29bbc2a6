"""A plain dict, whose order is kept by taking entries out and putting them back."""
class PrefixCache:
    def __init__(self, allocator, block_size):
        self.allocator = allocator
        self.block_size = block_size
        self.known = {}

    def insert(self, token_ids, blocks):
        names = block_hashes(token_ids, self.block_size)
        for i in range(len(names) - 1, -1, -1):
            block = self.known.pop(names[i], None)
            self.known[names[i]] = self.allocator.fork(blocks[i]) if block is None else block

    def match(self, token_ids):
        names = block_hashes(token_ids, self.block_size)
        count = 0
        while count < len(names) and names[count] in self.known:
            count += 1
        for name in names[:count][::-1]:
            self.known[name] = self.known.pop(name)
        blocks = [self.known[name] for name in names[:count]]
        [self.allocator.fork(block) for block in blocks]
        left = len(token_ids) - count * self.block_size
        return blocks, count * self.block_size - (1 if count and not left else 0)

    def make_writable(self, block):
        if self.allocator.refcounts[block] == 1:
            return block
        fresh = self.allocator.allocate()
        self.allocator.free(block)
        return fresh

    def evict(self, n):
        gone = []
        for name, block in self.known.items():
            if len(gone) == n:
                break
            if self.allocator.refcounts[block] == 1:
                gone.append(name)
        for name in gone:
            self.allocator.free(self.known.pop(name))
        return len(gone)
