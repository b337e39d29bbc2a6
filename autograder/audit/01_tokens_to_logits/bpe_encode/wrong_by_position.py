"""merges from left to right by position in the text instead of by rank"""


def bpe_encode(text, merges, vocab):
    known = {tuple(pair) for pair in merges}
    symbols = [text[i : i + 1] for i in range(len(text))]
    i = 0
    while i + 1 < len(symbols):
        if (symbols[i], symbols[i + 1]) in known:
            symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
            i = max(i - 1, 0)
        else:
            i += 1
    return [vocab[symbol] for symbol in symbols]
