"""an unfinished character at the end of the text is dropped"""


def stream_text(token_ids, token_bytes):
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    shown = []
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        shown.append(decoder.decode(token_bytes[i]))
    return [*shown, ""]
