"""The vocabulary as a trie over bytes, walked by an automaton: which tokens may come next."""

from functools import lru_cache

import numpy as np

from mini_engine.grammar.automaton import DEAD
from mini_engine.grammar.expressions import GrammarError

MAX_VISITS = 200_000  # configurations that one walk may look at; then it goes no deeper


class Vocabulary:
    """A trie of all tokens that stand for text.

    token_bytes: the bytes of each token, a list by id; an empty one is never allowed. eos_token_id: the token that ends
    a text. Nodes are numbered level by level, so the children of a node stand next to each other.
    """

    def __init__(self, token_bytes, eos_token_id):
        self.size, self.eos_token_id = len(token_bytes), eos_token_id
        self.token_bytes = token_bytes
        self.alphabet = sum(1 << data[0] for data in set(token_bytes) if len(data) == 1)
        listed = sorted((data, i) for i, data in enumerate(token_bytes) if data and i != eos_token_id)
        self._token_ids = np.array([i for _, i in listed], dtype=np.int64)
        self._token_nodes = np.zeros(len(listed), dtype=np.int64)
        byte, first_child, num_children = [0], [], []
        level = [(0, len(listed), 0)]  # tokens that share what was read: from, to, node
        depth = 0
        while level:
            below = []
            for start, end, node in level:
                while start < end and len(listed[start][0]) == depth:
                    self._token_nodes[start] = node
                    start += 1
                first_child.append(len(byte))
                for at in range(start, end):
                    if at == start or listed[at][0][depth] != listed[at - 1][0][depth]:
                        below.append([at, at, len(byte)])
                        byte.append(listed[at][0][depth])
                    below[-1][1] = at + 1
                num_children.append(len(byte) - first_child[-1])
            level, depth = below, depth + 1
        self._byte, self._first_child = np.array(byte), np.array(first_child)
        self._num_children = np.array(num_children)

    @property
    def num_nodes(self):
        """Distinct beginnings of tokens, the empty one too."""
        return len(self._byte)

    def allowed(self, automaton, state):
        """The mask of a state: bool [V], True for a token whose bytes can all be read.

        A subtree is left as soon as one byte has no next state. Where a hostile grammar needs more than MAX_VISITS,
        the walk goes no deeper, and longer tokens are left out.
        """
        reached = np.zeros(self.num_nodes, dtype=bool)
        nodes, numbers = np.zeros(1, dtype=np.int64), np.array([automaton.number(state)])
        limit = automaton.num_visits + MAX_VISITS
        while len(nodes) and automaton.num_visits < limit:
            for number in np.flatnonzero(np.bincount(numbers)):
                automaton.row(number)
            counts = self._num_children[nodes]
            offsets = self._first_child[nodes] - (counts.cumsum() - counts)
            nodes = np.repeat(offsets, counts) + np.arange(counts.sum())
            numbers = automaton.table[np.repeat(numbers, counts), self._byte[nodes]]
            alive = numbers != DEAD
            nodes, numbers = nodes[alive], numbers[alive]
            reached[nodes] = True
        mask = np.zeros(self.size, dtype=bool)
        mask[self._token_ids] = reached[self._token_nodes]
        mask[self.eos_token_id] = automaton.is_accepting(state) or not state
        return mask


@lru_cache(maxsize=4)
def vocabulary_of(tokenizer):
    """The Vocabulary of a tokenizer, made once. Raises GrammarError for one without an end-of-text token."""
    if tokenizer.eos_token_id is None:
        raise GrammarError("this tokenizer has no end-of-text token, so a constrained text could not end")
    tokens = [tokenizer.token_bytes(i, skip_special_tokens=True) for i in range(tokenizer.vocab_size)]
    return Vocabulary(tokens, tokenizer.eos_token_id)
