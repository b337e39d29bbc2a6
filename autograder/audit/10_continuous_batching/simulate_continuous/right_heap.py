"""Places as a heap of the times at which they become free."""
import heapq


def simulate_continuous(requests, batch_size):
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size}")
    if any(r["output"] < 1 for r in requests):
        raise ValueError(f"output {min(r['output'] for r in requests)}")
    free, spans, latency = [0] * batch_size, [], {}
    for r in sorted(requests, key=lambda r: r["arrival"]):
        start = max(heapq.heappop(free), r["arrival"])
        heapq.heappush(free, start + r["output"])
        spans.append((r["id"], start, start + r["output"]))
        latency[r["id"]] = start + r["output"] - r["arrival"]
    steps = max((end for _, _, end in spans), default=0)
    running = [[name for name, start, end in spans if start <= t < end] for t in range(steps)]
    tokens = sum(r["output"] for r in requests)
    return {
        "num_steps": steps,
        "running": running,
        "utilisation": tokens / (batch_size * steps) if steps else 0.0,
        "throughput": tokens / steps if steps else 0.0,
        "latency": latency,
    }
