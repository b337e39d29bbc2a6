"""Divides by the time between two arrivals."""
def littles_law(throughput, latency):
    if not (throughput >= 0 and latency >= 0):
        raise ValueError(f"negative: {throughput}, {latency}")
    return latency / (1 / throughput) if throughput else 0.0
