"""Has no release method."""
class LookupDraft:
    """A draft for the engine that looks the last n tokens up in the request's own text and proposes up to k.

    n: 1 or more. k: 0 or more. Raises ValueError outside.
    """

    def __init__(self, n, k):
        if n < 1 or k < 0:
            raise ValueError(f"no such draft: n={n}, k={k}")
        self.n, self.k = n, k

    def propose(self, seq):
        """(up to k token ids, None): None because each of them is certain."""
        return ngram_draft(seq.token_ids, self.n, self.k), None

    pass
