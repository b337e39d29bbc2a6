"""The engine: continuous batching over a paged cache, with prefix reuse, chunked prefill and speculation."""

import time
from dataclasses import dataclass

import torch

from mini_engine.block_manager import BlockManager, check_owners, require
from mini_engine.generate import check_request
from mini_engine.model_runner import ModelRunner
from mini_engine.prefix_cache import PrefixCache
from mini_engine.quant.pages import new_paged_cache
from mini_engine.sampler import Sampler
from mini_engine.scheduler import Scheduler
from mini_engine.sequence import SamplingParams, Sequence
from mini_engine.speculative import speculative_step as default_speculative_step
from mini_engine.tokenizer import TextStream


@dataclass
class StepOutput:
    """What one step gave one sequence; finish_reason ("stop" or "length") comes with the last."""

    seq: Sequence
    new_token_ids: list[int]
    new_text: str = ""
    finish_reason: str | None = None


@dataclass
class EngineStats:
    """Counts since the engine was made. peak_used_blocks: in block tables, shared ones once."""

    num_steps: int = 0
    num_computed_tokens: int = 0
    num_generated_tokens: int = 0
    num_preemptions: int = 0
    num_finished: int = 0
    peak_used_blocks: int = 0


class Engine:
    """Serves many requests with one model; `step` moves all of them on.

    model: a Llama. tokenizer: encode, stream and eos_token_id; without one, prompts are token ids and there is no text.
    num_blocks, block_size, kv_dtype: the KV pool, in the model's dtype, "int8" or "int4". Further keywords go to
    Scheduler (max_num_seqs, max_num_batched_tokens, chunked_prefill, watermark). graphs: decode passes as recorded
    CUDA graphs, one for each bucket of shapes.

    Every part can be replaced: block_manager (protocol in BlockManager), scheduler (in Scheduler; over the same
    block_manager, which is passed too), sampler, draft (in NgramDraft; None: no speculation) and speculative_step.
    """

    def __init__(
        self,
        model,
        tokenizer=None,
        *,
        num_blocks=256,
        block_size=16,
        kv_dtype=None,
        prefix_caching=True,
        block_manager=None,
        scheduler=None,
        sampler=None,
        draft=None,
        speculative_step=default_speculative_step,
        graphs=False,
        clock=time.perf_counter,
        **scheduler_options,
    ):
        self.model, self.tokenizer, self.clock = model, tokenizer, clock
        self.block_manager = BlockManager(num_blocks) if block_manager is None else block_manager
        if scheduler is None:
            prefix_cache = PrefixCache(self.block_manager, block_size) if prefix_caching else None
            scheduler = Scheduler(self.block_manager, block_size, prefix_cache=prefix_cache, **scheduler_options)
        self.scheduler = scheduler
        self.draft = draft
        self.cache = new_paged_cache(model, self.block_manager.num_blocks, block_size, kv_dtype)
        sampler = Sampler() if sampler is None else sampler
        self.runner = ModelRunner(model, self.cache, sampler, speculative_step, graphs)
        self.eos_token_id = getattr(tokenizer, "eos_token_id", None)
        self.stats = EngineStats()
        self._sequences = {}  # the unfinished ones, by seq_id
        self._streams = {}
        self._next_id = 0

    @property
    def has_unfinished(self):
        """Whether a step would have anything to do."""
        return self.scheduler.has_unfinished

    @property
    def max_model_len(self):
        """Tokens a request may have, prompt and output together."""
        num_slots = self.block_manager.num_blocks * self.cache.block_size
        return min(self.model.config.max_position_embeddings, num_slots)

    def add_request(self, prompt, params=None):
        """Queue a prompt (text or token ids) and return its Sequence.

        Raises ValueError, naming the limit, for an empty prompt, an id outside the vocabulary, more tokens than the
        model has positions or the pool has slots, or an adapter that is not loaded.
        """
        params = SamplingParams() if params is None else params
        token_ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else prompt
        token_ids = check_request(self.model.config, token_ids, params.max_tokens)
        if params.adapter and params.adapter not in (known := getattr(self.model, "adapters", ())):
            raise ValueError(f"no adapter {params.adapter!r} is loaded; loaded: {', '.join(known) or 'none'}")
        seq = Sequence(self._next_id, token_ids, params, self.clock())
        self.scheduler.add(seq)
        self._next_id += 1
        self._sequences[seq.seq_id] = seq
        if self.tokenizer is not None:
            self._streams[seq.seq_id] = TextStream(self.tokenizer.stream(), params.stop)
        return seq

    add = add_request

    def abort(self, seq_id):
        """End a request now; its blocks go back. One that has ended is left alone."""
        seq = self._sequences.get(seq_id)
        if seq is not None:
            self.scheduler.abort(seq)
            self._forget(seq)

    @torch.inference_mode()
    def step(self):
        """One scheduling step: a list of StepOutput, one per sequence that got tokens. [] when there is no work.

        Raises RuntimeError when requests wait and the scheduler chooses none: they would wait forever.
        """
        if not self.has_unfinished:
            return []
        self._propose_drafts()
        chosen = self.scheduler.step()
        if not chosen.rows:
            raise RuntimeError("the scheduler chose no row although requests are unfinished: they would never end")
        self.cache.copy_blocks(chosen.copies)
        self._count(chosen)
        return [self._commit(row, token_ids) for row, token_ids in self.runner.run(chosen.rows)]

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
                tokens, seq.draft_probabilities = self.draft.propose(seq)
                seq.draft_token_ids = list(tokens[: seq.params.max_tokens - seq.num_output_tokens - 1])

    def _commit(self, row, new_token_ids):
        seq, num_before, now = row.seq, row.seq.num_output_tokens, self.clock()
        seq.commit(row.num_new_tokens, new_token_ids, now, self.eos_token_id)
        kept = seq.output_token_ids[num_before:]
        text = self._stream_text(seq, kept)
        self.stats.num_generated_tokens += len(kept)
        self.scheduler.update(seq)
        if seq.finish_reason:
            seq.finish_time = now
            self.stats.num_finished += 1
            self._forget(seq)
        return StepOutput(seq, kept, text, seq.finish_reason)

    def _stream_text(self, seq, kept):
        """Text that became certain; a stop string found in it ends the sequence."""
        stream = self._streams.get(seq.seq_id)
        if stream is None:
            return ""
        ends_by_token = seq.finish_reason == "stop"
        text = stream.push(kept[:-1] if ends_by_token else kept, is_last=seq.finish_reason is not None)
        if stream.is_stopped:
            seq.finish_reason = "stop"
        seq.text += text
        return text

    def _forget(self, seq):
        self._sequences.pop(seq.seq_id, None)
        self._streams.pop(seq.seq_id, None)
        self.runner.forget(seq)
        if self.draft is not None:
            self.draft.release(seq)

    def _count(self, chosen):
        stats = self.stats
        stats.num_steps += 1
        stats.num_computed_tokens += chosen.num_tokens
        stats.num_preemptions += len(chosen.preempted)
        used = {block for seq in self.scheduler.running for block in seq.block_table}
        stats.peak_used_blocks = max(stats.peak_used_blocks, len(used))

    def check_invariants(self):
        """Every rule of blocks, tables, cache and queues, for any scheduler. Raises InvariantError naming it."""
        scheduler = self.scheduler
        for seq in (*scheduler.running, *scheduler.waiting):
            seq.check_invariants(self.cache.block_size)
        prefix_cache = getattr(scheduler, "prefix_cache", None)
        owned = [seq.block_table for seq in scheduler.running]
        check_owners(self.block_manager, owned if prefix_cache is None else [*owned, prefix_cache.blocks])
        for part in (scheduler, self.block_manager, prefix_cache):
            getattr(part, "check_invariants", lambda: None)()
        self.cache.check_invariants(scheduler.running)
        unfinished = {seq.seq_id for seq in (*scheduler.waiting, *scheduler.running)}
        require(unfinished == set(self._sequences), "the engine and the scheduler disagree about who is unfinished")
