"""Its own search, no earlier function."""
class LookupDraft:
    def __init__(self, n, k):
        if n < 1:
            raise ValueError(f"n={n}")
        if k < 0:
            raise ValueError(f"k={k}")
        self.n = n
        self.k = k

    def propose(self, seq):
        text, n = list(seq.token_ids), self.n
        for end in reversed(range(n, len(text))):
            if text[end - n : end] == text[-n:]:
                return text[end : end + self.k], None
        return [], None

    def release(self, seq):
        return None
