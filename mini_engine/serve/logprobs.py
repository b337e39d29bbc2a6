"""Log-probabilities of an answer's tokens in the two forms of the API."""


class TokenReport:
    """Turns what a sequence kept of its tokens into JSON, piece by piece as they come; tokenizer names the tokens."""

    def __init__(self, tokenizer, is_chat):
        self.tokenizer, self.is_chat = tokenizer, is_chat
        self.num_told = 0
        self.num_chars = 0

    def piece(self, seq):
        """The report of the tokens since the last piece; None where the request asked for none.

        The end-of-text token is not among them: it stands for the end and not for text.
        """
        if seq.params.num_logprobs is None:
            return None
        token_ids, start = seq.output_token_ids, self.num_told
        self.num_told = len(token_ids)
        if token_ids and token_ids[-1] == self.tokenizer.eos_token_id and not seq.params.ignore_eos:
            token_ids = token_ids[:-1]
        rows = list(zip(token_ids[start:], seq.logprobs[start:], strict=False))
        return self._chat(rows) if self.is_chat else self._completion(rows)

    def _chat(self, rows):
        """As chat completions have them."""
        content = [
            {**self._entry(token, p), "top_logprobs": [self._entry(*each) for each in top]} for token, (p, top) in rows
        ]
        return {"content": content, "refusal": None}

    def _completion(self, rows):
        """As completions have them: one list for each kind."""
        texts, offsets = [self._text(token) for token, _ in rows], []
        for text in texts:
            offsets.append(self.num_chars)
            self.num_chars += len(text)
        return {
            "tokens": texts,
            "token_logprobs": [p for _, (p, _) in rows],
            "top_logprobs": [{self._text(token): p for token, p in top} for _, (_, top) in rows],
            "text_offset": offsets,
        }

    def _entry(self, token_id, logprob):
        text = self._text(token_id)
        token_bytes = getattr(self.tokenizer, "token_bytes", None)
        data = token_bytes(token_id) if token_bytes else text.encode()
        return {"token": text, "logprob": logprob, "bytes": list(data)}

    def _text(self, token_id):
        """A token that is no whole character reads U+FFFD; its bytes say what it is."""
        return self.tokenizer.decode([token_id])
