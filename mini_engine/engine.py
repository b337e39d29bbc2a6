"""The engine: continuous batching over a paged cache, with prefix reuse, chunked prefill and speculation."""

import time
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np
import torch

from mini_engine.block_manager import BlockManager, require
from mini_engine.detokenizer import TextStream
from mini_engine.paged_cache import PagedKVCache
from mini_engine.prefix_cache import PrefixCache
from mini_engine.sampler import Sampler, new_generator
from mini_engine.scheduler import Scheduler
from mini_engine.sequence import SamplingParams, Sequence
from mini_engine.speculative import speculative_step as default_speculative_step


@dataclass
class StepOutput:
    """What one step gave one sequence; it has ended when seq.finish_reason is set."""

    seq: Sequence
    new_token_ids: list[int]
    new_text: str = ""


@dataclass
class EngineStats:
    """Counts since the engine was made."""

    num_steps: int = 0
    num_passes: int = 0
    num_computed_tokens: int = 0
    num_generated_tokens: int = 0
    num_draft_tokens: int = 0
    num_accepted_tokens: int = 0
    num_preemptions: int = 0
    num_finished: int = 0
    peak_used_blocks: int = 0


@dataclass
class _Request:
    """What the engine keeps beside a sequence."""

    seq: Sequence
    generator: np.random.Generator
    stream: TextStream | None = None
    draft_probabilities: object = field(default=None, repr=False)


class Engine:
    """Serves many requests with one model; `step` moves all of them on.

    model: a Llama. tokenizer: encode, decode and eos_token_id; without one, prompts are token ids and there is no text.
    num_blocks, block_size: the KV pool. Further keywords go to Scheduler (max_num_seqs, max_num_batched_tokens,
    chunked_prefill, watermark).

    Every part can be replaced: block_manager (protocol in BlockManager), scheduler (in Scheduler; built over the same
    block_manager, which is passed too), sampler (in Sampler), draft (in NgramDraft; None: no speculation) and
    speculative_step (in speculative_step).
    """

    def __init__(
        self,
        model,
        tokenizer=None,
        *,
        num_blocks=256,
        block_size=16,
        prefix_caching=True,
        block_manager=None,
        scheduler=None,
        sampler=None,
        draft=None,
        speculative_step=default_speculative_step,
        clock=time.perf_counter,
        **scheduler_options,
    ):
        self.model, self.tokenizer, self.clock = model, tokenizer, clock
        self.block_manager = BlockManager(num_blocks) if block_manager is None else block_manager
        if scheduler is None:
            prefix_cache = PrefixCache(self.block_manager, block_size) if prefix_caching else None
            scheduler = Scheduler(self.block_manager, block_size, prefix_cache=prefix_cache, **scheduler_options)
        self.scheduler = scheduler
        self.sampler = Sampler() if sampler is None else sampler
        self.draft, self.speculative_step = draft, speculative_step
        self.cache = PagedKVCache(model.config, self.block_manager.num_blocks, block_size, model.dtype, model.device)
        self.eos_token_id = getattr(tokenizer, "eos_token_id", None)
        self.stats = EngineStats()
        self._requests = {}
        self._next_id = 0

    @property
    def has_unfinished(self):
        """Whether a step would have anything to do."""
        return self.scheduler.has_unfinished

    def add_request(self, prompt, params=None):
        """Queue a prompt (text or token ids) and return its Sequence.

        Raises ValueError, naming the limit, for an empty prompt, an id outside the vocabulary, or more tokens than the
        model has positions or the pool has slots.
        """
        params = SamplingParams() if params is None else params
        token_ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else [int(t) for t in prompt]
        config = self.model.config
        if token_ids and not 0 <= min(token_ids) <= max(token_ids) < config.vocab_size:
            raise ValueError(f"prompt has a token id outside 0 … {config.vocab_size - 1}")
        if len(token_ids) + params.max_tokens > config.max_position_embeddings:
            raise ValueError(
                f"prompt ({len(token_ids)} tokens) and max_tokens ({params.max_tokens}) exceed the context of "
                f"{config.max_position_embeddings} tokens"
            )
        seq = Sequence(self._next_id, token_ids, params, self.clock())
        self.scheduler.add(seq)
        self._next_id += 1
        stream = TextStream(self.tokenizer, params.stop) if self.tokenizer is not None else None
        self._requests[seq.seq_id] = _Request(seq, new_generator(params), stream)
        return seq

    add = add_request

    def abort(self, seq_id):
        """End a request now; its blocks go back. One that has ended is left alone."""
        request = self._requests.get(seq_id)
        if request is not None:
            self.scheduler.abort(request.seq)
            self._forget(request.seq)

    @torch.inference_mode()
    def step(self):
        """One scheduling step: a list of StepOutput, one per sequence that got tokens. [] when there is no work.

        Raises RuntimeError when requests wait and the scheduler chooses none: they would wait for ever.
        """
        if not self.has_unfinished:
            return []
        self._propose_drafts()
        chosen = self.scheduler.step()
        if not chosen.rows:
            raise RuntimeError("the scheduler chose no row although requests are unfinished: they would never end")
        self.cache.copy_blocks(chosen.copies)
        self._count(chosen)
        results = []
        by_width = sorted(chosen.rows, key=_pass_key)
        for _, rows in groupby(by_width, key=_pass_key):
            results += self._run_pass(list(rows))
        return results

    def generate(self, prompts, params=None):
        """Run prompts to their end, batched; returns their Sequences in order.

        params: one SamplingParams for all, or a list with one each. Raises ValueError as add_request does, with
        nothing left behind.
        """
        many = params if isinstance(params, (list, tuple)) else [params] * len(prompts)
        sequences = []
        try:
            for prompt, each in zip(prompts, many, strict=True):
                sequences.append(self.add_request(prompt, each))
            while any(not seq.is_finished for seq in sequences):
                self.step()
        finally:
            for seq in sequences:
                self.abort(seq.seq_id)
        return sequences

    def _propose_drafts(self):
        """Give each decoding sequence its drafts, as many as it may still use."""
        if self.draft is None:
            return
        for seq in self.scheduler.running:
            if seq.num_uncomputed_tokens == 1:
                tokens, probabilities = self.draft.propose(seq)
                seq.draft_token_ids = list(tokens[: seq.params.max_tokens - seq.num_output_tokens - 1])
                self._requests[seq.seq_id].draft_probabilities = probabilities

    def _run_pass(self, rows):
        """Feed the rows to the model together, and sample where a row reaches its sequence's end."""
        hidden = self._hidden_states(rows)
        ending = [(i, row) for i, row in enumerate(rows) if row.is_last_chunk]
        places = [
            (i, row.num_new_tokens - 1 - j) for i, row in ending for j in range(len(row.seq.draft_token_ids), -1, -1)
        ]
        new_tokens = {row.seq.seq_id: [] for row in rows}
        if places:
            batch, column = zip(*places, strict=True)
            logits = self.model.lm_head(hidden[list(batch), list(column)])
            new_tokens.update(self._sample([row.seq for _, row in ending], logits))
        now = self.clock()
        return [self._commit(row, new_tokens[row.seq.seq_id], now) for row in rows]

    def _hidden_states(self, rows):
        starts = [row.seq.num_computed_tokens for row in rows]
        counts = [row.num_new_tokens for row in rows]
        self.cache.begin([row.seq.block_table for row in rows], starts, counts)
        tokens = torch.zeros(len(rows), max(counts), dtype=torch.long)
        for i, (row, start, count) in enumerate(zip(rows, starts, counts, strict=True)):
            fed = (row.seq.token_ids[start:] + row.seq.draft_token_ids)[:count]
            tokens[i, :count] = torch.tensor(fed)
        return self.model.hidden_states(tokens.to(self.model.device), self.cache)

    def _sample(self, sequences, logits):
        """New tokens per seq_id. logits: for each sequence one row per draft token and one more, [M, V]."""
        sizes = [1 + len(seq.draft_token_ids) for seq in sequences]
        parts = list(zip(sequences, logits.split(sizes), strict=True))
        plain = [(seq, part) for seq, part in parts if not seq.draft_token_ids]
        new_tokens = {seq.seq_id: self._verify(seq, part) for seq, part in parts if seq.draft_token_ids}
        if plain:
            generators = [self._requests[seq.seq_id].generator for seq, _ in plain]
            params = [seq.params for seq, _ in plain]
            drawn = self.sampler(torch.cat([part for _, part in plain]), params, generators)
            new_tokens.update({seq.seq_id: [token] for (seq, _), token in zip(plain, drawn, strict=True)})
        return new_tokens

    def _verify(self, seq, logits):
        """One speculative step: the accepted drafts and one more token. logits: [k + 1, V]."""
        draft = seq.draft_token_ids
        request = self._requests[seq.seq_id]
        p = self.sampler.probabilities(logits, [seq.params] * len(logits)).cpu().numpy()
        q = request.draft_probabilities
        if q is None:
            q = np.zeros((len(draft), p.shape[1]))
            q[range(len(draft)), draft] = 1.0
        tokens = [int(token) for token in self.speculative_step(p, q, draft, request.generator)]
        self.stats.num_draft_tokens += len(draft)
        self.stats.num_accepted_tokens += len(tokens) - 1
        return tokens

    def _commit(self, row, new_token_ids, now):
        seq, num_before = row.seq, row.seq.num_output_tokens
        seq.commit(row.num_new_tokens, new_token_ids, now, self.eos_token_id)
        kept = seq.output_token_ids[num_before:]
        text = self._stream_text(seq, kept)
        self.stats.num_generated_tokens += len(kept)
        self.scheduler.update(seq)
        if seq.finish_reason:
            seq.finish_time = now
            self.stats.num_finished += 1
            self._forget(seq)
        return StepOutput(seq, kept, text)

    def _stream_text(self, seq, kept):
        """Text that became certain; a stop string found in it ends the sequence."""
        stream = self._requests[seq.seq_id].stream
        if stream is None:
            return ""
        ends_by_token = seq.finish_reason == "stop"
        text = stream.push(kept[:-1] if ends_by_token else kept, is_last=seq.finish_reason is not None)
        if stream.is_stopped:
            seq.finish_reason = "stop"
        seq.text += text
        return text

    def _forget(self, seq):
        self._requests.pop(seq.seq_id, None)
        if self.draft is not None:
            self.draft.release(seq)

    def _count(self, chosen):
        stats = self.stats
        stats.num_steps += 1
        stats.num_passes += len({_pass_key(row) for row in chosen.rows})
        stats.num_computed_tokens += sum(row.num_new_tokens for row in chosen.rows)
        stats.num_preemptions += len(chosen.preempted)
        used = self.block_manager.num_blocks - self.block_manager.num_free_blocks
        stats.peak_used_blocks = max(stats.peak_used_blocks, used)

    def check_invariants(self):
        """Every rule of scheduler, blocks and cache. Raises InvariantError naming the broken one."""
        self.scheduler.check_invariants()
        self.cache.check_invariants(self.scheduler.running)
        unfinished = {seq.seq_id for seq in (*self.scheduler.waiting, *self.scheduler.running)}
        require(unfinished == set(self._requests), "the engine and the scheduler disagree about who is unfinished")


def _pass_key(row):
    """Rows with the same key share a pass: all decodes, and prefill chunks of similar length (little padding)."""
    is_decode = row.num_new_tokens == 1 + len(row.seq.draft_token_ids)
    return 0 if is_decode else row.num_new_tokens.bit_length()
