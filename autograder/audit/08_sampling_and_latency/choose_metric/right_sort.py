"""Sorts stably by tokens per second."""


def choose_metric(service, options):
    limits = {"chat": (1.0, 0.1), "batch": (float("inf"), float("inf"))}
    if service not in limits:
        raise ValueError(f"{service} is neither chat nor batch")
    ttft, itl = limits[service]
    ranked = sorted((o for o in options if o["ttft_p95_s"] <= ttft and o["itl_p95_s"] <= itl), key=lambda o: -o["tokens_per_s"])
    return ranked[0]["name"] if ranked else None
