"""merges only once: one round over the text, new pairs are not looked at again"""


def bpe_encode(text, merges, vocab):
    ranks = {tuple(pair): rank for rank, pair in enumerate(merges)}
    symbols = [text[i : i + 1] for i in range(len(text))]
    known = [pair for pair in zip(symbols, symbols[1:]) if pair in ranks]
    if known:
        best = min(known, key=ranks.get)
        i = 0
        while i + 1 < len(symbols):
            if (symbols[i], symbols[i + 1]) == best:
                symbols[i : i + 2] = [best[0] + best[1]]
            i += 1
    return [vocab[symbol] for symbol in symbols]
