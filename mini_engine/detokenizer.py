"""Tokens to text as they come: whole characters only, and never a piece of a stop string. No torch here."""

MAX_HELD_TOKENS = 8  # longer than any UTF-8 character: what is still broken then stays broken


class TextStream:
    """The growing text of one request.

    tokenizer: anything with decode(ids) -> str that joins without changing what is on either side. stop: strings that
    end the text; the first one found is cut off with all behind it, and is_stopped becomes True.
    """

    def __init__(self, tokenizer, stop=()):
        self.tokenizer, self.stop = tokenizer, tuple(stop)
        self.is_stopped = False
        self._tokens = []  # not yet decoded: they end inside a character
        self._held = ""  # decoded, but may be the start of a stop string

    def push(self, token_ids, is_last=False):
        """Take new tokens and return the text that is certain now, possibly ""."""
        if self.is_stopped:
            return ""
        self._tokens += token_ids
        text = self.tokenizer.decode(self._tokens) if self._tokens else ""
        if text.endswith("\ufffd") and not is_last and len(self._tokens) < MAX_HELD_TOKENS:
            text = ""
        else:
            self._tokens = []
        self._held += text
        found = [place for place in map(self._held.find, self.stop) if place >= 0]
        if found:
            self.is_stopped = True
            return self._release(min(found))
        return self._release(len(self._held) - (0 if is_last else self._num_suspicious()))

    def _num_suspicious(self):
        """Length of the longest end of the held text that a stop string starts with."""
        longest = max(map(len, self.stop), default=1) - 1
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self.stop):
                return size
        return 0

    def _release(self, size):
        text, self._held = self._held[:size], self._held[size:]
        return text
