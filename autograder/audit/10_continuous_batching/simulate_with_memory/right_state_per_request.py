"""A record per request; blocks of a step are computed in one place."""
import math


def simulate_with_memory(requests, n_blocks, block_size, policy):
    if policy not in {"reserve", "preempt"}:
        raise ValueError(f"unknown policy {policy}")
    if n_blocks < 1 or block_size < 1:
        raise ValueError(f"n_blocks {n_blocks}, block_size {block_size}")
    jobs = []
    for r in requests:
        if r["output"] < 1:
            raise ValueError(f"output {r['output']} of {r['id']}")
        full = math.ceil((r["prompt"] + r["output"] - 1) / block_size)
        if full > n_blocks:
            raise ValueError(f"{r['id']} will never fit")
        jobs.append({"r": r, "done": 0, "full": full})
    waiting = sorted(jobs, key=lambda j: j["r"]["arrival"])
    active, log, lost, latency = [], [], 0, {}

    def need(job):
        return job["full"] if policy == "reserve" else math.ceil((job["r"]["prompt"] + job["done"]) / block_size)

    while waiting or active:
        t, out = len(log), []
        while sum(map(need, active)) > n_blocks:
            job = active.pop()
            lost += job["r"]["prompt"] + job["done"] - 1
            out.append(job["r"]["id"])
            waiting = [job] + waiting
        while waiting and waiting[0]["r"]["arrival"] <= t and sum(map(need, active)) + need(waiting[0]) <= n_blocks:
            if out:
                break
            active.append(waiting.pop(0))
        log.append(([j["r"]["id"] for j in active], sum(map(need, active)), out))
        for job in active:
            job["done"] += 1
            if job["done"] == job["r"]["output"]:
                latency[job["r"]["id"]] = t + 1 - job["r"]["arrival"]
        active = [j for j in active if j["done"] < j["r"]["output"]]
    n = len(log)
    return {
        "num_steps": n,
        "running": [ids for ids, _, _ in log],
        "used_blocks": [used for _, used, _ in log],
        "utilisation": sum(used for _, used, _ in log) / n / n_blocks if n else 0.0,
        "throughput": sum(len(ids) for ids, _, _ in log) / n if n else 0.0,
        "latency": latency,
        "preempted": [out for _, _, out in log],
        "recomputed_tokens": lost,
    }
