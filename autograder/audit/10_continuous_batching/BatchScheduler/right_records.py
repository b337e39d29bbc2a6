"""A small record per sequence; the free blocks are counted anew each time."""
class BatchScheduler:
    class Seq:
        def __init__(self, name, tokens):
            self.name, self.tokens, self.computed, self.blocks = name, tokens, 0, 0

        @property
        def todo(self):
            return self.tokens - self.computed

    def __init__(self, num_blocks, block_size, max_num_seqs, token_budget):
        for value in (num_blocks, block_size, max_num_seqs, token_budget):
            if value < 1:
                raise ValueError(f"{value} is below 1")
        if token_budget < max_num_seqs:
            raise ValueError(f"token_budget {token_budget} is below max_num_seqs {max_num_seqs}")
        self.num_blocks, self.size, self.most, self.budget = num_blocks, block_size, max_num_seqs, token_budget
        self.queue, self.active = [], []

    def free(self):
        return self.num_blocks - sum(seq.blocks for seq in self.active)

    def add(self, seq_id, num_tokens):
        self.queue.append(self.Seq(seq_id, num_tokens))

    def step(self):
        rows, gone = [], []

        def feed(seq):
            count = min(seq.todo, self.budget - sum(n for _, n in rows))
            if count > 0:
                rows.append((seq.name, count))
                seq.computed += count

        decodes = [seq for seq in self.active if seq.todo == 1]
        prefills = [seq for seq in self.active if seq.todo != 1]
        for seq in decodes:
            if seq in gone:
                continue
            while seq.tokens > seq.blocks * self.size and seq not in gone:
                if self.free():
                    seq.blocks += 1
                else:
                    victim = self.active.pop()
                    victim.blocks = victim.computed = 0
                    self.queue = [victim, *self.queue]
                    gone.append(victim)
            if seq not in gone:
                feed(seq)
        for seq in prefills:
            if seq not in gone:
                feed(seq)
        while not gone and self.queue and len(self.active) < self.most:
            need = (self.queue[0].tokens + self.size - 1) // self.size
            if need > self.free() or sum(n for _, n in rows) >= self.budget:
                break
            seq = self.queue.pop(0)
            seq.blocks = need
            self.active.append(seq)
            feed(seq)
        return {"rows": rows, "preempted": [seq.name for seq in gone]}

    def find(self, seq_id):
        return next(seq for seq in self.active + self.queue if seq.name == seq_id)

    def token(self, seq_id):
        self.find(seq_id).tokens += 1

    def finish(self, seq_id):
        seq = self.find(seq_id)
        self.queue = [other for other in self.queue if other is not seq]
        self.active = [other for other in self.active if other is not seq]
