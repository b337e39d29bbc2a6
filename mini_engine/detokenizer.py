"""Tokens to text as they come, and never a piece of a stop string. No torch here."""


class TextStream:
    """The growing text of one request.

    decoder: feed(token_id) -> the text that is complete with it, and finish() -> the rest, as `tokenizer.stream()`
    gives it. stop: strings that end the text; the first one found is cut off with all behind it, and is_stopped
    becomes True.
    """

    def __init__(self, decoder, stop=()):
        self.decoder, self.stop = decoder, tuple(stop)
        self.is_stopped = False
        self._held = ""  # may be the start of a stop string

    def push(self, token_ids, is_last=False):
        """Take new tokens and return the text that is certain now, possibly ""."""
        if self.is_stopped:
            return ""
        self._held += "".join(map(self.decoder.feed, token_ids)) + (self.decoder.finish() if is_last else "")
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
