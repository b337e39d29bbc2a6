"""Looks at is_last_chunk after the counts have moved."""
class Engine:
    """Serves many requests with one model, one pass per step.

    model, scheduler: the parts of the table above. sample: logits [V] -> token id. eos_token_id: ends a request, or None.
    """

    def __init__(self, model, scheduler, sample=np.argmax, eos_token_id=None):
        self.model, self.scheduler, self.sample, self.eos_token_id = model, scheduler, sample, eos_token_id
        self.sequences = {}
        self.next_id = 0

    @property
    def has_unfinished(self):
        """Whether a step would have anything to do."""
        return self.scheduler.has_unfinished

    def add(self, prompt, max_tokens):
        """Queue a prompt (list of token ids); returns the request id. Raises ValueError for sizes that make no sense."""
        seq = Sequence(self.next_id, list(prompt), SamplingParams(max_tokens=max_tokens))
        self.scheduler.add(seq)
        self.sequences[seq.seq_id] = seq
        self.next_id += 1
        return seq.seq_id

    def step(self):
        """One pass for everybody: a list of (request_id, token, finish_reason or None)."""
        if not self.has_unfinished:
            return []
        output = self.scheduler.step()
        self.model.copy_blocks(output.copies)
        events = []
        for row, logits in zip(output.rows, self.model(output.rows), strict=True):
            seq = row.seq
            token = int(self.sample(logits))
            seq.num_computed_tokens += row.num_new_tokens
            tokens = [token] if row.is_last_chunk else []
            seq.num_computed_tokens -= row.num_new_tokens
            seq.commit(row.num_new_tokens, tokens, eos_token_id=self.eos_token_id)
            self.scheduler.update(seq)
            events += [(seq.seq_id, token, seq.finish_reason) for token in tokens]
            if seq.finish_reason:
                del self.sequences[seq.seq_id]
        return events

    def abort(self, request_id):
        """End a request; unknown and finished ids are ignored."""
        seq = self.sequences.pop(request_id, None)
        if seq is not None:
            self.scheduler.abort(seq)
