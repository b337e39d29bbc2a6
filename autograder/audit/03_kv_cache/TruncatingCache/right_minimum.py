"""cuts every layer to at most the new length"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if length not in range(self.length + 1):
            raise ValueError(f"length {length}, held {self.length}")
        self.counts = [min(length, count) for count in self.counts]
