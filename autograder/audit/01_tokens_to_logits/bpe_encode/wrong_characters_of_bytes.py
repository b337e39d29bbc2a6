"""takes bytes apart with list(), which gives integers that no merge knows"""


def bpe_encode(text, merges, vocab):
    symbols = list(text)
    for left, right in merges:
        i = 0
        while i + 1 < len(symbols):
            if symbols[i] == left and symbols[i + 1] == right:
                symbols[i : i + 2] = [left + right]
            i += 1
    return [vocab[symbol] for symbol in symbols]
