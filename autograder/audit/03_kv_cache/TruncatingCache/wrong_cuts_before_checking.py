"""cuts first and raises afterwards"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        before = self.length
        self.counts = [min(max(length, 0), count) for count in self.counts]
        if not 0 <= length <= before:
            raise ValueError(f"cannot truncate {before} tokens to {length}")
