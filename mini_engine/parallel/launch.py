"""Start the ranks, watch them, and end them all when one is lost."""

import datetime
import multiprocessing
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path

import torch
import torch.distributed as dist

from mini_engine.generate import check_request
from mini_engine.loading import load_parts
from mini_engine.parallel.links import Links
from mini_engine.parallel.pipeline import pipeline_tokens
from mini_engine.parallel.split import heads_of, stage_part
from mini_engine.parallel.tensor import tensor_tokens

WAYS = {"tensor": tensor_tokens, "pipeline": pipeline_tokens}


class RankLost(RuntimeError):
    """A rank died, failed or did not answer in time; the others have been stopped."""


@dataclass(frozen=True)
class Answer:
    """tokens: a list of ids for each prompt. num_messages, num_bytes: what all ranks sent, payload only."""

    tokens: list
    num_messages: int
    num_bytes: int


def generate_on(size, prompts, num_new, how="tensor", model="smollm2", timeout_s=60, started=None):
    """Continue prompts (lists of ids) greedily by num_new tokens on `size` processes. Returns an Answer.

    how: "tensor" or "pipeline". timeout_s: how long a rank waits for a message. started: called with the list of
    processes once they run. Raises ValueError for a request or a size that does not fit the model, before any process
    starts, and RankLost when a rank dies, with all others stopped.
    """
    config, weights, _ = load_parts(model)
    if how not in WAYS or size < 1 or num_new < 1 or not prompts:
        raise ValueError(f"tensor or pipeline, 1 rank, 1 prompt and 1 token at least: got {how}, {size}, {num_new}")
    for ids in prompts:
        check_request(config, ids, num_new)
    if how == "tensor":
        heads_of(config, 0, size)
    else:
        stage_part(config, weights, 0, min(size, config.num_hidden_layers + 1))
    del weights  # they were here to be checked; each rank loads its own
    return run_ranks(WAYS[how], size, prompts, num_new, model, timeout_s, started)


def run_ranks(way, size, prompts, num_new, model, timeout_s=60, started=None):
    """The Answer of way(config, weights, links, prompts, num_new), a function of a module, on `size` processes.

    The rest, and RankLost, as in generate_on.
    """
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        ends, processes = [], []
        for rank in range(size):
            here, there = context.Pipe(duplex=False)
            args = (rank, size, Path(folder) / "meeting", there, (way, model, prompts, num_new, timeout_s))
            processes.append(context.Process(target=run_rank, args=args, daemon=True))
            processes[-1].start()
            there.close()
            ends.append(here)
        try:
            if started is not None:
                started(processes)
            return joined(collect(processes, ends))
        finally:
            for process in processes:
                process.kill()
                process.join()


def collect(processes, ends):
    """What each rank reports, in order. Raises RankLost as soon as one ends without a report, or reports an error."""
    reports, open_ends = {}, dict(zip(ends, range(len(ends)), strict=True))
    while open_ends:
        failed = {}
        for end in wait(list(open_ends)):
            rank = open_ends.pop(end)
            try:
                reports[rank] = end.recv()
            except EOFError:  # its end of the pipe closed with the process
                processes[rank].join(1)
                failed[rank] = f"ended with exit code {processes[rank].exitcode}"
            else:
                if isinstance(reports[rank], str):
                    failed[rank] = reports[rank]
        if failed:
            # a neighbour may see the broken link before we see the death: look once more who died
            time.sleep(0.2)
            dead = {r: f"was ended by signal {-p.exitcode}" for r, p in enumerate(processes) if (p.exitcode or 0) < 0}
            rank, reason = next(iter((dead or failed).items()))
            raise RankLost(f"rank {rank} of {len(processes)} {reason}; the others were stopped")
    return [reports[rank] for rank in range(len(ends))]


def joined(reports):
    """One Answer of the ranks' (tokens, messages, bytes). Raises RankLost when ranks that should agree do not."""
    told = [tokens for tokens, _, _ in reports if any(tokens)]
    if any(tokens != told[0] for tokens in told):
        raise RankLost("the ranks disagree about the text")
    return Answer(told[0], *(sum(report[i] for report in reports) for i in (1, 2)))


def run_rank(rank, size, meeting, report, request):
    """A rank's whole life: meet the others, compute, report (tokens, messages, bytes) or a line of what went wrong."""
    way, model, prompts, num_new, timeout_s = request
    try:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // size))
        if sys.platform.startswith("linux"):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # nobody outside of this machine may join
        timeout = datetime.timedelta(seconds=timeout_s)
        dist.init_process_group("gloo", f"file://{meeting}", timeout, rank=rank, world_size=size)
        links = Links()
        config, weights, _ = load_parts(model)
        report.send((way(config, weights, links, prompts, num_new), links.num_messages, links.num_bytes))
        dist.barrier()
    except Exception as error:
        report.send(f"failed: {(str(error).strip() or type(error).__name__).splitlines()[0]}")
