"""Uses np.quantile and the span of the tokens."""


def latency_metrics(token_times, request_time):
    t = np.asarray(token_times, dtype=float)
    if len(t) == 0:
        raise ValueError("no tokens")
    if (np.diff(t) < 0).any() or t[0] < request_time:
        raise ValueError("times go backwards")
    g = np.diff(t) if len(t) > 1 else np.zeros(1)
    q = np.quantile(g, (0.5, 0.95, 0.99))
    return {"ttft_s": float(t[0] - request_time), "tpot_s": float((t[-1] - t[0]) / max(t.size - 1, 1)), "itl_p50_s": float(q[0]), "itl_p95_s": float(q[1]), "itl_p99_s": float(q[2]), "tokens_per_s": float(len(t) / (t[-1] - request_time))}
