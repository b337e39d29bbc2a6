"""Takes the lowest latency for the chat, not the most tokens within its limits."""


def choose_metric(service, options):
    if service not in ("chat", "batch"):
        raise ValueError(f"unknown service {service}")
    ok = [o for o in options if service == "batch" or (o["ttft_p95_s"] <= 1.0 and o["itl_p95_s"] <= 0.1)]
    if not ok:
        return None
    if service == "chat":
        return min(ok, key=lambda o: o["ttft_p95_s"])["name"]
    return max(ok, key=lambda o: o["tokens_per_s"])["name"]
