"""Multiplies with NumPy."""
def littles_law(throughput, latency):
    if throughput < 0 or latency < 0:
        raise ValueError(f"got {throughput} and {latency}")
    return float(__import__('numpy').multiply(throughput, latency))
