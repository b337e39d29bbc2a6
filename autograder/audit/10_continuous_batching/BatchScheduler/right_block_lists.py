"""Real block numbers in lists, as a block table has them."""
from collections import deque


class BatchScheduler:
    def __init__(self, num_blocks, block_size, max_num_seqs, token_budget):
        sizes = dict(num_blocks=num_blocks, block_size=block_size, max_num_seqs=max_num_seqs, token_budget=token_budget)
        for name, value in sizes.items():
            if value <= 0:
                raise ValueError(f"{name} = {value}")
        if max_num_seqs > token_budget:
            raise ValueError(f"token_budget = {token_budget} for {max_num_seqs} sequences")
        self.free = deque(range(num_blocks))
        self.block_size, self.max_num_seqs, self.token_budget = block_size, max_num_seqs, token_budget
        self.seqs, self.waiting, self.running = {}, deque(), []

    def add(self, seq_id, num_tokens):
        self.seqs[seq_id] = {"tokens": num_tokens, "computed": 0, "table": []}
        self.waiting.append(seq_id)

    def todo(self, seq_id):
        return self.seqs[seq_id]["tokens"] - self.seqs[seq_id]["computed"]

    def grow(self, seq_id):
        table = self.seqs[seq_id]["table"]
        while len(table) * self.block_size < self.seqs[seq_id]["tokens"]:
            if not self.free:
                return False
            table.append(self.free.popleft())
        return True

    def give_back(self, seq_id):
        self.free.extend(self.seqs[seq_id]["table"])
        self.seqs[seq_id].update(table=[], computed=0)

    def step(self):
        budget, rows, preempted = self.token_budget, [], []
        first = [s for s in self.running if self.todo(s) == 1]
        for s in first + [s for s in self.running if self.todo(s) > 1]:
            while s not in preempted and not self.grow(s):
                victim = self.running[-1]
                del self.running[-1]
                self.give_back(victim)
                self.waiting.appendleft(victim)
                preempted.append(victim)
            if s in preempted:
                continue
            n = min(self.todo(s), budget)
            if n:
                rows.append([s, n])
                self.seqs[s]["computed"] += n
                budget -= n
        while budget and self.waiting and len(self.running) < self.max_num_seqs and not preempted:
            s = self.waiting[0]
            if -(-self.seqs[s]["tokens"] // self.block_size) > len(self.free):
                break
            self.running.append(self.waiting.popleft())
            self.grow(s)
            n = min(self.todo(s), budget)
            rows.append([s, n])
            self.seqs[s]["computed"] += n
            budget -= n
        return {"rows": rows, "preempted": preempted}

    def token(self, seq_id):
        self.seqs[seq_id]["tokens"] += 1

    def finish(self, seq_id):
        self.give_back(seq_id)
        for line in (self.waiting, self.running):
            if seq_id in line:
                line.remove(seq_id)
        del self.seqs[seq_id]
