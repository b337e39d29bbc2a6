"""Refuses a throughput of 0"""
def littles_law(throughput, latency):
    if throughput <= 0 or latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return throughput * latency
