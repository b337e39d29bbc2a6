"""What the server reports at /metrics, in Prometheus' text form."""

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily as Counters
from prometheus_client.core import GaugeMetricFamily as Gauges

TTFT_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TPOT_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

# name in the engine's snapshot -> (metric, its kind, help); a counter's name gets the ending _total
SNAPSHOT_METRICS = {
    "num_running": ("requests_running", Gauges, "Requests that hold blocks."),
    "num_waiting": ("requests_waiting", Gauges, "Requests in the queue."),
    "num_blocks": ("kv_blocks", Gauges, "Blocks of the KV pool."),
    "num_available_blocks": ("kv_blocks_available", Gauges, "Blocks that are free, or cached and unused."),
    "num_steps": ("steps", Counters, "Scheduling steps."),
    "num_generated_tokens": ("generation_tokens", Counters, "Tokens generated."),
    "num_computed_tokens": ("computed_tokens", Counters, "Tokens fed to the model."),
    "num_preemptions": ("preemptions", Counters, "Sequences preempted."),
    "num_draft_tokens": ("draft_tokens", Counters, "Speculative tokens proposed."),
    "num_accepted_tokens": ("accepted_tokens", Counters, "Speculative tokens accepted."),
    "num_queried_tokens": ("prefix_queried_tokens", Counters, "Prompt tokens looked up in the prefix cache."),
    "num_hit_tokens": ("prefix_hit_tokens", Counters, "Prompt tokens found there."),
}


disable_created_metrics()  # a gauge beside every counter that says when it was made


class Metrics:
    """What the server reports: the engine's snapshot, latencies, and finished requests by reason."""

    def __init__(self, prefix="mini_engine"):
        self.prefix = prefix
        self._snapshot = None
        self._registry = CollectorRegistry()
        self._registry.register(self)
        self._finished = self._metric(Counter, "requests_finished", "Requests ended, by reason.", labelnames=["reason"])
        for reason in ("stop", "length"):  # so that both are reported from the start
            self._finished.labels(reason)
        self._ttft = self._metric(
            Histogram, "time_to_first_token_seconds", "Arrival to first token.", buckets=TTFT_BUCKETS_S
        )
        self._tpot = self._metric(
            Histogram, "time_per_output_token_seconds", "Mean after the first.", buckets=TPOT_BUCKETS_S
        )

    def _metric(self, kind, name, help_text, **options):
        return kind(f"{self.prefix}_{name}", help_text, registry=self._registry, **options)

    def observe(self, seq):
        """Count a sequence that has ended by itself."""
        self._finished.labels(seq.finish_reason).inc()
        for histogram, value in ((self._ttft, seq.ttft_s), (self._tpot, seq.tpot_s)):
            if value is not None:
                histogram.observe(value)

    def collect(self):
        """The snapshot as metrics; prometheus_client calls this for each page."""
        for key, (name, kind, help_text) in SNAPSHOT_METRICS.items() if self._snapshot else ():
            yield kind(f"{self.prefix}_{name}", help_text, value=self._snapshot[key])

    def render(self, snapshot):
        """The page behind /metrics, with an AsyncEngine's snapshot."""
        self._snapshot = snapshot
        return generate_latest(self._registry).decode()
