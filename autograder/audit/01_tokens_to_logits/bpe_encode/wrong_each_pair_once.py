"""merges only the first occurrence of each pair and moves on to the next rank"""


def bpe_encode(text, merges, vocab):
    symbols = [text[i : i + 1] for i in range(len(text))]
    for left, right in merges:
        for i in range(len(symbols) - 1):
            if symbols[i] == left and symbols[i + 1] == right:
                symbols[i : i + 2] = [left + right]
                break
    return [vocab[symbol] for symbol in symbols]
