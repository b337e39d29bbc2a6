"""Fixed-size blocks with owner counts: who holds which piece of the KV cache (Kwon et al. 2023, 2309.06180, sec. 4)."""

from collections import Counter, deque


class OutOfBlocks(RuntimeError):
    """No free block is left. Nothing was taken: the caller may free something and ask again."""


class InvariantError(AssertionError):
    """A rule that must hold after every step is broken; the message names the rule and the numbers."""


def require(condition, rule):
    """Raise InvariantError(rule) unless the condition holds."""
    if not condition:
        raise InvariantError(rule)


class BlockManager:
    """Hands out the block numbers 0 … num_blocks - 1 and counts the owners of each.

    A block is free when its count is 0. What a block stores is not known here: the KV pool has the numbers as its
    first index, and block tables list them. Raises ValueError when num_blocks is below 1.

    The engine accepts any object with the same five parts instead: `num_blocks`, `num_free_blocks`,
    `refcounts` (indexable by block), and the methods `allocate`, `fork` and `free` below.
    """

    def __init__(self, num_blocks):
        if num_blocks < 1:
            raise ValueError(f"num_blocks must be at least 1, got {num_blocks}")
        self.num_blocks = num_blocks
        self.refcounts = [0] * num_blocks
        self._free = deque(range(num_blocks))

    @property
    def num_free_blocks(self):
        """Blocks without an owner."""
        return len(self._free)

    def allocate(self):
        """A free block, now with one owner. Raises OutOfBlocks when there is none."""
        if not self._free:
            raise OutOfBlocks(f"all {self.num_blocks} blocks are in use")
        block = self._free.popleft()
        self.refcounts[block] = 1
        return block

    def fork(self, block):
        """One more owner for a block in use; returns the block. Raises ValueError for a free one."""
        if self.refcounts[block] < 1:
            raise ValueError(f"block {block} is free and cannot be shared")
        self.refcounts[block] += 1
        return block

    def free(self, block):
        """One owner fewer; the last one gives the block back. Raises ValueError on a double free."""
        if self.refcounts[block] < 1:
            raise ValueError(f"block {block} is already free")
        self.refcounts[block] -= 1
        if self.refcounts[block] == 0:
            self._free.append(block)

    def check_invariants(self):
        """Free + used = total, and no block is free twice or free with an owner. Raises InvariantError."""
        free, used = set(self._free), sum(count > 0 for count in self.refcounts)
        require(len(free) == len(self._free), f"a block is on the free list twice: {sorted(self._free)}")
        require(len(free) + used == self.num_blocks, f"{len(free)} free + {used} used is not {self.num_blocks}")
        require(all(self.refcounts[block] == 0 for block in free), "a block on the free list still has an owner")


def check_owners(block_manager, owned):
    """Every reference count equals the number of times the block is listed by its owners.

    block_manager: anything with num_blocks, num_free_blocks and refcounts. owned: an iterable of lists of blocks, one
    list per owner (block tables, and the prefix cache's own). Raises InvariantError naming the first wrong block.
    """
    counts = Counter(block for blocks in owned for block in blocks)
    for block in range(block_manager.num_blocks):
        listed, counted = counts[block], block_manager.refcounts[block]
        require(counted == listed, f"block {block} has reference count {counted} but {listed} owners list it")
    used = sum(counts[block] > 0 for block in range(block_manager.num_blocks))
    free = block_manager.num_free_blocks
    require(free + used == block_manager.num_blocks, f"{free} free + {used} used is not {block_manager.num_blocks}")
