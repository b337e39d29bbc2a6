"""Applies the chat's limits to the overnight job."""


def choose_metric(service, options):
    if service not in ("chat", "batch"):
        raise ValueError(f"unknown service {service}")
    ok = [o for o in options if o["ttft_p95_s"] <= 1.0 and o["itl_p95_s"] <= 0.1]
    return max(ok, key=lambda o: o["tokens_per_s"])["name"] if ok else None
