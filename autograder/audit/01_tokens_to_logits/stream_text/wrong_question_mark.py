"""drops trailing replacement characters, as if only they could be unfinished"""


def stream_text(token_ids, token_bytes):
    shown, data, before = [], b"", ""
    for i in token_ids:
        if not 0 <= i < len(token_bytes):
            raise IndexError(f"token id {i} is outside the vocabulary of {len(token_bytes)}")
        data += token_bytes[i]
        text = data.decode("utf-8", errors="replace").rstrip("\ufffd")
        shown.append(text[len(before) :])
        before = text
    return [*shown, ""]
