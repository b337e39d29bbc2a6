"""A preempted request starts again from its prompt and loses what it has written."""
def simulate_with_memory(requests, n_blocks, block_size, policy):
    """Serve requests within a KV cache of n_blocks blocks of block_size tokens.

    requests: list of request dicts. policy: "reserve" (hold the blocks of the last step from the start) or "preempt"
    (grow, and send the last joiner back to the queue when the blocks run out). Returns a result dict (see above).
    Raises ValueError for sizes below 1, an unknown policy, and a request that does not fit alone.
    """
    for count in (n_blocks, block_size, *(request["output"] for request in requests)):
        if count < 1:
            raise ValueError(f"n_blocks, block_size and output must be at least 1, got {count}")
    if policy not in ("reserve", "preempt"):
        raise ValueError(f'policy must be "reserve" or "preempt", got {policy!r}')
    written = {request["id"]: 0 for request in requests}

    def blocks(request, is_last=policy == "reserve"):
        tokens = request["prompt"] + (request["output"] - 1 if is_last else written[request["id"]])
        return -(-tokens // block_size)

    for request in requests:
        if blocks(request, True) > n_blocks:
            raise ValueError(f"request {request['id']} needs {blocks(request, True)} blocks, there are {n_blocks}")
    queue = sorted(requests, key=lambda request: request["arrival"])
    batch, running, used, preempted, latency, thrown_away = [], [], [], [], {}, 0
    while queue or batch:
        now, victims = len(running), []
        while sum(blocks(request) for request in batch) > n_blocks:
            victim = batch.pop()
            queue.insert(0, victim)
            victims.append(victim["id"])
            thrown_away += victim["prompt"] + written[victim["id"]] - 1
            written[victim["id"]] = 0
        free = n_blocks - sum(blocks(request) for request in batch)
        while not victims and queue and queue[0]["arrival"] <= now and blocks(queue[0]) <= free:
            free -= blocks(queue[0])
            batch.append(queue.pop(0))
        running.append([request["id"] for request in batch])
        used.append(n_blocks - free)
        preempted.append(victims)
        for request in batch:
            written[request["id"]] += 1
            latency[request["id"]] = now + 1 - request["arrival"]  # the last one written stays
        batch = [request for request in batch if written[request["id"]] < request["output"]]
    steps = len(running)
    return {
        "num_steps": steps,
        "running": running,
        "used_blocks": used,
        "utilisation": sum(used) / (steps * n_blocks) if steps else 0.0,
        "throughput": sum(written.values()) / steps if steps else 0.0,
        "latency": latency,
        "preempted": preempted,
        "recomputed_tokens": thrown_away,
    }
