"""Takes the latency for milliseconds"""
def littles_law(throughput, latency):
    if throughput < 0 or latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return throughput * latency / 1000
