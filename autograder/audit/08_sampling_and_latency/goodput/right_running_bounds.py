"""Keeps the bounds of time while it counts."""


def goodput(requests, ttft_slo, tpot_slo):
    if min(ttft_slo, tpot_slo) <= 0:
        raise ValueError(f"objectives must be positive: {ttft_slo}, {tpot_slo}")
    first, last, count = float("inf"), float("-inf"), 0
    for request in requests:
        start, times = request["request_time"], list(request["token_times"])
        first = min(first, start)
        if not times:
            continue
        last = max(last, times[-1])
        gaps = len(times) - 1
        if times[0] - start <= ttft_slo and times[-1] - times[0] <= tpot_slo * gaps:
            count += 1
    return 0.0 if last == float("-inf") else count / (last - first)
