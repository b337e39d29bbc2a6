"""takes every byte for a character (Latin-1)"""


def stream_text(token_ids, token_bytes):
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
    return [token_bytes[i].decode("latin-1") for i in token_ids] + [""]
