"""Automatic prefix caching: full blocks found again by the hash of everything up to their end (vLLM's design)."""

from array import array
from collections import OrderedDict
from hashlib import blake2b

from mini_engine.block_manager import require


def block_hashes(token_ids, block_size, known=(), adapter=""):
    """One digest per full block; each covers the block's tokens and the digest before it, so the whole prefix.

    token_ids: list of ints. known: digests of the first blocks, if computed before; they are not computed again.
    adapter: its name is the first block's beginning, since other weights make other keys and values of the same text.
    Returns a list of len(token_ids) // block_size bytes objects. The partial block at the end has none.
    """
    hashes = list(known)
    for start in range(len(hashes) * block_size, len(token_ids) - block_size + 1, block_size):
        parent = hashes[-1] if hashes else adapter.encode()
        tokens = array("q", token_ids[start : start + block_size]).tobytes()
        hashes.append(blake2b(parent + tokens, digest_size=16).digest())
    return hashes


class PrefixCache:
    """Keeps full blocks after their sequence has ended, until the room is needed.

    The cache is one owner of each block it lists, so a block whose count is 1 is used by no sequence and may be
    evicted, least recently used first. A hit makes the sequence one more owner. Works on any block manager with
    the protocol of mini_engine.block_manager.BlockManager.
    """

    def __init__(self, block_manager, block_size):
        self.block_manager = block_manager
        self.block_size = block_size
        self.num_queried_tokens = 0
        self.num_hit_tokens = 0
        self._blocks = OrderedDict()  # digest -> block, least recently used first

    def __len__(self):
        return len(self._blocks)

    @property
    def blocks(self):
        """The cached blocks, least recently used first."""
        return list(self._blocks.values())

    @property
    def num_evictable_blocks(self):
        """Cached blocks that no sequence uses now."""
        return sum(self.block_manager.refcounts[block] == 1 for block in self._blocks.values())

    def match(self, token_ids, hashes=None):
        """The longest cached prefix: (blocks, num_cached_tokens).

        The caller becomes an owner of each block. At least one token is left to compute, because its logits are
        needed: when every block hits, num_cached_tokens is len(token_ids) - 1, and the last block has to be copied
        before that token is written into it.
        """
        hashes = block_hashes(token_ids, self.block_size) if hashes is None else hashes
        hits = []
        for digest in hashes:
            if digest not in self._blocks:
                break
            hits.append(digest)
        for digest in reversed(hits):  # the start of a chain is used most recently, so a chain is evicted from its end
            self._blocks.move_to_end(digest)
        blocks = [self.block_manager.fork(self._blocks[digest]) for digest in hits]
        return blocks, min(len(blocks) * self.block_size, len(token_ids) - 1)

    def count(self, num_queried_tokens, num_hit_tokens):
        """Record an admission for the hit rate."""
        self.num_queried_tokens += num_queried_tokens
        self.num_hit_tokens += num_hit_tokens

    def insert(self, hashes, blocks):
        """List full, computed blocks under their digests; a digest that is known keeps the block it has."""
        for digest, block in reversed(list(zip(hashes, blocks, strict=True))):
            if digest not in self._blocks:
                self._blocks[digest] = self.block_manager.fork(block)
            self._blocks.move_to_end(digest)

    def evict(self, num_blocks):
        """Give back up to num_blocks blocks that no sequence uses; returns how many it were."""
        victims = [d for d, block in self._blocks.items() if self.block_manager.refcounts[block] == 1][:num_blocks]
        for digest in victims:
            self.block_manager.free(self._blocks.pop(digest))
        return len(victims)

    def clear(self):
        """Forget everything; blocks that sequences still use stay theirs."""
        for block in self._blocks.values():
            self.block_manager.free(block)
        self._blocks.clear()

    def check_invariants(self):
        """Every cached block is listed once and has an owner. Raises InvariantError."""
        blocks = self.blocks
        require(len(set(blocks)) == len(blocks), "a block is cached under two digests")
        require(all(self.block_manager.refcounts[block] > 0 for block in blocks), "a cached block is free")
        require(self.num_hit_tokens <= self.num_queried_tokens, "more tokens hit than were asked for")
