"""leaves the rows of an unfinished pass in place when nothing else is cut"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        if length < self.length:
            self.counts = [length] * len(self.counts)
