"""layer by layer, in place"""


class TruncatingCache(KVCache):
    def truncate(self, length):
        held = self.length
        if length < 0 or length > held:
            raise ValueError(f"{length} is not between 0 and {held}")
        for layer in range(len(self.counts)):
            self.counts[layer] = length
