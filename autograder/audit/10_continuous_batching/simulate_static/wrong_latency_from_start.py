"""Counts latency from the step in which the request started, without the wait in the queue."""
def simulate_static(requests, batch_size):
    """Serve requests in static batches, step by step.

    requests: list of request dicts. batch_size: places, 1 or more. Returns a result dict (see above).
    Raises ValueError for a batch_size or an output below 1.
    """
    for count in (batch_size, *(request["output"] for request in requests)):
        if count < 1:
            raise ValueError(f"batch_size and output must be at least 1, got {count}")
    queue = sorted(requests, key=lambda request: request["arrival"])
    left = {request["id"]: request["output"] for request in requests}
    batch, running, latency = [], [], {}
    while queue or batch:
        now = len(running)
        if not batch:
            began = now
            batch = [request for request in queue[:batch_size] if request["arrival"] <= now]
            queue = queue[len(batch) :]
        active = [request for request in batch if left[request["id"]]]
        running.append([request["id"] for request in active])
        for request in active:
            left[request["id"]] -= 1
            if not left[request["id"]]:
                latency[request["id"]] = now + 1 - began
        if not any(left[request["id"]] for request in batch):
            batch = []
    tokens, steps = sum(request["output"] for request in requests), len(running)
    return {
        "num_steps": steps,
        "running": running,
        "utilisation": tokens / (steps * batch_size) if steps else 0.0,
        "throughput": tokens / steps if steps else 0.0,
        "latency": latency,
    }
