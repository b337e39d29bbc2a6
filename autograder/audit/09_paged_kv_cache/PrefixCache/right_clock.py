"""A counter of uses per entry, smallest first."""
class PrefixCache:
    def __init__(self, allocator, block_size):
        self.allocator, self.block_size, self.now = allocator, block_size, 0
        self.entries = {}  # whole prefix -> [block, last use]

    def prefixes(self, ids):
        return [tuple(ids[:end]) for end in range(self.block_size, len(ids) + 1, self.block_size)]

    def touch(self, prefixes):
        self.now += 1
        for prefix in prefixes:
            self.entries[prefix][1] = (self.now, -len(prefix))

    def insert(self, token_ids, blocks):
        prefixes = self.prefixes(token_ids)
        for prefix, block in zip(prefixes, blocks):
            if prefix not in self.entries:
                self.allocator.fork(block)
                self.entries[prefix] = [block, None]
        self.touch(prefixes)

    def match(self, token_ids):
        hits = []
        for prefix in self.prefixes(token_ids):
            if prefix not in self.entries:
                break
            hits.append(prefix)
        self.touch(hits)
        blocks = [self.entries[prefix][0] for prefix in hits]
        for block in blocks:
            self.allocator.fork(block)
        cached = len(blocks) * self.block_size
        if cached and cached == len(token_ids):
            cached -= 1
        return blocks, cached

    def make_writable(self, block):
        if self.allocator.refcounts[block] > 1:
            fresh = self.allocator.allocate()
            self.allocator.free(block)
            block = fresh
        return block

    def evict(self, n):
        evicted = 0
        for prefix in sorted(self.entries, key=lambda p: self.entries[p][1]):
            if evicted < n and self.allocator.refcounts[self.entries[prefix][0]] == 1:
                self.allocator.free(self.entries.pop(prefix)[0])
                evicted += 1
        return evicted
