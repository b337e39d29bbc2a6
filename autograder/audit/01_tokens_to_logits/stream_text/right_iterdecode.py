"""a list of pieces first, then one decoder over them"""


def stream_text(token_ids, token_bytes):
    ids = [int(i) for i in token_ids]
    bad = [i for i in ids if not 0 <= i < len(token_bytes)]
    if bad:
        raise IndexError(f"token {bad[0]} does not exist")
    decode = codecs.lookup("utf-8").incrementaldecoder("replace").decode
    return [decode(token_bytes[i], False) for i in ids] + [decode(b"", True)]
