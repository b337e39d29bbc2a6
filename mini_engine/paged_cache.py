"""The paged KV cache: one pool of blocks per layer, read through block tables without a loop over sequences.

Block tables as in PagedAttention (Kwon et al. 2023, 2309.06180). Its kernel reads the blocks where they lie, and so
does the compiled model (`walk`); for torch they are gathered first, one extra copy of the K and V read in each step.
"""

import torch

from mini_engine.accounting import num_blocks_for
from mini_engine.block_manager import require
from mini_engine.device import sent


class PagedKVCache:
    """K and V of many sequences in shared pools, behind the same protocol as the contiguous KVCache.

    A pass is announced with `begin` (whose rows, how many new tokens each); the model then calls `positions`, `update`
    in every layer, and `advance`. Pools are [num_blocks + 1, H_kv, block_size, D], so that a gathered row has the
    layout of the contiguous cache; the extra block at the end takes what padding writes, so that rows of different
    length go through one pass.
    """

    def __init__(self, config, num_blocks, block_size=16, dtype=torch.float32, device="cpu"):
        if num_blocks < 1 or block_size < 1:
            raise ValueError(f"sizes must be at least 1, got {num_blocks=}, {block_size=}")
        self.num_blocks, self.block_size = num_blocks, block_size
        shape = (num_blocks + 1, config.num_key_value_heads, block_size, config.head_dim)
        self._pools = torch.zeros(2, config.num_hidden_layers, *shape, dtype=dtype, device=device)
        self.keys, self.values = (pools.unbind() for pools in self._pools)
        self._scratch = torch.empty(2, 0, dtype=dtype, device=device)
        self.slot_positions = torch.full((num_blocks + 1, block_size), -1, device=device)  # for check_invariants

    @property
    def block_bytes(self):
        """Bytes of one block over all layers, K and V."""
        pool = self.keys[0]
        return 2 * len(self.keys) * pool[0].numel() * pool.element_size()

    def begin(self, block_tables, num_computed_tokens, num_new_tokens, min_columns=1):
        """Set the rows of the next pass. Raises ValueError when a table is too short for its row.

        block_tables: B lists of blocks. num_computed_tokens: B counts, the tokens in the cache. num_new_tokens: B
        counts, at least 1; the pass is as wide as the largest (N), and shorter rows are padded at their end.
        min_columns: blocks to read per row at least, padding included.
        """
        lengths = [start + new for start, new in zip(num_computed_tokens, num_new_tokens, strict=True)]
        num_columns = [num_blocks_for(length, self.block_size) for length in lengths]
        for table, columns in zip(block_tables, num_columns, strict=True):
            if len(table) < columns:
                raise ValueError(f"a block table of {len(table)} blocks is too short: {columns} are needed")
        width = max(min_columns, *num_columns)
        padding = [self.num_blocks] * width
        device = self.keys[0].device
        rows = zip(block_tables, num_columns, strict=True)
        tables = torch.tensor([(list(table[:columns]) + padding)[:width] for table, columns in rows])
        new = torch.tensor(num_new_tokens)[:, None]
        column = torch.arange(int(new.max()))
        positions = torch.tensor(num_computed_tokens)[:, None] + torch.minimum(column, new - 1)
        blocks = tables.gather(1, positions // self.block_size).where(column < new, self.num_blocks)
        offsets = positions % self.block_size
        self._slots = sent((blocks * self.block_size + offsets).flatten(), device)
        self._positions, self._mask = sent(positions, device), None
        self._pass = tables, blocks, offsets, positions, column < new

    def walk(self, num_new):
        """What a compiled pass walks, as KVCache.walk; columns that pad a shorter row are not new."""
        self.positions(num_new)
        tables, _, _, positions, is_new = self._pass
        return positions.numpy(), tables.numpy(), is_new.numpy(), tuple(self._pools.numpy())

    def _lay_out_gather(self):
        """Where update reads: (block, head) rows in the order [B, H_kv, blocks]; where it writes: slots [B, H_kv, N].

        And the mask. Only what gathers needs them, so begin leaves them out.
        """
        if self._mask is not None:
            return
        pool, (tables, blocks, offsets, positions, _) = self.keys[0], self._pass
        mask = torch.arange(tables.shape[1] * self.block_size) <= positions[..., None]
        self._mask = sent(mask[:, None], pool.device)
        heads = torch.arange(pool.shape[1])[:, None]
        rows = (tables[:, None] * pool.shape[1] + heads).flatten()
        slots = ((blocks[:, None] * pool.shape[1] + heads) * self.block_size + offsets[:, None]).flatten()
        self._read_rows, self._write_slots = sent(rows, pool.device), sent(slots, pool.device)
        size = rows.numel() * self.block_size * pool.shape[3]
        if self._scratch.shape[1] < size:
            with torch.inference_mode(False):  # so that it can be written inside and outside of inference mode
                self._scratch = torch.empty(2, size, dtype=pool.dtype, device=pool.device)

    def inputs(self):
        """The tensors that begin laid out for the pass and that a recorded pass reads: see use_inputs."""
        self._lay_out_gather()
        return self._positions, self._mask, self._slots, self._read_rows, self._write_slots, self._scratch

    def use_inputs(self, fixed):
        """Copy what begin laid out into the tensors of an earlier pass of the same shape, and use those."""
        for target, source in zip(fixed[:-1], self.inputs(), strict=False):
            if target is not source:
                target.copy_(source)
        self._positions, self._mask, self._slots, self._read_rows, self._write_slots, _ = fixed

    def positions(self, num_new):
        """Positions of the pass's tokens, [B, N]; padding repeats the row's last one."""
        if num_new != self._positions.shape[1]:
            raise ValueError(f"the pass has {num_new} columns, begin() announced {self._positions.shape[1]}")
        return self._positions

    def update(self, layer, k, v):
        """Write k and v [B, H_kv, N, D]; return all K and V of the rows [B, H_kv, S, D] and the mask [B, 1, N, S].

        S is the longest row rounded up to whole blocks; the mask (True: may look) hides later and foreign tokens. What
        is returned is overwritten by the next call: memory that is written again and again is faster than fresh pages.
        """
        self._lay_out_gather()
        return self._write_and_read(self.keys, 0, layer, k), self._write_and_read(self.values, 1, layer, v), self._mask

    def _write_and_read(self, pools, which, layer, new):
        pool, (batch, heads, _, head_dim) = pools[layer], new.shape
        pool.view(-1, head_dim).index_copy_(0, self._write_slots, new.reshape(-1, head_dim))
        block = self.block_size * head_dim
        out = self._scratch[which, : self._read_rows.numel() * block].view(-1, block)
        torch.index_select(pool.view(-1, block), 0, self._read_rows, out=out)
        return out.view(batch, heads, -1, head_dim)

    def advance(self, num_new):
        """End the pass: note which positions now stand in which slots."""
        self.slot_positions.view(-1)[self._slots] = self.positions(num_new).flatten()

    def copy_blocks(self, copies):
        """Copy whole blocks, (source, destination) pairs in order, in every layer."""
        for source, target in copies:
            for pool in (*self.keys, *self.values, self.slot_positions):
                pool[target] = pool[source]

    def check_invariants(self, sequences):
        """Behind each block table stand the positions 0, 1, … of the computed tokens. Raises InvariantError."""
        for seq in sequences:
            held = self.slot_positions[seq.block_table].flatten()[: seq.num_computed_tokens].tolist()
            expected = list(range(seq.num_computed_tokens))
            require(held == expected, f"sequence {seq.seq_id}: the cache holds positions {held}, not 0, 1, …")
