"""Lets only one request join before each step."""
def simulate_continuous(requests, batch_size):
    """Serve requests with a batch that is filled again before every step.

    requests: list of request dicts. batch_size: places, 1 or more. Returns a result dict as simulate_static does.
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
        if queue and queue[0]["arrival"] <= now and len(batch) < batch_size:
            batch.append(queue.pop(0))
        running.append([request["id"] for request in batch])
        for request in batch:
            left[request["id"]] -= 1
            latency[request["id"]] = now + 1 - request["arrival"]  # the last one written stays
        batch = [request for request in batch if left[request["id"]]]
    tokens, steps = sum(request["output"] for request in requests), len(running)
    return {
        "num_steps": steps,
        "running": running,
        "utilisation": tokens / (steps * batch_size) if steps else 0.0,
        "throughput": tokens / steps if steps else 0.0,
        "latency": latency,
    }
