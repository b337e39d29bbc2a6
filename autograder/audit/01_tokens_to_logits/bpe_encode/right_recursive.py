"""one merge per call"""


def bpe_encode(text, merges, vocab):
    order = [tuple(pair) for pair in merges]

    def merge(symbols):
        pairs = set(zip(symbols, symbols[1:]))
        best = next((pair for pair in order if pair in pairs), None)
        if best is None:
            return symbols
        out = []
        for symbol in symbols:
            if out and out[-1] is not None and (out[-1], symbol) == best:
                out[-1] = best[0] + best[1]
                out.append(None)
            else:
                if out and out[-1] is None:
                    out.pop()
                out.append(symbol)
        return merge([symbol for symbol in out if symbol is not None])

    return [vocab[symbol] for symbol in merge([text[i : i + 1] for i in range(len(text))])]
