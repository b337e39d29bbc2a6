"""min(1, p/q) written out, and a loop for the draw."""
def speculative_step(p, q, draft_tokens, rng):
    k = len(draft_tokens)
    if len(p) != k + 1 or len(q) != k:
        raise ValueError(f"p has {len(p)} rows, q {len(q)}, the draft {k} tokens")

    def pick(weights):
        weights = [float(w) for w in weights]
        left = rng.random() * sum(weights)
        for token, w in enumerate(weights):
            left -= w
            if left < 0:
                return token
        return max(t for t, w in enumerate(weights) if w > 0)

    out = []
    for i in range(k):
        x = draft_tokens[i]
        if rng.random() < min(1.0, float(p[i][x]) / float(q[i][x])):
            out.append(int(x))
        else:
            rest = [max(float(a) - float(b), 0.0) for a, b in zip(p[i], q[i])]
            out.append(pick(rest if sum(rest) > 0 else p[i]))
            return out
    out.append(pick(p[-1]))
    return out
