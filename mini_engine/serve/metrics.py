"""Counters and histograms in Prometheus' text form, version 0.0.4 (prometheus.io, "Exposition formats")."""

from bisect import bisect_left
from threading import Lock

TTFT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TPOT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

# name in the engine's snapshot -> (metric, kind, help)
SNAPSHOT_METRICS = {
    "num_running": ("requests_running", "gauge", "Requests that hold blocks."),
    "num_waiting": ("requests_waiting", "gauge", "Requests in the queue."),
    "num_blocks": ("kv_blocks", "gauge", "Blocks of the KV pool."),
    "num_available_blocks": ("kv_blocks_available", "gauge", "Blocks that are free, or cached and unused."),
    "num_steps": ("steps_total", "counter", "Scheduling steps."),
    "num_generated_tokens": ("generation_tokens_total", "counter", "Tokens generated."),
    "num_computed_tokens": ("computed_tokens_total", "counter", "Tokens fed to the model."),
    "num_preemptions": ("preemptions_total", "counter", "Sequences preempted."),
    "num_draft_tokens": ("draft_tokens_total", "counter", "Speculative tokens proposed."),
    "num_accepted_tokens": ("accepted_tokens_total", "counter", "Speculative tokens accepted."),
    "num_queried_tokens": ("prefix_queried_tokens_total", "counter", "Prompt tokens looked up in the prefix cache."),
    "num_hit_tokens": ("prefix_hit_tokens_total", "counter", "Prompt tokens found there."),
}


class Histogram:
    """Counts of observations up to each bound, their sum and their number. Safe to use from several threads."""

    def __init__(self, name, help_text, bounds):
        self.name, self.help_text, self.bounds = name, help_text, bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0
        self._lock = Lock()

    def observe(self, value):
        """Count one value."""
        with self._lock:
            self._counts[bisect_left(self.bounds, value)] += 1
            self._sum += value

    def lines(self):
        """The metric in text form; buckets are cumulative."""
        with self._lock:
            counts, total = list(self._counts), self._sum
        result, running = [f"# HELP {self.name} {self.help_text}", f"# TYPE {self.name} histogram"], 0
        for bound, count in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
            running += count
            result.append(f'{self.name}_bucket{{le="{bound}"}} {running}')
        return [*result, f"{self.name}_sum {total}", f"{self.name}_count {running}"]


class Metrics:
    """What the server reports: the engine's snapshot, latencies, and finished requests by reason."""

    def __init__(self, prefix="mini_engine"):
        self.prefix = prefix
        self.ttft = Histogram(f"{prefix}_time_to_first_token_seconds", "Arrival to first token.", TTFT_BUCKETS_S)
        self.tpot = Histogram(f"{prefix}_time_per_output_token_seconds", "Mean after the first.", TPOT_BUCKETS_S)
        self._finished = {"stop": 0, "length": 0}

    def observe(self, seq):
        """Count a sequence that has ended by itself."""
        self._finished[seq.finish_reason] += 1
        for histogram, value in ((self.ttft, seq.ttft_s), (self.tpot, seq.tpot_s)):
            if value is not None:
                histogram.observe(value)

    def render(self, snapshot):
        """The page behind /metrics."""
        lines = []
        for key, (name, kind, help_text) in SNAPSHOT_METRICS.items():
            name = f"{self.prefix}_{name}"
            lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}", f"{name} {snapshot[key]}"]
        name = f"{self.prefix}_requests_finished_total"
        lines += [f"# HELP {name} Requests ended, by reason.", f"# TYPE {name} counter"]
        lines += [f'{name}{{reason="{reason}"}} {count}' for reason, count in self._finished.items()]
        return "\n".join([*lines, *self.ttft.lines(), *self.tpot.lines()]) + "\n"
