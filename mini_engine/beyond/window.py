"""Sliding windows: a cache that forgets, the first tokens that it had better keep, and sinks as gpt-oss learns them."""

import torch
from torch import nn

from mini_engine.layers import Attention
from mini_engine.rope import apply_rope


class WindowCache:
    """A cache in the protocol of KVCache whose layers may forget: a ring of slots for each layer with a window.

    windows: for each layer how many tokens a query sees, itself among them, or None for all. num_first: so many first
    tokens are seen beside any window (2309.17453). Keys stay as they were rotated, at their place in the text.
    Raises ValueError for a window below 1, and as KVCache does.
    """

    def __init__(self, config, max_tokens, windows, num_first=0, batch=1, dtype=torch.float32, device=None):
        if len(windows) != config.num_hidden_layers or any(w is not None and w < 1 for w in windows) or num_first < 0:
            raise ValueError(f"{config.num_hidden_layers} windows of at least 1 are needed, got {windows}, {num_first}")
        if not 1 <= max_tokens <= config.max_position_embeddings:
            raise ValueError(f"max_tokens must be 1 to {config.max_position_embeddings}, got {max_tokens}")
        self.windows, self.num_first, self.batch, self.max_tokens = tuple(windows), num_first, batch, max_tokens
        slots = [max_tokens if w is None else min(max_tokens, num_first + w) for w in windows]
        shapes = [(batch, config.num_key_value_heads, num, config.head_dim) for num in slots]
        self.k, self.v = ([torch.empty(s, dtype=dtype, device=device) for s in shapes] for _ in range(2))
        self.device, self.length = device, 0

    @property
    def num_bytes(self):
        """Bytes held, full or not."""
        return sum(part.nbytes for part in (*self.k, *self.v))

    def positions(self, num_new):
        """Positions [batch, num_new] of the next tokens. Raises ValueError beyond max_tokens."""
        if self.length + num_new > self.max_tokens:
            raise ValueError(f"cache is full: {self.length} of {self.max_tokens} tokens used, {num_new} more asked for")
        return torch.arange(self.length, self.length + num_new, device=self.device).expand(self.batch, num_new)

    def kept(self, layer, length):
        """Positions, rising, of the tokens that a layer still holds when the text has `length`."""
        window, first = self.windows[layer], min(self.num_first, length)
        start = first if window is None else max(first, length - window)
        every = torch.arange(length, device=self.device)
        return torch.cat((every[:first], every[start:]))

    def slots(self, layer, positions):
        """Where a layer keeps these positions: the first tokens in front, the others round and round behind them."""
        if self.windows[layer] is None:
            return positions
        behind = self.num_first + (positions - self.num_first) % self.windows[layer]
        return torch.where(positions < self.num_first, positions, behind)

    def update(self, layer, k, v):
        """As KVCache.update: (k, v, mask), those still held and the new ones.

        The mask [1, 1, N, S] bounds the window, also inside a long prompt; what stays
        afterwards is the window's worth.
        """
        num_new = k.shape[2]
        new, old = self.positions(num_new)[0], self.kept(layer, self.length)
        stays = self.kept(layer, self.length + num_new)
        stays = stays[stays >= self.length]
        seen = []
        for ring, part in ((self.k[layer], k), (self.v[layer], v)):
            held = ring[:, :, self.slots(layer, old)]
            seen.append(torch.cat((held, part), dim=2))
            ring[:, :, self.slots(layer, stays)] = part[:, :, stays - self.length]
        at = torch.cat((old, new))
        mask = visible(new, at, self.windows[layer], self.num_first)
        return *seen, mask[None, None]

    def advance(self, num_new):
        """Count num_new tokens as seen: called once, after the last layer of a pass."""
        self.length += num_new

    def truncate(self, length):
        """Forget all tokens from position `length` on. Raises ValueError where those before it are gone already."""
        lost = any(w is not None and self.length > self.num_first + w for w in self.windows)
        if not 0 <= length <= self.length or (lost and 0 < length < self.length):
            raise ValueError(f"cannot truncate {self.length} tokens to {length}: what stood before may be overwritten")
        self.length = length


def visible(queries, keys, window=None, num_first=0):
    """Which keys each query may see, bool [N, S]; both are positions. A window of w reaches back w - 1 tokens."""
    distance = queries[:, None] - keys
    inside = distance >= 0
    return inside if window is None else inside & ((distance < window) | (keys < num_first))


def sink_attention(q, k, v, mask, sinks):
    """Attention in which each head has one more place to look, with a learned score and nothing in it.

    q: [B, H_q, N, D]. k, v: [B, H_kv, S, D]. mask: bool [1, 1, N, S]. sinks: [H_q]. Returns [B, H_q, N, D].
    """
    batch, num_heads, num_new, head_dim = q.shape
    grouped = q.view(batch, k.shape[1], -1, num_new, head_dim)
    scores = (grouped @ k.unsqueeze(2).mT / head_dim**0.5).masked_fill(~mask.unsqueeze(2), -torch.inf)
    sink = sinks.view(1, k.shape[1], -1, 1, 1).expand(*scores.shape[:-1], 1)
    weight = torch.cat((scores, sink), dim=-1).softmax(-1)[..., :-1]  # the rows add up to less than 1
    return (weight @ v.unsqueeze(2)).view(q.shape)


class SinkAttention(Attention):
    """The engine's attention with a learned sink per head, as in gpt-oss. sinks: [H_q]. Needs a cache with a mask."""

    def __init__(self, config, layer, qkv, out, sinks):
        super().__init__(config, layer, qkv, out)
        self.sinks = nn.Parameter(sinks, requires_grad=False)

    def forward(self, x, cos, sin, cache):
        """As Attention.forward."""
        batch, num_new, _ = x.shape
        heads = self.qkv(x).view(batch, num_new, -1, self.head_dim)
        q, k, v = heads.split([self.num_heads, self.num_kv_heads, self.num_kv_heads], dim=2)
        q, k = (apply_rope(part, cos, sin).transpose(1, 2) for part in (q, k))
        k, v, mask = cache.update(self.layer, k, v.transpose(1, 2))
        mixed = sink_attention(q, k, v, mask, self.sinks)
        return self.out(mixed.transpose(1, 2).reshape(batch, num_new, -1))
