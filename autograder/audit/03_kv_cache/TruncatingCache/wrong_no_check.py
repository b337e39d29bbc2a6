"""accepts any length"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        self.counts = [length] * len(self.counts)
