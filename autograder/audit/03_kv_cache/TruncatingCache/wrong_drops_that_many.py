"""takes the number of tokens to drop for the number to keep"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts = [count - length for count in self.counts]
