"""Computes prompts whole, beyond the budget."""
class BatchScheduler:
    """Continuous batching with places, a token budget and a block budget, for EngineScheduler.

    num_blocks, block_size: the KV cache. max_num_seqs: sequences that may run at once. token_budget: tokens of a step.
    Raises ValueError for a size below 1 and for max_num_seqs above token_budget.
    """

    def __init__(self, num_blocks, block_size, max_num_seqs, token_budget):
        for size in (num_blocks, block_size, max_num_seqs, token_budget):
            if size < 1:
                raise ValueError(f"sizes must be at least 1, got {size}")
        if max_num_seqs > token_budget:
            raise ValueError(f"{max_num_seqs} sequences need a token_budget of as many, got {token_budget}")
        self.num_free, self.block_size = num_blocks, block_size
        self.max_num_seqs, self.token_budget = max_num_seqs, token_budget
        self.waiting, self.running = [], []
        self.tokens, self.computed, self.held = {}, {}, {}

    def add(self, seq_id, num_tokens):
        """Queue a sequence of num_tokens tokens, none of them computed."""
        self.waiting.append(seq_id)
        self.tokens[seq_id], self.computed[seq_id], self.held[seq_id] = num_tokens, 0, 0

    def step(self):
        """Decide the next step: {"rows": [[seq_id, num_new]], "preempted": [seq_id]}."""
        rows, preempted, budget = [], [], self.token_budget

        def feed(seq_id):
            num_new = self.tokens[seq_id] - self.computed[seq_id]
            if num_new:
                rows.append([seq_id, num_new])
                self.computed[seq_id] += num_new
            return budget - num_new

        decodes = [seq_id for seq_id in self.running if self.tokens[seq_id] - self.computed[seq_id] == 1]
        for seq_id in decodes:
            while seq_id in self.running and self.missing(seq_id) > self.num_free:
                victim = self.running.pop()
                self.release(victim)
                self.waiting.insert(0, victim)
                preempted.append(victim)
            if seq_id in self.running:
                self.take(seq_id)
                budget = feed(seq_id)
        for seq_id in self.running:
            if seq_id not in decodes:
                budget = feed(seq_id)
        while self.waiting and len(self.running) < self.max_num_seqs and budget > 0 and not preempted:
            if self.missing(self.waiting[0]) > self.num_free:
                break
            self.running.append(self.waiting.pop(0))
            self.take(self.running[-1])
            budget = feed(self.running[-1])
        return {"rows": rows, "preempted": preempted}

    def token(self, seq_id):
        """The sequence got a token."""
        self.tokens[seq_id] += 1

    def finish(self, seq_id):
        """The sequence leaves, running or waiting."""
        (self.running if seq_id in self.running else self.waiting).remove(seq_id)
        self.release(seq_id)

    def missing(self, seq_id):
        """Blocks that a sequence needs beyond those it holds."""
        return -(-self.tokens[seq_id] // self.block_size) - self.held[seq_id]

    def take(self, seq_id):
        """Give a sequence the blocks that it misses."""
        missing = self.missing(seq_id)
        self.held[seq_id] += missing
        self.num_free -= missing

    def release(self, seq_id):
        """Take all blocks back; nothing is computed any more."""
        self.num_free += self.held[seq_id]
        self.held[seq_id] = self.computed[seq_id] = 0
