"""Gives the share of good requests instead of requests per second."""


def goodput(requests, ttft_slo, tpot_slo):
    if ttft_slo <= 0 or tpot_slo <= 0:
        raise ValueError(f"objectives {ttft_slo}, {tpot_slo}")
    if not any(r["token_times"] for r in requests):
        return 0.0
    n = 0
    for r in requests:
        t, s = r["token_times"], r["request_time"]
        if t and (t[0] - s <= ttft_slo and (len(t) < 2 or (t[-1] - t[0]) / (len(t) - 1) <= tpot_slo)):
            n += 1
    return n / (len(requests))
