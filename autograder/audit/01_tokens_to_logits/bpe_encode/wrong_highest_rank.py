"""merges the pair with the highest rank first"""


def bpe_encode(text, merges, vocab):
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    symbols = [text[i : i + 1] for i in range(len(text))]
    while True:
        known = [i for i, pair in enumerate(zip(symbols, symbols[1:])) if pair in ranks]
        if not known:
            return [vocab[symbol] for symbol in symbols]
        i = max(known, key=lambda i: ranks[symbols[i], symbols[i + 1]])
        symbols[i : i + 2] = [symbols[i] + symbols[i + 1]]
