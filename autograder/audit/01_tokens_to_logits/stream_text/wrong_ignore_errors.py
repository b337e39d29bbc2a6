"""drops bytes that are not UTF-8 instead of showing U+FFFD"""


def stream_text(token_ids, token_bytes):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="ignore")
    shown = []
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        shown.append(decoder.decode(token_bytes[i]))
    return [*shown, decoder.decode(b"", final=True)]
