"""The cache that a recorded step can use: nothing in it changes its shape or its place."""

import torch

from mini_engine.accounting import num_blocks_for
from mini_engine.kv_cache import KVCache

ALIGNMENT = 8  # elements; PyTorch's memory-efficient attention wants a mask's rows at multiples of 16 bytes


class StaticKVCache(KVCache):
    """A KVCache whose every step has the same shapes and addresses, so that it can be recorded and replayed.

    The position is a number in the device's memory, not in Python: K and V are written where it points, all max_tokens
    rows are handed out, and a mask hides those that are not filled. So each step reads the whole cache. max_tokens is
    rounded up to a multiple of 8: else attention on a GPU copies the mask into such a shape, in every layer.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        aligned = min(num_blocks_for(max_tokens, ALIGNMENT) * ALIGNMENT, config.max_position_embeddings)
        super().__init__(config, max(max_tokens, aligned), batch, dtype, device)
        # a masked row has weight 0, but 0 times what happens to lie in fresh memory may be NaN
        self.k.zero_()
        self.v.zero_()
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.columns = torch.arange(self.max_tokens, device=device)
        self.mask_dtype = dtype

    def positions(self, num_new):
        """As KVCache.positions; also lays out the rows that update writes and the mask."""
        self.check_room(num_new)
        self.rows = self.position + self.columns[:num_new]
        # added to the scores: one tensor for all layers, in their dtype, so that attention converts nothing
        hidden = self.columns > self.rows[:, None]
        self.mask = torch.zeros(hidden.shape, dtype=self.mask_dtype, device=hidden.device)
        self.mask = self.mask.masked_fill_(hidden, float("-inf"))[None, None]
        return self.rows.expand(self.batch, num_new)

    def update(self, layer, k, v):
        """Write one layer's new keys and values at the position; returns all rows and the mask [1, 1, N, max_tokens].

        What lies beyond the position is masked, never read as text.
        """
        self.k[layer].index_copy_(2, self.rows, k)
        self.v[layer].index_copy_(2, self.rows, v)
        return self.k[layer], self.v[layer], self.mask

    def advance(self, num_new):
        """Count num_new tokens as cached, in Python and on the device."""
        super().advance(num_new)
        self.position.add_(num_new)

    def truncate(self, length):
        """Forget all tokens from position `length` on."""
        super().truncate(length)
        self.position.fill_(length)
