"""Rounds down to whole things although the mean need not be whole"""
def littles_law(throughput, latency):
    if throughput < 0 or latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return int(throughput * latency)
