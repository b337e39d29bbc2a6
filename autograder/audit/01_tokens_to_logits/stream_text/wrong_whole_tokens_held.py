"""holds a whole token back when its end is unfinished, with the complete characters in it"""


def stream_text(token_ids, token_bytes):
    shown, held = [], b""
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        held += token_bytes[i]
        try:
            shown.append(held.decode("utf-8"))
            held = b""
        except UnicodeDecodeError:
            shown.append("")
    return [*shown, held.decode("utf-8", errors="replace")]
