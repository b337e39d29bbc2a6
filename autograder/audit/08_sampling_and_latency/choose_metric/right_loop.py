"""Keeps the best so far in a loop."""


def choose_metric(service, options):
    if service not in ("chat", "batch"):
        raise ValueError(f"unknown service {service}")
    best = None
    for o in options:
        if service == "chat" and not (o["ttft_p95_s"] <= 1 and o["itl_p95_s"] <= 0.1):
            continue
        if best is None or o["tokens_per_s"] > best["tokens_per_s"]:
            best = o
    return best and best["name"]
