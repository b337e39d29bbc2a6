"""A list of places, each empty or with a request, and the order of joining kept beside it."""
def simulate_continuous(requests, batch_size):
    for n in [batch_size] + [r["output"] for r in requests]:
        if n < 1:
            raise ValueError(f"{n} is below 1")
    waiting = sorted(range(len(requests)), key=lambda i: (requests[i]["arrival"], i))
    places, left, steps, latency, order = [None] * batch_size, {}, [], {}, []
    while waiting or any(p is not None for p in places):
        for j in range(batch_size):
            if places[j] is None and waiting and requests[waiting[0]]["arrival"] <= len(steps):
                places[j] = waiting.pop(0)
                left[places[j]] = requests[places[j]]["output"]
                order.append(places[j])
        steps.append([requests[i]["id"] for i in order if i in places])
        for j, i in enumerate(places):
            if i is not None:
                left[i] -= 1
                if left[i] == 0:
                    latency[requests[i]["id"]] = len(steps) - requests[i]["arrival"]
                    places[j] = None
    n, tokens = len(steps), sum(len(step) for step in steps)
    utilisation, throughput = (tokens / (n * batch_size), tokens / n) if n else (0.0, 0.0)
    return {"num_steps": n, "running": steps, "utilisation": utilisation, "throughput": throughput, "latency": latency}
