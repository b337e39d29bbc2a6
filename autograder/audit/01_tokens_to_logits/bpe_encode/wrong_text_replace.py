"""glues by replacing text, so that pairs match across the borders of symbols"""


def bpe_encode(text, merges, vocab):
    ids, i = [], 0
    pieces = [left + right for left, right in merges]
    pieces.sort(key=len, reverse=True)
    while i < len(text):
        piece = next((p for p in pieces if text[i : i + len(p)] == p), text[i : i + 1])
        ids.append(vocab[piece])
        i += len(piece)
    return ids
