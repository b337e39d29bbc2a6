"""A deque for the queue and a dict of the tokens left for the batch."""
from collections import deque


def simulate_static(requests, batch_size):
    bad = [n for n in [batch_size] + [r["output"] for r in requests] if n < 1]
    if bad:
        raise ValueError(f"{bad[0]} is below 1")
    waiting = deque(sorted(requests, key=lambda r: r["arrival"]))
    arrival = {r["id"]: r["arrival"] for r in requests}
    left, steps, latency = {}, [], {}
    while waiting or left:
        if not left:
            while waiting and waiting[0]["arrival"] <= len(steps) and len(left) < batch_size:
                request = waiting.popleft()
                left[request["id"]] = request["output"]
        steps.append([name for name in left])
        for name in list(left):
            left[name] -= 1
            if left[name] <= 0:
                del left[name]
                latency[name] = len(steps) - arrival[name]
        # names that are left keep the batch closed: nobody joins while `left` has a member
    tokens = float(sum(r["output"] for r in requests))
    n = len(steps)
    return dict(
        num_steps=n,
        running=steps,
        utilisation=tokens / (n * batch_size) if n else 0.0,
        throughput=tokens / n if n else 0.0,
        latency=latency,
    )
