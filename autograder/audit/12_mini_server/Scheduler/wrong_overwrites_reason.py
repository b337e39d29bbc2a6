"""Reports every end as an abort."""
class Scheduler:
    """Continuous batching with a token budget and blocks reserved at admission.

    block_manager: a BlockManager. block_size: tokens per block. max_num_seqs: sequences that run at once.
    max_num_batched_tokens: tokens per step. Raises ValueError unless 1 <= max_num_seqs <= max_num_batched_tokens.
    """

    def __init__(self, block_manager, block_size, max_num_seqs=8, max_num_batched_tokens=64):
        if not 1 <= max_num_seqs <= max_num_batched_tokens:
            raise ValueError(f"{max_num_batched_tokens=} must be at least {max_num_seqs=}, and that at least 1")
        self.block_manager, self.block_size = block_manager, block_size
        self.max_num_seqs, self.max_num_batched_tokens = max_num_seqs, max_num_batched_tokens
        self.waiting, self.running = deque(), []

    @property
    def has_unfinished(self):
        """Whether anybody waits or runs."""
        return bool(self.waiting or self.running)

    def add(self, seq):
        """Queue a sequence. Raises ValueError when its blocks exceed the pool."""
        needed = num_blocks_for(seq.num_prompt_tokens + seq.params.max_tokens - 1, self.block_size)
        if needed > self.block_manager.num_blocks:
            raise ValueError(f"the request needs {needed} blocks, the pool has {self.block_manager.num_blocks}")
        self.waiting.append(seq)

    def step(self):
        """Choose the rows of the next pass: a SchedulerOutput with rows of ScheduledRow(seq, num_new_tokens)."""
        decodes = [seq for seq in self.running if seq.num_uncomputed_tokens == 1]
        prefills = [seq for seq in self.running if seq.num_uncomputed_tokens > 1]
        rows = [ScheduledRow(seq, 1) for seq in decodes]
        budget = self.max_num_batched_tokens - len(rows)
        while True:
            for seq in prefills:
                rows.append(ScheduledRow(seq, min(seq.num_uncomputed_tokens, budget)))
                budget -= rows[-1].num_new_tokens
            if budget < 1 or not self.waiting or len(self.running) >= self.max_num_seqs:
                break
            seq = self.waiting[0]
            needed = num_blocks_for(seq.num_prompt_tokens + seq.params.max_tokens - 1, self.block_size)
            if needed > self.block_manager.num_free_blocks:
                break
            self.waiting.popleft()
            seq.block_table = [self.block_manager.allocate() for _ in range(needed)]
            seq.status = Status.RUNNING
            self.running.append(seq)
            prefills = [seq]
        return SchedulerOutput(rows)

    def update(self, seq):
        """After a pass: take a sequence out that has a finish_reason."""
        if seq.finish_reason:
            self.abort(seq)

    def abort(self, seq):
        """End a sequence and give its blocks back; a finished one is left alone."""
        if seq.status is Status.FINISHED:
            return
        (self.running if seq.status is Status.RUNNING else self.waiting).remove(seq)
        for block in seq.block_table:
            self.block_manager.free(block)
        seq.block_table = []
        seq.status = Status.FINISHED
        seq.finish_reason = "abort"
