"""glues overlapping pairs from right to left"""


def bpe_encode(text, merges, vocab):
    symbols = [text[i : i + 1] for i in range(len(text))]
    for left, right in merges:
        for i in range(len(symbols) - 2, -1, -1):
            if i + 1 < len(symbols) and symbols[i] == left and symbols[i + 1] == right:
                symbols[i : i + 2] = [left + right]
    return [vocab[symbol] for symbol in symbols]
