"""Speculative decoding: cheap drafts, one pass of the model to judge them, and the same distribution as without.

Leviathan, Kalman and Matias 2023 (2211.17192); Chen et al. 2023 (2302.01318) call p and q the other way round.
"""

import numpy as np


def speculative_step(p, q, draft_tokens, rng):
    """Accept a prefix of the draft, then add one token; the result is distributed as if drawn from p alone.

    p: target probabilities [k + 1, V], row i given the draft's first i tokens. q: the draft's own probabilities [k, V];
    a draft without chance has a single 1 in each row. draft_tokens: k token ids. rng: a numpy Generator. Returns 1 to
    k + 1 token ids: the accepted ones, then either a replacement for the first rejected one, drawn from
    norm(max(p - q, 0)), or a bonus token drawn from the last row of p (2211.17192, algorithm 1).

    The engine accepts any function with the same arguments instead.
    """
    for i, token in enumerate(draft_tokens):
        if rng.random() * q[i, token] < p[i, token]:
            continue
        residual = np.maximum(p[i] - q[i], 0.0)
        return [*draft_tokens[:i], draw(residual if residual.any() else p[i], rng)]
    return [*draft_tokens, draw(p[len(draft_tokens)], rng)]


def draw(weights, rng):
    """A token id with probability proportional to weights [V]."""
    cumulative = np.cumsum(weights)
    token = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
    return int(min(token, np.flatnonzero(weights)[-1]))


class NgramDraft:
    """Prompt look-up: continue as the text did the last time the final n tokens stood in it.

    Tries n = max_n … min_n tokens and takes the latest earlier place. Costs no model pass; pays where the text repeats
    itself. The engine accepts any object with `propose` and `release` instead.
    """

    def __init__(self, num_draft_tokens=4, max_n=3, min_n=2):
        if num_draft_tokens < 0 or not 1 <= min_n <= max_n:
            raise ValueError(f"no such draft: {num_draft_tokens=}, {max_n=}, {min_n=}")
        self.num_draft_tokens = num_draft_tokens
        self.max_n, self.min_n = max_n, min_n

    def propose(self, seq):
        """(draft token ids, their probabilities [k, V]): fewer than num_draft_tokens or none is fine.

        None instead of the probabilities says that each token was certain.
        """
        return ngram_draft(seq.token_ids, self.num_draft_tokens, self.max_n, self.min_n), None

    def release(self, seq):
        """The sequence has ended or lost its cache; forget what belongs to it (here: nothing)."""


def ngram_draft(token_ids, num_draft_tokens, max_n=3, min_n=2):
    """Up to num_draft_tokens tokens that followed the latest earlier occurrence of the last n tokens; [] if none."""
    tokens = np.asarray(token_ids)
    for n in range(min(max_n, len(tokens) - 1), min_n - 1, -1):
        windows = np.lib.stride_tricks.sliding_window_view(tokens[:-1], n)
        places = np.flatnonzero((windows == tokens[-n:]).all(axis=1))
        if len(places):
            start = places[-1] + n
            return tokens[start : start + num_draft_tokens].tolist()
    return []


class ModelDraft:
    """A second model drafts greedily, with its own contiguous cache per sequence.

    model: a Llama of the same vocabulary (a more quantized copy, or the first layers only). new_cache() makes an empty
    cache for one sequence, with `length`, `positions`, `update`, `advance` and `truncate(length)`.
    """

    def __init__(self, model, new_cache, num_draft_tokens=4):
        self.model, self.new_cache, self.num_draft_tokens = model, new_cache, num_draft_tokens
        self.num_passes = 0
        self._caches = {}  # seq_id -> (cache, the tokens it holds)

    def propose(self, seq):
        """num_draft_tokens greedy tokens of the draft model; probabilities None, as each was certain."""
        import torch

        cache, held = self._caches.setdefault(seq.seq_id, (self.new_cache(), []))
        same = 0
        while same < min(len(held), seq.num_tokens - 1) and held[same] == seq.token_ids[same]:
            same += 1
        cache.truncate(same)
        del held[same:]
        fed, draft = seq.token_ids[same:], []
        for _ in range(self.num_draft_tokens):
            with torch.inference_mode():
                logits = self.model(torch.tensor([fed]), cache)
            held += fed
            fed = [int(logits[0, -1].argmax())]
            draft += fed
            self.num_passes += 1
        return draft, None

    def release(self, seq):
        """Drop the sequence's cache."""
        self._caches.pop(seq.seq_id, None)
