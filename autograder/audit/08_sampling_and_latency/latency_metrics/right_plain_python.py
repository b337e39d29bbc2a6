"""Works in plain Python with the statistics spelled out."""


def latency_metrics(token_times, request_time):
    times = [float(t) for t in token_times]
    if not times:
        raise ValueError("no token times")
    previous, gaps = float(request_time), []
    for t in times:
        if t < previous:
            raise ValueError(f"{t} comes before {previous}")
        gaps.append(t - previous)
        previous = t
    later = sorted(gaps[1:]) or [0.0]

    def percentile(q):
        place = q * (len(later) - 1)
        low = int(place)
        return later[low] + (place - low) * (later[min(low + 1, len(later) - 1)] - later[low])

    return {
        "ttft_s": gaps[0],
        "tpot_s": sum(later) / len(later),
        "itl_p50_s": percentile(0.5),
        "itl_p95_s": percentile(0.95),
        "itl_p99_s": percentile(0.99),
        "tokens_per_s": len(times) / sum(gaps),
    }
