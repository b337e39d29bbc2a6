"""A draft from the target's own hidden states: one small decoder layer that guesses the next one (EAGLE, 2401.15077).

The head reads the normed hidden state at position t and the token that came after it, t + 1, and gives a guess of the
normed hidden state at t + 1. The target's own lm_head turns it into a guess of token t + 2. Its own guess stands in for
the true state when it drafts further. Norms before the fusion as in DeepSeek-V3's multi-token prediction (2412.19437).
"""

import dataclasses

import torch
from torch.nn import functional as F

from mini_engine.model import Llama


def head_config(config, num_ids, intermediate_size=768):
    """The head as a model of one layer, in the target's positions and with a vocabulary of num_ids tokens."""
    return dataclasses.replace(
        config,
        name=f"{config.name}-draft-head",
        num_hidden_layers=1,
        intermediate_size=intermediate_size,
        vocab_size=num_ids,
        tie_word_embeddings=False,
    )


class DraftHead(torch.nn.Module):
    """The trained part, on torch, and what it shares with the target.

    weights: fuse [2d, d], embedding_norm and hidden_norm [d], ids, and layers and final_norm as a model's.
    ids: the tokens that it can guess, a part of the target's vocabulary: a guess costs their rows of lm_head only.
    embedding [V, d] and lm_head [d, V] are the target's, shared and not trained.
    """

    def __init__(self, config, weights, embedding, lm_head):
        super().__init__()
        ids = torch.as_tensor(weights["ids"]).long()
        self.register_buffer("ids", ids, persistent=False)
        self.register_buffer("embedding", torch.as_tensor(embedding), persistent=False)
        config = head_config(config, len(ids), weights["layers"][0]["w_down"].shape[0])
        parts = {"layers": weights["layers"], "final_norm": weights["final_norm"]}
        head = torch.as_tensor(lm_head)[:, ids].contiguous()
        self.body = Llama(config, parts | {"embedding": torch.zeros(1, config.hidden_size), "lm_head": head})
        self.fuse = torch.nn.Parameter(torch.as_tensor(weights["fuse"]))
        self.embedding_norm = torch.nn.Parameter(torch.as_tensor(weights["embedding_norm"]))
        self.hidden_norm = torch.nn.Parameter(torch.as_tensor(weights["hidden_norm"]))
        self.config = config

    def forward(self, hidden, token_ids, cache, positions):
        """Guesses of the next hidden states [B, N, d] from hidden [B, N, d] and the tokens after them [B, N]."""
        size, eps = (self.config.hidden_size,), self.config.rms_norm_eps
        hidden = hidden.to(self.fuse.dtype)
        token = F.rms_norm(F.embedding(token_ids, self.embedding), size, self.embedding_norm, eps)
        x = torch.cat([token, F.rms_norm(hidden, size, self.hidden_norm, eps)], dim=-1) @ self.fuse
        cos, sin = self.body.cos[positions].unsqueeze(-2), self.body.sin[positions].unsqueeze(-2)
        x = self.body.layers[0](x, cos, sin, cache)
        cache.advance(x.shape[1])
        return self.body.final_norm(x)

    def logits(self, hidden):
        """Scores [..., num_ids] of the tokens in ids."""
        return self.body.lm_head(hidden)

    def new_cache(self, max_tokens):
        """An empty cache for one sequence."""
        return self.body.new_cache(max_tokens)

    def guess(self, hidden):
        """The likeliest token of one hidden state [d]."""
        return int(self.ids[self.logits(hidden[None])[0].argmax()])


class WatchedModel:
    """A model that shows watch(seq, start, hidden [n, d]) the normed hidden states of every pass of the engine."""

    def __init__(self, model, watch):
        self.model, self.watch = model, watch

    def __getattr__(self, name):
        return getattr(self.model, name)

    def hidden_states(self, token_ids, cache=None):
        """The model's; what stands in columns that pad a row is not shown."""
        hidden = self.model.hidden_states(token_ids, cache)
        if sequences := getattr(cache, "sequences", ()):
            places = cache.positions(token_ids.shape[1])[:, [0, -1]].tolist()  # padding repeats the last one
            for seq, row, (first, last) in zip(sequences, hidden, places, strict=True):
                self.watch(seq, first, row[: last - first + 1])
        return hidden


class HeadDraft:
    """Drafts greedily with a DraftHead, a pass of it for each token: the engine's draft.

    Give the engine `HeadDraft.watched(model)` as its model: the head reads the hidden states of its passes. It knows
    nothing of a prefix that came from the prefix cache, which costs acceptance and never the text.
    """

    def __init__(self, head, num_draft_tokens=2):
        self.head, self.num_draft_tokens = head, num_draft_tokens
        self.num_passes = 0
        self._texts = {}  # seq_id -> _HeadText

    def watched(self, model):
        """The model, whose passes this draft sees from now on."""
        return WatchedModel(model, self._watch)

    def _watch(self, seq, start, hidden):
        text = self._texts.get(seq.seq_id)
        if text is None or start > text.end:  # the engine skipped what the prefix cache held
            text = self._texts[seq.seq_id] = _HeadText(start)
        text.add(start, hidden)

    @torch.inference_mode()
    def propose(self, seq):
        """num_draft_tokens greedy tokens of the head; probabilities None, as each was certain."""
        text = self._texts.get(seq.seq_id)
        if text is None or text.end < seq.num_computed_tokens or not self.num_draft_tokens:
            return [], None
        if text.cache is None:
            longest = len(seq.prompt_token_ids) + seq.params.max_tokens + self.num_draft_tokens
            text.cache = self.head.new_cache(min(longest, self.head.config.max_position_embeddings) - text.base)
        num = min(self.num_draft_tokens, text.cache.max_tokens - (seq.num_computed_tokens - text.base) + 1)
        start = text.base + text.cache.length
        states, tokens = text.take(start, seq.num_computed_tokens), seq.token_ids[start + 1 :]
        draft = []
        for i in range(num):
            places = torch.arange(start, start + len(tokens))[None]
            states = self.head(states[None, -len(tokens) :], torch.tensor([tokens]), text.cache, places)[0, -1:]
            start, tokens = start + len(tokens), [self.head.guess(states[-1])]
            draft += tokens
            self.num_passes += 1
            if i == 0:
                kept = text.cache.length
        text.cache.truncate(kept)
        return draft, None

    def release(self, seq):
        """Drop what is kept for the sequence."""
        self._texts.pop(seq.seq_id, None)


class _HeadText:
    """The head's side of one sequence: its cache from position base on, and the states that it has not read yet."""

    def __init__(self, base):
        self.base = self.end = base
        self.cache, self._pieces = None, []

    def add(self, start, hidden):
        """States of a pass; those of rejected drafts, and of a text that is computed again, are written over."""
        held = self.base + (self.cache.length if self.cache else 0)
        if start + len(hidden) > held:
            hidden, start = hidden[max(held - start, 0) :], max(held, start)
            before = torch.cat(self._pieces)[: start - held] if self._pieces else hidden[:0]
            self._pieces, self.end = [before, hidden], start + len(hidden)

    def take(self, start, end):
        """The unread states of positions start to end, which are read by this."""
        states, self._pieces = torch.cat(self._pieces)[: end - start], []
        return states
