"""Admits first into a list, then walks all sequences once, decodes first by a sort."""

class Scheduler:
    def __init__(self, block_manager, block_size, max_num_seqs=8, max_num_batched_tokens=64):
        if max_num_seqs < 1 or max_num_batched_tokens < max_num_seqs:
            raise ValueError(f"bad limits: {max_num_seqs}, {max_num_batched_tokens}")
        self.pool, self.size, self.most, self.budget = block_manager, block_size, max_num_seqs, max_num_batched_tokens
        self.waiting = deque()
        self.running = []

    has_unfinished = property(lambda self: len(self.waiting) + len(self.running) > 0)

    def life(self, seq):
        tokens = seq.num_prompt_tokens + seq.params.max_tokens - 1
        return tokens // self.size + (tokens % self.size > 0)

    def add(self, seq):
        if self.life(seq) > self.pool.num_blocks:
            raise ValueError(f"{self.life(seq)} blocks are more than the pool has")
        self.waiting.append(seq)

    def step(self):
        output = SchedulerOutput()
        for seq in sorted(self.running, key=lambda seq: seq.num_uncomputed_tokens > 1):  # stable: order is kept
            self._row(seq, output)
        while self.waiting and len(self.running) < self.most and output.num_tokens < self.budget:
            try:
                self._take(self.waiting[0])
            except OutOfBlocks:
                break
            seq = self.waiting.popleft()
            seq.status = Status.RUNNING
            self.running.append(seq)
            self._row(seq, output)
        return output

    def _row(self, seq, output):
        count = min(seq.num_uncomputed_tokens, self.budget - output.num_tokens)
        if count:
            output.rows.append(ScheduledRow(seq, count))

    def _take(self, seq):
        if self.life(seq) > self.pool.num_free_blocks:
            raise OutOfBlocks("later")
        for _ in range(self.life(seq)):
            seq.block_table.append(self.pool.allocate())

    def update(self, seq):
        if seq.finish_reason is not None:
            self.abort(seq)

    def abort(self, seq):
        if seq in self.waiting:
            self.waiting.remove(seq)
        elif seq in self.running:
            self.running.remove(seq)
        while seq.block_table:
            self.pool.free(seq.block_table.pop())
        seq.status = Status.FINISHED
        if not seq.finish_reason:
            seq.finish_reason = "abort"
