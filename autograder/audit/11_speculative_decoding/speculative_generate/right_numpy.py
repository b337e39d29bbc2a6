"""Counts agreement by a cumulative product."""
def speculative_generate(target, draft, ids, k, max_new):
    if not list(ids) or k < 0 or max_new < 0:
        raise ValueError("bad arguments")
    text = np.array(ids, dtype=np.int64)
    goal, passes = text.size + max_new, 0
    while text.size < goal:
        tried = text
        for _ in range(min(k, goal - text.size - 1)):
            tried = np.append(tried, np.argmax(draft(tried.tolist())[-1]))
        answers = np.argmax(target(tried.tolist()), axis=1)
        passes += 1
        n = text.size
        agree = int(np.cumprod(tried[n:] == answers[n - 1 : -1]).sum())
        text = np.concatenate([tried[: n + agree], answers[n + agree - 1 : n + agree]])
    return text.tolist(), passes
