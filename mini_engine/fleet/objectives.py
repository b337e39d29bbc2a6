"""What a fleet is sized and paid by: requests within their objectives, the highest such rate, replicas, dollars."""

import math
from collections import deque
from dataclasses import dataclass

from mini_engine.speed import need_not_negative, need_positive


@dataclass(frozen=True)
class Objectives:
    """ttft_s, tpot_s: the longest a request may take to its first token, and per token after it, on average.

    share: of all requests that must keep both, failed and refused ones among them.
    """

    ttft_s: float
    tpot_s: float
    share: float = 0.9


def share_within(report, objectives):
    """The part of a load test's requests that kept both objectives. report: of mini_engine.bench.load_test.

    A request that failed or was refused kept none; one of a single token has no time per token to miss.
    """
    good = 0
    for request in report["requests"]:
        times, num_tokens = request["token_times_s"], request["num_output_tokens"]
        tpot_s = (times[-1] - times[0]) / (num_tokens - 1) if num_tokens > 1 else 0.0
        good += times[0] - request["start_s"] <= objectives.ttft_s and tpot_s <= objectives.tpot_s
    return good / (report["num_ok"] + report["num_failed"])


def highest_rate(share_at, share, lowest, highest, within=1.1):
    """The highest rate found at which share_at(rate) >= share, and all that was tried: (rate, {rate: share}).

    Doubles from `lowest` until the objective is missed, then halves the gap on a scale of ratios until its ends are at
    most `within` apart. 0.0 where even `lowest` misses it. Raises ValueError unless 0 < lowest <= highest, within > 1.
    """
    need_positive(lowest=lowest, highest=highest - lowest + 1e-300, within=within - 1)
    tried = {}

    def keeps(rate):
        tried[rate] = share_at(rate)
        return tried[rate] >= share

    good, bad, rate = 0.0, None, lowest
    while bad is None and good < highest:
        good, bad = (rate, None) if keeps(rate) else (good, rate)
        rate = min(2 * rate, highest)
    while good and bad and bad / good > within:
        middle = math.sqrt(good * bad)
        good, bad = (middle, bad) if keeps(middle) else (good, middle)
    return good, tried


class Autoscaler:
    """How many replicas there should be, from the requests that are open: up at once, down only after a while.

    target: open requests (running and waiting) that a replica should have. down_s: the number falls only to the largest
    that was wanted in the last down_s seconds, as in Kubernetes' stabilization window (KEP 853).
    """

    def __init__(self, target, least=1, most=8, down_s=60.0):
        need_positive(target=target, least=least, most=most - least + 1)
        need_not_negative(down_s=down_s)
        self.target, self.least, self.most, self.down_s = target, least, most, down_s
        self._wanted = deque()  # (time, number), of the last down_s seconds

    def replicas(self, now_s, num_open):
        """The number of replicas from now on. Times must not go back, else ValueError."""
        if self._wanted and now_s < self._wanted[-1][0]:
            raise ValueError(f"time went back, from {self._wanted[-1][0]} to {now_s}")
        wanted = min(max(math.ceil(num_open / self.target), self.least), self.most)
        self._wanted.append((now_s, wanted))
        while self._wanted[0][0] < now_s - self.down_s:
            self._wanted.popleft()
        return max(number for _, number in self._wanted)


def dollars_per_million(num_replicas, dollars_per_hour, tokens_per_s):
    """What a million tokens costs: num_replicas at dollars_per_hour each, which write tokens_per_s together."""
    need_positive(num_replicas=num_replicas, tokens_per_s=tokens_per_s)
    need_not_negative(dollars_per_hour=dollars_per_hour)
    return num_replicas * dollars_per_hour / 3600 / tokens_per_s * 1e6


def mm1_rate(service_rate, limit_s, share):
    """Requests per second at which `share` of an M/M/1 queue's requests are done within limit_s, or 0.0.

    The time in the system is exponential with the rate that is left over, service_rate - rate.
    """
    need_positive(service_rate=service_rate, limit_s=limit_s, share=share * (1 - share))
    return max(0.0, service_rate + math.log(1 - share) / limit_s)
