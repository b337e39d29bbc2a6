"""Looks at the TTFT alone: text that freezes passes."""


def choose_metric(service, options):
    if service not in ("chat", "batch"):
        raise ValueError(f"unknown service {service}")
    ok = [o for o in options if service == "batch" or o["ttft_p95_s"] <= 1.0]
    return max(ok, key=lambda o: o["tokens_per_s"])["name"] if ok else None
