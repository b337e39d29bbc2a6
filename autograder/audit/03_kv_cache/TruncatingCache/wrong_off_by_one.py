"""keeps one token too many"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts = [min(length + 1, count) for count in self.counts]
