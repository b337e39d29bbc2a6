"""Keeps each request's n-grams and forgets them at release."""
class LookupDraft:
    def __init__(self, n, k):
        if n <= 0 or k < 0:
            raise ValueError(f"n {n}, k {k}")
        self.n, self.k, self.tables = n, k, {}

    def propose(self, seq):
        done, table = self.tables.get(id(seq), (self.n, {}))
        ids = seq.token_ids
        for end in range(done, len(ids)):
            table[tuple(ids[end - self.n : end])] = end
        self.tables[id(seq)] = (max(done, len(ids)), table)
        end = table.get(tuple(ids[-self.n :])) if len(ids) > self.n else None
        return ([] if end is None else list(ids[end : end + self.k])), None

    def release(self, seq):
        self.tables.pop(id(seq), None)
