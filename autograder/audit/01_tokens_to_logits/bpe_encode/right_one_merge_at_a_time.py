"""the leftmost pair of the lowest rank, one at a time, as a priority queue would give it"""


def bpe_encode(text, merges, vocab):
    ranks = {(left, right): rank for rank, (left, right) in enumerate(merges)}
    symbols = [text[i : i + 1] for i in range(len(text))]
    while len(symbols) > 1:
        found = [(ranks[symbols[i], symbols[i + 1]], i) for i in range(len(symbols) - 1) if (symbols[i], symbols[i + 1]) in ranks]
        if not found:
            break
        i = min(found)[1]
        symbols = symbols[:i] + [symbols[i] + symbols[i + 1]] + symbols[i + 2 :]
    ids = []
    for symbol in symbols:
        if symbol not in vocab:
            raise KeyError(f"no id for {symbol!r}")
        ids.append(vocab[symbol])
    return ids
