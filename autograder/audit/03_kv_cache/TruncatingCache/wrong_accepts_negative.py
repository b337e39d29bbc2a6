"""accepts negative lengths"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if length > self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts = [length] * len(self.counts)
