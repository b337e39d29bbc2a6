"""truncates one layer only"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts[0] = length
