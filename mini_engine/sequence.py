"""One request on its way through the engine: its tokens, its blocks, its clock. No torch here."""

from dataclasses import dataclass, field
from enum import Enum

from mini_engine.block_manager import require


class Status(Enum):
    """WAITING holds no blocks, RUNNING holds some, FINISHED has given all back."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"


@dataclass(frozen=True)
class SamplingParams:
    """How one request's tokens are chosen and when it ends.

    temperature 0 means greedy. top_k 0, top_p 1 and min_p 0 mean off. seed: an int makes the request repeatable.
    stop: strings that end the text (they are cut off); stop_token_ids: tokens that end it. ignore_eos: go on after
    the end-of-text token, for benchmarks. grammar: a mini_engine.grammar.constraint.Grammar that the text must follow.
    num_logprobs: keep each new token's log-probability and those of so many likeliest tokens in Sequence.logprobs.
    adapter: the name of one of a LoraModel's adapters, "" for the model as it is (mini_engine.beyond.lora).
    Raises ValueError naming the field and its value.
    """

    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int | None = None
    max_tokens: int = 16
    stop: tuple[str, ...] = ()
    stop_token_ids: tuple[int, ...] = ()
    ignore_eos: bool = False
    grammar: object = None
    num_logprobs: int | None = None
    adapter: str = ""

    def __post_init__(self):
        checks = {
            "temperature": 0 <= self.temperature < float("inf"),
            "top_k": self.top_k >= 0,
            "top_p": 0 < self.top_p <= 1,
            "min_p": 0 <= self.min_p <= 1,
            "max_tokens": self.max_tokens >= 1,
            "num_logprobs": self.num_logprobs is None or self.num_logprobs >= 0,
            "stop": not isinstance(self.stop, str) and all(self.stop),
        }
        for name, is_valid in checks.items():
            if not is_valid:
                raise ValueError(f"{name} is out of range: {getattr(self, name)!r}")


@dataclass(eq=False)
class Sequence:
    """A prompt and the tokens generated after it.

    num_computed_tokens counts the tokens whose K and V stand in the cache; the first of the others is fed next.
    block_table lists the blocks that hold them, in order. Times are seconds on the engine's clock.
    """

    seq_id: int
    prompt_token_ids: list[int]
    params: SamplingParams = field(default_factory=SamplingParams)
    arrival_time: float = 0.0

    def __post_init__(self):
        if not self.prompt_token_ids:
            raise ValueError("prompt_token_ids is empty: a model needs at least one token to go on from")
        self.token_ids = list(self.prompt_token_ids)
        self.status = Status.WAITING
        self.block_table = []
        self.block_hashes = []
        self.num_computed_tokens = 0
        self.num_cached_tokens = 0  # of the prompt, found at the first admission
        self.num_published_blocks = 0  # full blocks that stand in the prefix cache
        self.num_preemptions = 0
        self.draft_token_ids = []
        self.draft_probabilities = None
        self.grammar_state = None  # kept by mini_engine.grammar.constraint
        self.finish_reason = None
        self.token_times = []
        self.logprobs = []  # of generated tokens, as sampler.top_logprobs gives them; drafts behind the end among them
        self.finish_time = None
        self.text = ""

    @property
    def num_tokens(self):
        """Prompt and output together."""
        return len(self.token_ids)

    @property
    def num_prompt_tokens(self):
        """Tokens of the prompt."""
        return len(self.prompt_token_ids)

    @property
    def output_token_ids(self):
        """The generated tokens."""
        return self.token_ids[self.num_prompt_tokens :]

    @property
    def num_output_tokens(self):
        """Generated tokens so far."""
        return self.num_tokens - self.num_prompt_tokens

    @property
    def num_uncomputed_tokens(self):
        """Tokens still to be fed: 1 in decode, more in prefill, also after a preemption."""
        return self.num_tokens - self.num_computed_tokens

    @property
    def is_finished(self):
        """Whether the request has ended, for whatever reason."""
        return self.status is Status.FINISHED

    def append(self, token_id, now=0.0, eos_token_id=None):
        """Add one generated token; sets finish_reason to "stop" or "length" when it is the last."""
        self.token_ids.append(token_id)
        self.token_times.append(now)
        is_eos = token_id == eos_token_id and not self.params.ignore_eos
        if is_eos or token_id in self.params.stop_token_ids:
            self.finish_reason = "stop"
        elif self.num_output_tokens >= self.params.max_tokens:
            self.finish_reason = "length"

    def commit(self, num_new_tokens, new_token_ids, now=0.0, eos_token_id=None):
        """Record one pass: num_new_tokens were fed (drafts among them), new_token_ids came out of it.

        new_token_ids is empty for a prefill chunk that is not the last one. Behind a draft of k tokens it has the
        accepted ones and one more; the cache keeps only the accepted ones. Tokens after the last one are dropped.
        """
        num_draft = len(self.draft_token_ids)
        num_tokens = self.num_tokens
        for token_id in new_token_ids:
            self.append(token_id, now, eos_token_id)
            if self.finish_reason:
                break
        num_accepted = max(self.num_tokens - num_tokens - 1, 0)
        self.num_computed_tokens += num_new_tokens - num_draft + num_accepted
        self.draft_token_ids = []

    @property
    def ttft_s(self):
        """Seconds from arrival to the first token, or None before it."""
        return self.token_times[0] - self.arrival_time if self.token_times else None

    @property
    def tpot_s(self):
        """Mean seconds per token after the first, or None with fewer than two tokens."""
        if len(self.token_times) < 2:
            return None
        return (self.token_times[-1] - self.token_times[0]) / (len(self.token_times) - 1)

    def check_invariants(self, block_size):
        """The table covers what is computed, and something is left to compute. Raises InvariantError."""
        name = f"sequence {self.seq_id}"
        room = len(self.block_table) * block_size
        require(self.num_computed_tokens <= room, f"{name}: {self.num_computed_tokens} tokens in {room} slots")
        require(len(set(self.block_table)) == len(self.block_table), f"{name} lists a block twice")
        if self.is_finished:
            require(not self.block_table, f"{name} has finished and still holds {len(self.block_table)} blocks")
            require(self.finish_reason is not None, f"{name} has finished without a reason")
        else:
            require(self.num_uncomputed_tokens >= 1, f"{name} has no token left to feed: its next logits never come")
        if self.status is Status.WAITING:
            require(not self.block_table and not self.num_computed_tokens, f"{name} waits but holds cache")
