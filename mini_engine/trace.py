"""A workload through the real scheduler without a model: what the figures replay and the simulators are tested against.

No torch here, so that it runs in the browser too.
"""

from dataclasses import dataclass

from mini_engine.sequence import SamplingParams, Sequence


@dataclass(frozen=True)
class Request:
    """A request of a simulated workload: when it comes (seconds), its prompt, and how many tokens it will get.

    prompt: token ids, or a count of tokens of its own (shared with no other request).
    """

    arrival_s: float
    prompt: int | tuple[int, ...]
    num_output_tokens: int


def one_second(num_tokens):
    """The default clock: every step lasts one second, so that times count steps."""
    return 1.0


def trace(scheduler, requests, step_s=one_second, max_steps=100_000):
    """Serve requests to their end and record every step: (sequences, steps).

    scheduler: a fresh Scheduler. requests: list of Request; their places in it are the seq_ids. step_s(num_tokens):
    seconds of a step that computes so many tokens. Each step is a dict: start_s, end_s, rows (seq_id, num_new_tokens,
    is_prefill: also what is computed again after a preemption), preempted, waiting and running (seq_ids),
    num_free_blocks, and block_tables by seq_id. The sequences have their token_times on the simulated clock.
    Raises RuntimeError when the requests do not end.
    """
    sequences = [_sequence(i, request) for i, request in enumerate(requests)]
    pending = sorted(sequences, key=lambda seq: (seq.arrival_time, seq.seq_id))
    now, steps = 0.0, []
    while pending or scheduler.has_unfinished:
        if not scheduler.has_unfinished:
            now = max(now, pending[0].arrival_time)
        while pending and pending[0].arrival_time <= now:
            scheduler.add(pending.pop(0))
        output = scheduler.step()
        if not output.rows or len(steps) >= max_steps:
            raise RuntimeError(f"the requests do not end: {len(output.rows)} rows in step {len(steps)}")
        start, now = now, now + step_s(sum(row.num_new_tokens for row in output.rows))
        steps.append(_record(scheduler, output, start, now))
        for row in output.rows:
            row.seq.commit(row.num_new_tokens, [_token(row.seq)] if row.is_last_chunk else [], now)
            scheduler.update(row.seq)
    return sequences, steps


def _sequence(index, request):
    prompt = request.prompt
    if isinstance(prompt, int):
        prompt = [_own(index, i) for i in range(prompt)]
    params = SamplingParams(max_tokens=request.num_output_tokens)
    return Sequence(index, list(prompt), params, request.arrival_s)


def _own(index, position):
    """A token id that no other request has at any position, and that no explicit prompt uses: below zero."""
    return -1 - (index * 1_000_003 + position)


def _token(seq):
    return _own(seq.seq_id, seq.num_tokens)


def _record(scheduler, output, start_s, end_s):
    """One step as plain data, taken before the rows are committed."""
    return {
        "start_s": start_s,
        "end_s": end_s,
        "rows": [
            {
                "seq_id": row.seq.seq_id,
                "num_new_tokens": row.num_new_tokens,
                "is_prefill": row.seq.num_uncomputed_tokens > 1 or not row.seq.num_output_tokens,
            }
            for row in output.rows
        ],
        "preempted": [seq.seq_id for seq in output.preempted],
        "waiting": [seq.seq_id for seq in scheduler.waiting],
        "running": [seq.seq_id for seq in scheduler.running],
        "num_free_blocks": scheduler.block_manager.num_free_blocks,
        "block_tables": {seq.seq_id: list(seq.block_table) for seq in scheduler.running},
    }
