"""puts what is left at the end into the last token's string"""


def stream_text(token_ids, token_bytes):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown = []
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        shown.append(decoder.decode(token_bytes[i]))
    rest = decoder.decode(b"", final=True)
    return [*shown[:-1], shown[-1] + rest] if shown else [rest]
