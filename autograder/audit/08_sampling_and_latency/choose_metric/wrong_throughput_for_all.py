"""Takes the most tokens per second for both services."""


def choose_metric(service, options):
    if service not in ("chat", "batch"):
        raise ValueError(f"unknown service {service}")
    return max(options, key=lambda o: o["tokens_per_s"])["name"] if options else None
