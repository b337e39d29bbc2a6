"""keeps the counts in the class: one cache truncates another"""


class TruncatingCache(KVCache):
    shared = []

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shared[:] = self.counts
        self.counts = self.shared

    def truncate(self, length):
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} tokens to {length}")
        self.counts[:] = [length] * len(self.counts)
