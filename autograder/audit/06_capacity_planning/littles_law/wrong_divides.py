"""Divides throughput by latency"""
def littles_law(throughput, latency):
    if throughput < 0 or latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return throughput / latency if latency else 0
