"""decodes each token by itself: a split character becomes two replacement characters"""


def stream_text(token_ids, token_bytes):
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
    return [token_bytes[i].decode("utf-8", errors="replace") for i in token_ids] + [""]
