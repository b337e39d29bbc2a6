"""Batch by batch with whole intervals; the steps are filled in afterwards."""
def simulate_static(requests, batch_size):
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size}")
    for r in requests:
        if r["output"] < 1:
            raise ValueError(f"output {r['output']}")
    queue = sorted(requests, key=lambda r: r["arrival"])
    running, latency, clock = [], {}, 0
    while queue:
        clock = max(clock, queue[0]["arrival"])
        running += [[] for _ in range(clock - len(running))]
        members = [r for r in queue if r["arrival"] <= clock][:batch_size]
        queue = queue[len(members) :]
        for step in range(max(r["output"] for r in members)):
            running.append([r["id"] for r in members if r["output"] > step])
        for r in members:
            latency[r["id"]] = clock + r["output"] - r["arrival"]
        clock = len(running)
    tokens = sum(len(ids) for ids in running)
    return {
        "num_steps": clock,
        "running": running,
        "utilisation": tokens / clock / batch_size if clock else 0.0,
        "throughput": tokens / clock if clock else 0.0,
        "latency": latency,
    }
