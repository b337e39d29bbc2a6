"""shows nothing until the text has ended"""


def stream_text(token_ids, token_bytes):
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
    ids = list(token_ids)
    return [""] * len(ids) + [b"".join(token_bytes[i] for i in ids).decode("utf-8", errors="replace")]
