"""One step's rows through the model: padded passes, logits where a sequence ends, sampling or verification."""

from itertools import groupby

import numpy as np
import torch

from mini_engine.gpu.graphs import PagedGraphs
from mini_engine.grammar.constraint import constrain
from mini_engine.sampler import new_generator, top_logprobs


class ModelRunner:
    """Runs what the scheduler chose. model: a Llama; cache: a PagedKVCache; the rest as in Engine."""

    def __init__(self, model, cache, sampler, speculative_step, graphs=False):
        self.model, self.cache = model, cache
        self.graphs = PagedGraphs(model, cache) if graphs else None
        self.sampler, self.speculative_step = sampler, speculative_step
        self.num_draft_tokens = self.num_accepted_tokens = self.num_passes = 0
        self._generators = {}  # seq_id -> numpy Generator

    def forget(self, seq):
        """Drop what is kept for a sequence that has ended."""
        self._generators.pop(seq.seq_id, None)

    def run(self, rows):
        """(row, new token ids) for each row; a prefill chunk that is not the last gets none."""
        if getattr(self.model, "takes_ragged_rows", False):  # a model of a test need not say
            return self._run_pass(rows)
        results = []
        for _, group in groupby(sorted(rows, key=_pass_key), key=_pass_key):
            results += self._run_pass(list(group))
        return results

    def _run_pass(self, rows):
        """Feed the rows to the model together, and sample where a row reaches its sequence's end."""
        self.num_passes += 1
        hidden = self._hidden_states(rows)
        ending = [(i, row) for i, row in enumerate(rows) if row.is_last_chunk]
        new_tokens = [[] for _ in rows]
        if ending:
            sizes = [1 + len(row.seq.draft_token_ids) for _, row in ending]
            batch = [i for (i, _), size in zip(ending, sizes, strict=True) for _ in range(size)]
            column = [
                row.num_new_tokens - size + j for (_, row), size in zip(ending, sizes, strict=True) for j in range(size)
            ]
            whole = self.model.lm_head(hidden[batch, column])
            logits, sequences = whole.split(sizes), [row.seq for _, row in ending]
            sampled = self._sample(sequences, [*map(constrain, sequences, logits)], whole)
            for (i, row), tokens, raw in zip(ending, sampled, logits, strict=True):
                new_tokens[i] = tokens
                if row.seq.params.num_logprobs is not None:
                    row.seq.logprobs += top_logprobs(raw, tokens, row.seq.params.num_logprobs)
        return list(zip(rows, new_tokens, strict=True))

    def _hidden_states(self, rows):
        starts = [row.seq.num_computed_tokens for row in rows]
        counts = [row.num_new_tokens for row in rows]
        tables = [row.seq.block_table for row in rows]
        tokens = torch.zeros(len(rows), max(counts), dtype=torch.long)
        for i, (row, start, count) in enumerate(zip(rows, starts, counts, strict=True)):
            tokens[i, :count] = torch.tensor((row.seq.token_ids[start:] + row.seq.draft_token_ids)[:count])
        if self.graphs is not None and max(counts) == 1:
            return self.graphs.hidden_states(tokens, tables, starts)
        self.cache.begin(tables, starts, counts)
        self.cache.sequences = [row.seq for row in rows]  # for a model whose rows differ: adapters, a draft's head
        return self.model.hidden_states(tokens.to(self.model.device), self.cache)

    def _sample(self, sequences, logits, whole):
        """New tokens per sequence. logits: for each [k + 1, V], with k its drafts, cut from whole unless masked."""
        self._generators |= {s.seq_id: new_generator(s.params) for s in sequences if s.seq_id not in self._generators}
        generators = [self._generators[seq.seq_id] for seq in sequences]
        results = [[] for _ in sequences]
        plain = [i for i, seq in enumerate(sequences) if not seq.draft_token_ids]
        if plain:
            is_whole = len(plain) == len(whole) and not any(seq.params.grammar for seq in sequences)
            rows = whole if is_whole else torch.cat([logits[i] for i in plain])  # a copy can take longer than sampling
            drawn = self.sampler(rows, [sequences[i].params for i in plain], [generators[i] for i in plain])
            for i, token in zip(plain, drawn, strict=True):
                results[i] = [int(token)]
        for i, seq in enumerate(sequences):
            if seq.draft_token_ids:
                results[i] = self._verify(seq, logits[i], generators[i])
        return results

    def _verify(self, seq, logits, generator):
        """One speculative step: the accepted drafts and one more token. logits: [k + 1, V]."""
        draft = seq.draft_token_ids
        p = self.sampler.probabilities(logits, [seq.params] * len(logits)).cpu().numpy()
        q = seq.draft_probabilities
        if q is None:
            q = np.zeros((len(draft), p.shape[1]))
            q[range(len(draft)), draft] = 1.0
        tokens = [int(token) for token in self.speculative_step(p, q[: len(draft)], draft, generator)]
        self.num_draft_tokens += len(draft)
        self.num_accepted_tokens += len(tokens) - 1
        return tokens


def _pass_key(row):
    """Rows with the same key share a pass: all decodes, and prefill chunks of similar length (little padding)."""
    is_decode = row.num_new_tokens == 1 + len(row.seq.draft_token_ids)
    return 0 if is_decode else row.num_new_tokens.bit_length()
