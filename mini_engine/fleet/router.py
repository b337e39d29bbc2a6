"""Which replica gets a request: the one with least to do for it, cached prefixes and open work together.

The cost is that of NVIDIA Dynamo's router (docs.nvidia.com/dynamo, router design): weight x blocks to compute + blocks
in work. What a replica has cached is guessed from what was sent to it: nobody reports it.
"""

from collections import OrderedDict

from mini_engine.prefix_cache import block_hashes

POLICIES = ("prefix", "load", "turns")


class Router:
    """Chooses a replica by name, and keeps count of what was sent where.

    policy: "prefix" (weight x blocks to compute + blocks in work), "load" (fewest blocks in work) or "turns" (one after
    the other). block_size: bytes of text per block. max_blocks: what a replica is thought to keep, least recently sent
    forgotten first. Raises ValueError for another policy or a size below 1.
    """

    def __init__(self, policy="prefix", weight=4.0, block_size=64, max_blocks=4096):
        if policy not in POLICIES or block_size < 1 or max_blocks < 1 or weight < 0:
            raise ValueError(
                f"one of {POLICIES}, sizes from 1: got {policy!r}, {weight=}, {block_size=}, {max_blocks=}"
            )
        self.policy, self.weight, self.block_size, self.max_blocks = policy, weight, block_size, max_blocks
        self.load = {}  # name -> blocks in work
        self.num_sent = {}
        self._known = {}  # name -> digests, least recently sent first

    def blocks_of(self, text):
        """A name for each full block of the text: what comes before it counts."""
        return block_hashes(list(text.encode()), self.block_size)

    def add(self, name):
        """A replica that has just started: nothing cached, nothing to do."""
        self.load[name], self._known[name] = 0, OrderedDict()
        self.num_sent.setdefault(name, 0)

    def remove(self, name):
        """A replica that is gone, and its cache with it."""
        self.load.pop(name, None)
        self._known.pop(name, None)

    def overlap(self, name, blocks):
        """How many of the first blocks this replica should still have."""
        known = self._known[name]
        return next((i for i, block in enumerate(blocks) if block not in known), len(blocks))

    def cost(self, name, blocks):
        """What the policy makes smallest; of equals, who was sent least takes the request."""
        to_compute = len(blocks) - self.overlap(name, blocks)
        measure = {"prefix": self.weight * to_compute + self.load[name], "load": self.load[name], "turns": 0}
        return measure[self.policy], self.num_sent[name]

    def choose(self, blocks, without=()):
        """The name of the replica to ask, or None where all known ones are in `without`. Nothing is counted yet."""
        names = [name for name in self.load if name not in without]
        return min(names, key=lambda name: self.cost(name, blocks), default=None)

    def begin(self, name, blocks):
        """The request is on its way there. Returns how many of its blocks should have been cached."""
        known, found = self._known[name], self.overlap(name, blocks)
        for block in reversed(blocks):  # the start of a chain is used most recently, as in PrefixCache
            known[block] = None
            known.move_to_end(block)
        while len(known) > self.max_blocks:
            known.popitem(last=False)
        self.load[name] += max(1, len(blocks))
        self.num_sent[name] += 1
        return found

    def end(self, name, blocks):
        """The request has ended there, in whatever way. A replica that is gone is left alone."""
        if name in self.load:
            self.load[name] = max(0, self.load[name] - max(1, len(blocks)))
