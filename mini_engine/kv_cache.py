"""The contiguous KV cache: one preallocated block of memory per layer, filled from the front."""

import numpy as np
import torch


class KVCache:
    """Keys and values of every token so far, for `batch` sequences of equal length.

    The model's side of any cache is four calls: positions() before a pass, update() once per layer in it, advance()
    after it, and truncate() to forget. Memory is 2 * layers * batch * H_kv * max_tokens * D elements, taken at once.
    Raises ValueError when max_tokens exceeds the positions the model was trained for.
    """

    def __init__(self, config, max_tokens, batch=1, dtype=torch.float32, device=None):
        if not 1 <= max_tokens <= config.max_position_embeddings:
            raise ValueError(f"max_tokens must be 1 to {config.max_position_embeddings}, got {max_tokens}")
        if batch < 1:
            raise ValueError(f"batch must be at least 1, got {batch}")
        shape = (config.num_hidden_layers, batch, config.num_key_value_heads, max_tokens, config.head_dim)
        self.k = torch.empty(shape, dtype=dtype, device=device)
        self.v = torch.empty(shape, dtype=dtype, device=device)
        self.batch, self.max_tokens = batch, max_tokens
        self.length = 0

    @property
    def num_bytes(self):
        """Bytes held, full or not."""
        return self.k.nbytes + self.v.nbytes

    def positions(self, num_new):
        """Positions [batch, num_new] of the next tokens. Raises ValueError when they do not fit; nothing is written."""
        self.check_room(num_new)
        new = torch.arange(self.length, self.length + num_new, device=self.k.device)
        return new.expand(self.batch, num_new)

    def walk(self, num_new):
        """What a compiled pass walks: positions [batch, num_new], block tables, which tokens are new; and the pools.

        The cache is one block of max_tokens for each sequence: pools [layers, batch, H_kv, max_tokens, D].
        """
        positions = self.positions(num_new).numpy()
        tables = np.arange(self.batch)[:, None]
        return positions, tables, np.ones(positions.shape, bool), (self.k.numpy(), self.v.numpy())

    def update(self, layer, k, v):
        """Write one layer's new keys and values, [batch, H_kv, N, D] each, after the cached ones.

        Returns views (k, v) [batch, H_kv, length + N, D] of all so far and None for the mask (causal, aligned to the
        end). The length grows only in advance(), so every layer of a pass writes to the same rows.
        Raises ValueError when full, with nothing written.
        """
        end = self.length + k.shape[2]
        self.check_room(k.shape[2])
        self.k[layer, :, :, self.length : end] = k
        self.v[layer, :, :, self.length : end] = v
        return self.k[layer, :, :, :end], self.v[layer, :, :, :end], None

    def advance(self, num_new):
        """Count num_new tokens as cached: called once, after the last layer of a pass."""
        self.check_room(num_new)
        self.length += num_new

    def truncate(self, length):
        """Forget all tokens from position `length` on. Raises ValueError outside 0..length."""
        if not 0 <= length <= self.length:
            raise ValueError(f"cannot truncate {self.length} cached tokens to {length}")
        self.length = length

    def check_room(self, num_new):
        """Raise ValueError when num_new more tokens do not fit."""
        if self.length + num_new > self.max_tokens:
            raise ValueError(f"cache is full: {self.length} of {self.max_tokens} tokens used, {num_new} more asked for")
