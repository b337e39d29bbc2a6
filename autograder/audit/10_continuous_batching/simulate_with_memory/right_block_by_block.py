"""Hands out blocks one by one, request by request, as an engine does."""
def simulate_with_memory(requests, n_blocks, block_size, policy):
    for n in (n_blocks, block_size):
        if n < 1:
            raise ValueError(f"{n} is below 1")
    if policy != "reserve" and policy != "preempt":
        raise ValueError(f"policy {policy}")
    size = {}
    for r in requests:
        if r["output"] < 1:
            raise ValueError(f"output {r['output']}")
        size[r["id"]] = (r["prompt"] + r["output"] - 2) // block_size + 1
        if size[r["id"]] > n_blocks:
            raise ValueError(f"request {r['id']} does not fit")
    queue = sorted(requests, key=lambda r: r["arrival"])
    free, held, tokens = n_blocks, {}, {r["id"]: r["prompt"] for r in requests}
    batch, running, used, preempted, latency, again = [], [], [], [], {}, 0
    while queue or batch:
        now, victims, i = len(running), [], 0
        while policy == "preempt" and i < len(batch):
            name = batch[i]["id"]
            if tokens[name] <= held[name] * block_size:
                i += 1
            elif free:
                free, held[name] = free - 1, held[name] + 1
            else:
                victim = batch.pop()
                free += held.pop(victim["id"])
                queue.insert(0, victim)
                victims.append(victim["id"])
                again += tokens[victim["id"]] - 1
        while queue and not victims and queue[0]["arrival"] <= now:
            name = queue[0]["id"]
            need = size[name] if policy == "reserve" else (tokens[name] + block_size - 1) // block_size
            if need > free:
                break
            free, held[name] = free - need, need
            batch.append(queue.pop(0))
        running.append([r["id"] for r in batch])
        used.append(n_blocks - free)
        preempted.append(victims)
        for r in list(batch):
            tokens[r["id"]] += 1
            if tokens[r["id"]] == r["prompt"] + r["output"]:
                latency[r["id"]] = now + 1 - r["arrival"]
                free += held.pop(r["id"])
                batch.remove(r)
    steps = len(running)
    return {
        "num_steps": steps,
        "running": running,
        "used_blocks": used,
        "utilisation": sum(used) / (steps * n_blocks) if steps else 0.0,
        "throughput": sum(r["output"] for r in requests) / steps if steps else 0.0,
        "latency": latency,
        "preempted": preempted,
        "recomputed_tokens": again,
    }
