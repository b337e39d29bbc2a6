"""Three workloads as texts, always the same: chats that grow, agents behind long instructions, reasoning.

Texts and lengths are made up, so that a CPU can serve them; what they keep of the real ones is which beginnings are
shared. A turn holds the turns before it, with a made-up answer in the model's place.
"""

import random
from collections import Counter
from dataclasses import dataclass

from mini_engine.fleet.router import Router

WORDS = "cat sea iron moon paper river salt glass seven green about under never after house small light stone".split()


@dataclass(frozen=True)
class Turn:
    """One request: its prompt, how many tokens its answer has, and whose it is."""

    session: int
    prompt: str
    max_tokens: int


@dataclass(frozen=True)
class Kind:
    """Sessions of num_turns turns: `shared` words that all begin with, `own` of the session, `added` a turn."""

    num_sessions: int
    num_turns: int
    shared: int
    own: int
    added: int
    max_tokens: int


KINDS = {
    "chat": Kind(num_sessions=20, num_turns=6, shared=24, own=12, added=40, max_tokens=24),
    "agent": Kind(num_sessions=10, num_turns=12, shared=120, own=40, added=30, max_tokens=8),
    "reasoning": Kind(num_sessions=120, num_turns=1, shared=0, own=48, added=0, max_tokens=96),
}


def make_trace(kind, seed=0):
    """The Turns of a kind in the order they arrive; a session's own turns keep theirs. Raises ValueError for others."""
    if kind not in KINDS:
        raise ValueError(f"a trace is one of {', '.join(KINDS)}, got {kind!r}")
    sizes, rng = KINDS[kind], random.Random(f"{kind} {seed}")

    def words(count):
        return " ".join(rng.choices(WORDS, k=count))

    shared = words(sizes.shared)
    texts = [f"{shared} user {i}: {words(sizes.own)}".strip() for i in range(sizes.num_sessions)]
    order = [i for i in range(sizes.num_sessions) for _ in range(sizes.num_turns)]
    rng.shuffle(order)
    turns, seen = [], Counter()
    for i in order:
        if seen[i]:
            texts[i] += " " + words(sizes.added)
        seen[i] += 1
        turns.append(Turn(i, texts[i], sizes.max_tokens))
    return turns


def route_trace(blocks, num_replicas, policy, weight=4.0, max_blocks=4096, num_open=12):
    """Where a router sends a trace, without a model: {"computed": [...], "found": [...]}, blocks of each replica.

    blocks: a list of block names for each request. num_open: a request ends when so many later ones have begun.
    """
    router = Router(policy, weight, max_blocks=max_blocks)
    for number in range(num_replicas):
        router.add(number)
    computed, found, chosen = [0] * num_replicas, [0] * num_replicas, []
    for i, names in enumerate(blocks):
        if i >= num_open:
            router.end(chosen[i - num_open], blocks[i - num_open])
        number = router.choose(names)
        hits = router.begin(number, names)
        found[number] += hits
        computed[number] += len(names) - hits
        chosen.append(number)
    return {"computed": computed, "found": found}
