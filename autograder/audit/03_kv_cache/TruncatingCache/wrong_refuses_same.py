"""rejects the length it has"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length < self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts = [length] * len(self.counts)
