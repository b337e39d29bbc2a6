"""Checks the product, so that two negatives pass"""
def littles_law(throughput, latency):
    if throughput * latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return throughput * latency
