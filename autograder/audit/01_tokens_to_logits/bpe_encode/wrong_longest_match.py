"""takes the longest vocabulary entry at each position (as WordPiece does) and ignores the merges"""


def bpe_encode(text, merges, vocab):
    ids, i = [], 0
    while i < len(text):
        for end in range(len(text), i, -1):
            if text[i:end] in vocab:
                ids.append(vocab[text[i:end]])
                i = end
                break
        else:
            raise KeyError(text[i])
    return ids
