"""Continuous batching with a token budget: who computes how many tokens in the next step. No torch here.

Running decodes come first, then running prefills, then waiting requests, first come, first served (Yu et al. 2022,
OSDI, iteration-level scheduling; Agrawal et al. 2024, 2403.02310, chunked prefill). vLLM's V1 walks its running
requests in order and gives each a chunk of the budget.
"""

from collections import deque
from dataclasses import dataclass, field

from mini_engine.accounting import num_blocks_for
from mini_engine.block_manager import check_owners, require
from mini_engine.prefix_cache import block_hashes
from mini_engine.sequence import Sequence, Status


@dataclass
class ScheduledRow:
    """One sequence's share of a step: the next num_new_tokens tokens, its drafts (at the end) among them."""

    seq: Sequence
    num_new_tokens: int

    @property
    def is_last_chunk(self):
        """Whether the pass reaches the sequence's end, so that a token can be sampled."""
        seq = self.seq
        return seq.num_computed_tokens + self.num_new_tokens == seq.num_tokens + len(seq.draft_token_ids)


@dataclass
class SchedulerOutput:
    """What the engine has to do in one step: first the block copies (source, destination), then the rows."""

    rows: list[ScheduledRow] = field(default_factory=list)
    copies: list[tuple[int, int]] = field(default_factory=list)
    preempted: list[Sequence] = field(default_factory=list)

    @property
    def num_tokens(self):
        """Tokens that this step computes."""
        return sum(row.num_new_tokens for row in self.rows)


class Scheduler:
    """Decides, step by step, for sequences that share one pool of blocks.

    block_manager: see mini_engine.block_manager. prefix_cache: a PrefixCache over the same manager, or None.
    max_num_seqs: sequences running at once. max_num_batched_tokens: token budget of one step.
    chunked_prefill: whether a prompt may be computed over several steps. watermark: share of the blocks that admission
    leaves free, so that the running sequences can grow. Raises ValueError when the budget cannot feed one token to
    every running sequence.

    The engine accepts any other object with lists `waiting` and `running`, `has_unfinished`, and the methods
    `add(seq)`, `step()`, `update(seq)`, `abort(seq)` as here; the prefix cache and preemption may be left out.
    """

    def __init__(
        self,
        block_manager,
        block_size=16,
        *,
        max_num_seqs=32,
        max_num_batched_tokens=512,
        chunked_prefill=True,
        prefix_cache=None,
        watermark=0.01,
    ):
        if not 1 <= max_num_seqs <= max_num_batched_tokens:
            raise ValueError(f"{max_num_batched_tokens=} must be at least {max_num_seqs=}, and that at least 1")
        self.block_manager = block_manager
        self.block_size = block_size
        self.max_num_seqs = max_num_seqs
        self.max_num_batched_tokens = max_num_batched_tokens
        self.chunked_prefill = chunked_prefill
        self.prefix_cache = prefix_cache
        self.num_reserve_blocks = int(watermark * block_manager.num_blocks)
        self.waiting = deque()
        self.running = []

    @property
    def has_unfinished(self):
        """Whether a step would have anything to do."""
        return bool(self.waiting or self.running)

    @property
    def num_available_blocks(self):
        """Blocks that can be had now: free ones, and cached ones that no sequence uses."""
        evictable = self.prefix_cache.num_evictable_blocks if self.prefix_cache else 0
        return self.block_manager.num_free_blocks + evictable

    def add(self, seq):
        """Queue a sequence. Raises ValueError when it could not run even alone (it would wait forever)."""
        capacity = self.block_manager.num_blocks * self.block_size
        longest = seq.num_prompt_tokens + seq.params.max_tokens - 1  # the last token is never fed back
        if longest > capacity:
            raise ValueError(f"{longest} tokens do not fit into {capacity} cache slots; lower max_tokens or the prompt")
        if not self.chunked_prefill and longest > self.max_num_batched_tokens:
            raise ValueError(
                f"{longest} tokens exceed the step's budget of {self.max_num_batched_tokens} without chunked prefill"
            )
        self.waiting.append(seq)

    def step(self):
        """Choose the rows of the next step and give them blocks; returns a SchedulerOutput within the budget."""
        output = SchedulerOutput()
        decodes = [seq for seq in self.running if seq.num_uncomputed_tokens == 1]
        for index, seq in enumerate(decodes):
            if seq.status is Status.RUNNING:  # an earlier one may have preempted it just now
                others = len(decodes) - index - 1
                self._schedule_decode(seq, self.max_num_batched_tokens - output.num_tokens - others, output)
        for seq in self.running:
            if seq not in decodes:
                self._schedule_prefill(seq, output)
        while self.waiting and len(self.running) < self.max_num_seqs and not output.preempted:
            seq = self.waiting[0]
            if output.num_tokens >= self.max_num_batched_tokens or not self._admit(seq, output):
                break
        return output

    def update(self, seq):
        """After a computed row: publish the full blocks, and take everything back from a finished sequence."""
        if self.prefix_cache is not None:
            fresh = slice(seq.num_published_blocks, seq.num_computed_tokens // self.block_size)
            self.prefix_cache.insert(self._hashes(seq)[fresh], seq.block_table[fresh])
            seq.num_published_blocks = fresh.stop
        if seq.finish_reason:
            self.abort(seq)

    def abort(self, seq):
        """Take a sequence out, wherever it is; its blocks go back. A finished one is left as it is."""
        if seq.is_finished:
            return
        (self.running if seq.status is Status.RUNNING else self.waiting).remove(seq)
        self._release(seq)
        seq.status = Status.FINISHED
        seq.finish_reason = seq.finish_reason or "abort"

    def _schedule_decode(self, seq, budget, output):
        """One row of one token and its drafts; drafts are dropped before anybody is preempted for them."""
        if seq.draft_token_ids:
            room = (self.num_available_blocks + len(seq.block_table)) * self.block_size - seq.num_tokens
            seq.draft_token_ids = seq.draft_token_ids[: max(min(budget - 1, room), 0)]
        num_new = 1 + len(seq.draft_token_ids)
        needed = num_blocks_for(seq.num_computed_tokens + num_new, self.block_size) - len(seq.block_table)
        while needed > self.block_manager.num_free_blocks and needed > self.num_available_blocks:  # counts all blocks
            victim = max(self.running, key=lambda other: other.seq_id)
            self._preempt(victim, output)
            if victim is seq:
                return
        seq.block_table += [self._allocate() for _ in range(needed)]
        output.rows.append(ScheduledRow(seq, num_new))

    def _schedule_prefill(self, seq, output):
        """A chunk as long as the budget allows; its blocks were allocated at admission."""
        num_new = min(seq.num_uncomputed_tokens, self.max_num_batched_tokens - output.num_tokens)
        if num_new > 0:
            output.rows.append(ScheduledRow(seq, num_new))

    def _admit(self, seq, output):
        """Start a waiting sequence if its blocks can be had and (unchunked) the budget is enough; says whether."""
        blocks, num_cached = [], 0
        if self.prefix_cache is not None:
            blocks, num_cached = self.prefix_cache.match(seq.token_ids, self._hashes(seq))
        shares_last = len(blocks) * self.block_size > num_cached  # its last slot is written: copy before
        if shares_last and not self.num_available_blocks:
            self.block_manager.free(blocks.pop())
            num_cached, shares_last = len(blocks) * self.block_size, False
        needed = num_blocks_for(seq.num_tokens, self.block_size) - len(blocks) + shares_last
        budget = self.max_num_batched_tokens - output.num_tokens
        reserve = self.num_reserve_blocks if self.running else 0
        too_long = not self.chunked_prefill and seq.num_tokens - num_cached > budget
        if too_long or needed > self.num_available_blocks - reserve:
            for block in blocks:
                self.block_manager.free(block)
            return False
        seq.block_table = blocks
        if shares_last:
            self._copy_on_write(seq, len(blocks) - 1, output)
        seq.block_table += [self._allocate() for _ in range(needed - shares_last)]
        seq.num_computed_tokens = num_cached
        seq.num_published_blocks = num_cached // self.block_size
        seq.num_cached_tokens = seq.num_cached_tokens if seq.num_preemptions else num_cached
        if self.prefix_cache is not None:
            self.prefix_cache.count(seq.num_tokens, num_cached)
        seq.status = Status.RUNNING
        self.running.append(self.waiting.popleft())
        self._schedule_prefill(seq, output)
        return True

    def _hashes(self, seq):
        seq.block_hashes = block_hashes(seq.token_ids, self.block_size, seq.block_hashes, seq.params.adapter)
        return seq.block_hashes

    def _allocate(self):
        """A free block, made by evicting a cached one if need be."""
        if not self.block_manager.num_free_blocks and self.prefix_cache is not None:
            self.prefix_cache.evict(1)
        return self.block_manager.allocate()

    def _copy_on_write(self, seq, index, output):
        """Replace a shared block of the table by a copy of its own."""
        source = seq.block_table[index]
        seq.block_table[index] = self._allocate()
        output.copies.append((source, seq.block_table[index]))
        self.block_manager.free(source)

    def _preempt(self, seq, output):
        """Back to the head of the queue; everything is computed again later (recompute, Kwon et al. sec. 4.5)."""
        output.rows = [row for row in output.rows if row.seq is not seq]
        output.preempted.append(seq)
        self.running.remove(seq)
        self._release(seq)
        seq.status = Status.WAITING
        seq.num_preemptions += 1
        self.waiting.appendleft(seq)

    def _release(self, seq):
        for block in reversed(seq.block_table):
            self.block_manager.free(block)
        seq.block_table, seq.draft_token_ids = [], []
        seq.num_computed_tokens = seq.num_published_blocks = 0

    def check_invariants(self):
        """Every rule of blocks, tables, cache and queues at once. Raises InvariantError naming the broken one."""
        owned = [seq.block_table for seq in self.running]
        if self.prefix_cache is not None:
            self.prefix_cache.check_invariants()
            owned.append(self.prefix_cache.blocks)
        check_owners(self.block_manager, owned)
        require(len(self.running) <= self.max_num_seqs, f"{len(self.running)} run, {self.max_num_seqs} may")
        for queue, status in ((self.running, Status.RUNNING), (self.waiting, Status.WAITING)):
            for seq in queue:
                require(seq.status is status, f"sequence {seq.seq_id} is {seq.status.value} among the {status.value}")
                seq.check_invariants(self.block_size)
