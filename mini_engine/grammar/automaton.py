"""An automaton over bytes with a stack: rules call each other, states are made when they are first met.

A configuration is a node of the network and a stack of the nodes to come back to. A state is the set of configurations
that the bytes so far allow, a frozenset. Every configuration kept can still be completed, so any subset of a state is
safe: where a hostile grammar has too many, some are dropped, and the text stays valid.
"""

from collections import deque
from functools import lru_cache

import numpy as np

from mini_engine.grammar.expressions import ALL_BYTES, GrammarError

MAX_NODES = 20_000
MAX_DEPTH = 96  # calls within calls; a nested object takes three
MAX_CONFIGURATIONS = 400  # of one state
MAX_STATES = 20_000  # whose transitions are remembered
NEVER = 1 << 30
DEAD, UNKNOWN = -1, -2


class Automaton:
    """Reads bytes. rules: {name: expression}; start: the name of the first. alphabet: bytes that can be written.

    Raises GrammarError when no text fits, or when the network has more than MAX_NODES nodes.
    """

    def __init__(self, rules, start="root", alphabet=ALL_BYTES):
        self.alphabet = alphabet
        self.num_visits = 0  # configurations looked at: what hostile grammars are limited by
        self._edges, self._jumps, self._calls = [], [], []  # of each node
        self._rules = {name: (self._node(), self._node()) for name in rules}
        for name, expression in rules.items():
            self._build(expression, *self._rules[name])
        self._ends = {end for _, end in self._rules.values()}
        self._heights = self._find_heights()
        self._stacks, self._stack_ids = [(None, None, 0)], {}  # (node to come back to, stack below, depth)
        first, self._final = self._rules[start]
        if self._heights[first] > MAX_DEPTH:
            why = "no finite text satisfies it" if self._heights[first] >= NEVER else f"deeper than {MAX_DEPTH} levels"
            raise GrammarError(f"the grammar cannot be satisfied: {why}")
        self._forget_states()
        self.start = self._closure([(first, 0)])
        if not self.start:
            raise GrammarError("the grammar is too ambiguous: its first state has too many readings")

    def is_accepting(self, state):
        """Whether the text may end here."""
        return (self._final, 0) in state

    def step(self, state, byte):
        """The state after one more byte; empty when no text goes on so."""
        return self.states[target] if (target := self.row(self.number(state))[byte]) >= 0 else frozenset()

    def read(self, state, data):
        """The state after more bytes."""
        for byte in data:
            state = self.step(state, byte)
        return state

    def number(self, state):
        """The row of a state in `table`; states and rows are forgotten when there are too many, here alone."""
        if state not in self._numbers and len(self.states) >= MAX_STATES:
            self._forget_states()
        return self._number(state)

    def row(self, number):
        """The numbers of the 256 next states, DEAD where there is none; worked out when first asked for."""
        if self.table[number, 0] == UNKNOWN:
            self.table[number] = DEAD
            edges = [(mask, (to, stack)) for node, stack in self.states[number] for mask, to in self._edges[node]]
            edges.sort()  # the same masks in the same order are split once
            for byte_set, places in _split(tuple(mask for mask, _ in edges)):
                state = self._closure(edges[i][1] for i in places)
                if state:
                    target = self._number(state)  # may grow the table
                    self.table[number, byte_set] = target
        return self.table[number]

    def forced_bytes(self, state, limit=256):
        """The bytes that must come next because only one is possible each time and the text may not end before."""
        forced = bytearray()
        while len(forced) < limit and not self.is_accepting(state):
            row = self.row(self.number(state))
            (choices,) = np.nonzero(row != DEAD)
            if len(choices) != 1:
                break
            forced.append(int(choices[0]))
            state = self.states[row[choices[0]]]
        return bytes(forced)

    def _forget_states(self):
        self.states, self._numbers = [], {}
        self.table = np.full((64, 256), UNKNOWN, dtype=np.int32)

    def _number(self, state):
        number = self._numbers.setdefault(state, len(self.states))
        if number == len(self.states):
            self.states.append(state)
            if number == len(self.table):
                self.table = np.concatenate([self.table, np.full_like(self.table, UNKNOWN)])
        return number

    def _closure(self, configurations):
        """All that can be reached without a byte, less what only passes on."""
        seen, kept, todo = set(), set(), deque(configurations)
        while todo and len(kept) < MAX_CONFIGURATIONS and len(seen) < 8 * MAX_CONFIGURATIONS:
            configuration = node, stack = todo.popleft()
            depth = self._stacks[stack][2]
            if configuration in seen or depth + self._heights[node] > MAX_DEPTH:
                continue
            seen.add(configuration)
            if self._edges[node]:
                kept.add(configuration)
            if node in self._ends:
                if stack:
                    todo.append(self._stacks[stack][:2])
                else:
                    kept.add((self._final, 0))
            todo.extend((target, stack) for target in self._jumps[node])
            for rule, back in self._calls[node]:
                if back in self._ends:  # nothing is left to do here, so there is no need to come back
                    todo.append((self._rules[rule][0], stack))
                elif depth + self._heights[back] <= MAX_DEPTH:
                    todo.append((self._rules[rule][0], self._push(back, stack)))
        self.num_visits += len(seen)
        return frozenset(kept)

    def _push(self, back, stack):
        entry = (back, stack, self._stacks[stack][2] + 1)
        number = self._stack_ids.setdefault(entry, len(self._stacks))
        if number == len(self._stacks):
            self._stacks.append(entry)
        return number

    def _node(self):
        if len(self._edges) >= MAX_NODES:
            raise GrammarError(f"the grammar is too large: more than {MAX_NODES} nodes")
        for part in (self._edges, self._jumps, self._calls):
            part.append([])
        return len(self._edges) - 1

    def _build(self, expression, start, end):
        """Lay an expression between two nodes."""
        kind, *rest = expression
        if kind == "bytes":
            if mask := rest[0] & self.alphabet:
                self._edges[start].append((mask, end))
        elif kind == "ref":
            self._calls[start].append((rest[0], end))
        elif kind == "alt":
            for part in rest[0]:
                self._build(part, start, end)
        elif kind == "seq":
            nodes = [start, *(self._node() for _ in rest[0][1:]), end]
            for part, first, last in zip(rest[0], nodes, nodes[1:], strict=False):
                self._build(part, first, last)
            if not rest[0]:
                self._jumps[start].append(end)
        elif kind == "until":
            self._build_until(rest[0], start, end)
        else:
            self._build_repeat(*rest, start, end)

    def _build_repeat(self, part, low, high, start, end):
        """Copies of the part, one after the other; without an upper limit the last one may come again."""
        at = self._node()  # nothing comes back to `start`, where other alternatives begin
        self._jumps[start].append(at)
        for i in range(low if high is None else high):
            after = self._node()
            if i >= low:
                self._jumps[at].append(end)
            self._build(part, at, after)
            at = after
        if high is None:
            loop = self._node()
            self._build(part, at, loop)
            self._jumps[loop].append(at)
        self._jumps[at].append(end)

    def _build_until(self, text, start, end):
        """Anything up to the first `text`: node i has just read its first i bytes (Knuth, Morris and Pratt 1977)."""
        nodes = [self._node() for _ in text] + [end]
        self._jumps[start].append(nodes[0])
        for i in range(len(text)):
            for byte in range(256):
                read = text[:i] + bytes([byte])
                size = next(n for n in range(len(read), -1, -1) if read.endswith(text[:n]))
                if self.alphabet >> byte & 1:
                    self._edges[nodes[i]].append((1 << byte, nodes[size]))

    def _find_heights(self):
        """For each node the fewest calls within calls that lead to its rule's end; NEVER where there is no way."""
        heights = [NEVER] * len(self._edges)
        before = [[] for _ in heights]
        for node in range(len(heights)):
            for _, target in self._edges[node]:
                before[target].append((node, None))
            for target in self._jumps[node]:
                before[target].append((node, None))
            for rule, back in self._calls[node]:
                for needed in (self._rules[rule][0], back):
                    before[needed].append((node, (self._rules[rule][0], back)))
        todo = deque((end, 0) for _, end in self._rules.values())
        while todo:
            node, height = todo.popleft()
            if height < heights[node]:
                heights[node] = height
                for caller, call in before[node]:
                    cost = height if call is None else max(heights[call[0]] + 1, heights[call[1]])
                    if cost < NEVER:
                        todo.append((caller, cost))
        return heights


@lru_cache(maxsize=4096)
def _split(masks):
    """Cut the 256 bytes into sets that the same masks hold: [(array of bytes, the masks' places in the tuple)]."""
    data = b"".join(mask.to_bytes(32, "little") for mask in masks)
    holds = np.unpackbits(np.frombuffer(data, np.uint8).reshape(-1, 32), axis=1, bitorder="little")
    groups = {}
    for byte in np.flatnonzero(holds.any(0)):
        groups.setdefault(holds[:, byte].tobytes(), []).append(byte)
    return [(np.array(found), np.flatnonzero(np.frombuffer(key, np.uint8))) for key, found in groups.items()]
