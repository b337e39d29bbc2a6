"""Uses latency_metrics of exercise 9."""


def goodput(requests, ttft_slo, tpot_slo):
    for slo in (ttft_slo, tpot_slo):
        if not slo > 0:
            raise ValueError(f"bad objective {slo}")
    done = [r for r in requests if len(r["token_times"]) > 0]
    if not done:
        return 0.0
    measured = [latency_metrics(r["token_times"], r["request_time"]) for r in done]
    good = sum(m["ttft_s"] <= ttft_slo and m["tpot_s"] <= tpot_slo + 1e-12 for m in measured)
    end = max(r["token_times"][-1] for r in done)
    return good / (end - min(r["request_time"] for r in requests))
