"""moves the kept rows to new memory"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.keys, self.values = self.keys.copy(), self.values.copy()
        self.counts = [length] * len(self.counts)
