"""The clocks of every measurement: rounds that take turns, calls between events, and the spread of what they found."""

import json
import statistics
import time

import torch


def interleaved(functions, num_rounds, warmup=1):
    """Seconds of each function in each round: {name: [num_rounds]}. Rounds alternate, so a slow moment hits all."""
    times = {name: [] for name in functions}
    for i in range(warmup + num_rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            if i >= warmup:
                times[name].append(time.perf_counter() - start)
    return times


def synchronize(device):
    """Wait until the device has done all it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def time_calls(function, device, num_rounds=20, warmup=3):
    """Seconds of each of num_rounds calls of a function, after warm-up calls.

    On CUDA between events, all queued before the first is awaited, so the clock never sees the host.
    """
    for _ in range(warmup):
        function()
    synchronize(device)
    if torch.device(device).type == "cuda":
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(num_rounds + 1)]
        marks[0].record()
        for mark in marks[1:]:
            function()
            mark.record()
        synchronize(device)
        return [1e-3 * start.elapsed_time(end) for start, end in zip(marks, marks[1:], strict=False)]
    seconds = []
    for _ in range(num_rounds):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


def spread(values):
    """{median, min, max} of a list."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def write_json(path, results):
    """Write results to a file, if a path is given."""
    if path:
        with open(path, "w", encoding="utf-8") as file:
            json.dump(results, file, indent=1)
            file.write("\n")
