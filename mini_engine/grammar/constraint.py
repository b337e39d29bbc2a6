"""A grammar over one vocabulary: what a request carries in its SamplingParams, and what it does to the logits."""

from collections import OrderedDict

import numpy as np
import torch

from mini_engine.grammar.automaton import Automaton
from mini_engine.grammar.expressions import GrammarError, repeat, sequence
from mini_engine.grammar.regex import regex_expression
from mini_engine.grammar.schema import ANY_OBJECT, schema_rules
from mini_engine.grammar.vocabulary import vocabulary_of

MAX_MASKS = 2048


class Grammar:
    """The texts that a request may write. It holds no state of a request, so many requests can share one.

    rules: {name: expression}, with "root" the whole. after: a text (such as "</think>") before which everything is
    free; the grammar begins behind it and a line break or two. Raises GrammarError, a ValueError.
    """

    def __init__(self, rules, tokenizer, after=None):
        self.vocabulary = vocabulary_of(tokenizer)
        if after is not None:
            if not after:
                raise GrammarError("the text that ends the free part is empty")
            breaks = repeat(("bytes", 1 << 10), 0, 2)
            rules = {
                **rules,
                "answer": rules["root"],
                "root": sequence(("until", after.encode()), breaks, ("ref", "answer")),
            }
        try:
            self.automaton = Automaton(rules, "root", self.vocabulary.alphabet)
        except RecursionError:
            raise GrammarError("the grammar is nested too deeply") from None
        self.start = self.automaton.start
        self.num_walks = 0
        self._masks = OrderedDict()  # state -> packed bits

    @classmethod
    def from_schema(cls, schema, tokenizer, after=None):
        """JSON that satisfies a JSON schema (a dict or a bool), written as json.dumps writes it."""
        return cls(schema_rules(schema), tokenizer, after)

    @classmethod
    def from_regex(cls, pattern, tokenizer, after=None):
        """Text that matches the pattern as a whole."""
        return cls({"root": regex_expression(pattern)}, tokenizer, after)

    @classmethod
    def json_object(cls, tokenizer, after=None):
        """Any JSON object."""
        return cls(ANY_OBJECT, tokenizer, after)

    def mask(self, state):
        """The tokens that may come next: bool [V]. Kept for each state, eight tokens to a byte."""
        packed = self._masks.get(state)
        if packed is None:
            self.num_walks += 1
            mask = self.vocabulary.allowed(self.automaton, state)
            self._masks[state] = np.packbits(mask)
            if len(self._masks) > MAX_MASKS:
                self._masks.popitem(last=False)
            return mask
        return np.unpackbits(packed, count=self.vocabulary.size).view(bool)

    def advance(self, state, token_id):
        """The state after a token; the end-of-text token changes nothing."""
        if token_id == self.vocabulary.eos_token_id:
            return state
        return self.automaton.read(state, self.vocabulary.token_bytes[token_id])

    def accepts(self, data):
        """Whether these bytes (or this str) are a whole text of the grammar."""
        data = data.encode() if isinstance(data, str) else data
        return self.automaton.is_accepting(self.automaton.read(self.start, data))


def grammar_state(seq):
    """The state after all that a sequence has written; kept on the sequence, so that each token is read once."""
    grammar = seq.params.grammar
    num_read, state = seq.grammar_state or (0, grammar.start)
    for token_id in seq.token_ids[seq.num_prompt_tokens + num_read :]:
        state = grammar.advance(state, token_id)
    seq.grammar_state = seq.num_output_tokens, state
    return state


def constrain(seq, logits):
    """Logits with -inf for each token that the request's grammar forbids.

    logits: [k + 1, V], row i for the token behind the first i drafts. A draft that the grammar forbids is so refused;
    rows behind it continue a text that will not be.
    """
    grammar = seq.params.grammar
    if grammar is None:
        return logits
    state, allowed = grammar_state(seq), np.ones(logits.shape, dtype=bool)
    for i in range(len(logits)):
        mask = grammar.mask(state)
        allowed[i, : len(mask)], allowed[i, len(mask) :] = mask, False
        if i < len(seq.draft_token_ids):
            token_id = seq.draft_token_ids[i]
            if not mask[token_id]:
                break
            state = grammar.advance(state, token_id)
    return logits.masked_fill(~torch.from_numpy(allowed).to(logits.device), -torch.inf)


class JumpForward:
    """A draft for the engine: where the grammar leaves one continuation, propose its usual tokens; else ask another.

    The model still judges them, so the distribution stays what it was; on a text with fixed parts few are refused.
    """

    def __init__(self, tokenizer, draft=None, num_draft_tokens=8):
        self.tokenizer, self.draft, self.num_draft_tokens = tokenizer, draft, num_draft_tokens

    def propose(self, seq):
        """(draft token ids, None or their probabilities), as NgramDraft."""
        if seq.params.grammar is not None:
            forced = seq.params.grammar.automaton.forced_bytes(grammar_state(seq))
            text = forced.decode(errors="ignore")
            if text:
                return self.tokenizer.encode(text)[: self.num_draft_tokens], None
        return self.draft.propose(seq) if self.draft is not None else ([], None)

    def release(self, seq):
        """Pass on that the sequence has ended."""
        if self.draft is not None:
            self.draft.release(seq)
