"""one decoder for all calls: the rest of one text begins the next"""

DECODER = codecs.getincrementaldecoder("utf-8")(errors="replace")


def stream_text(token_ids, token_bytes):
    shown = []
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        shown.append(DECODER.decode(token_bytes[i]))
    return [*shown, DECODER.decode(b"", final=False)]
