"""What the ranks say to each other, counted in advance, and what a decode step takes where links have a speed.

Everything here is arithmetic; tests/test_parallel.py holds the counts against what the processes sent.
"""

from dataclasses import dataclass

from mini_engine.accounting import kv_bytes_per_token, matmul_parameters
from mini_engine.parallel.split import heads_of
from mini_engine.speed import need_not_negative, need_positive

PAIR_BYTES = 16  # a logit and its id, float64 each


@dataclass(frozen=True)
class Traffic:
    """Messages and payload bytes, all ranks together."""

    num_messages: int
    num_bytes: int

    def __add__(self, other):
        return Traffic(self.num_messages + other.num_messages, self.num_bytes + other.num_bytes)


def all_reduce_traffic(size, num_bytes):
    """A ring: each of `size` ranks sends 2(size - 1) messages; each part of the array travels as often."""
    return Traffic(2 * size * (size - 1), 2 * (size - 1) * num_bytes)


def tensor_pass(config, size, num_tokens, bytes_per=4):
    """One pass over num_tokens: an all-reduce of [num_tokens, d] for the embedding and two a layer, and the pairs."""
    need_positive(size=size, num_tokens=num_tokens)
    one = all_reduce_traffic(size, num_tokens * config.hidden_size * bytes_per)
    num = 2 * config.num_hidden_layers + 1
    pairs = Traffic(size * (size - 1), size * (size - 1) * PAIR_BYTES)
    return Traffic(num * one.num_messages, num * one.num_bytes) + pairs


def pipeline_pass(config, size, num_tokens, bytes_per=4):
    """One pass over num_tokens of one micro-batch: [num_tokens, d] from stage to stage; no way back."""
    need_positive(size=size, num_tokens=num_tokens)
    return Traffic(size - 1, (size - 1) * num_tokens * config.hidden_size * bytes_per)


def generation_traffic(config, how, size, prompt_lengths, num_new):
    """What `size` ranks send while they continue prompts by num_new tokens each. how: "tensor" or "pipeline"."""
    one_pass = {"tensor": tensor_pass, "pipeline": pipeline_pass}[how]
    total = Traffic(0, 0)
    for length in prompt_lengths:
        for num_tokens in (length, *[1] * (num_new - 1)):
            total += one_pass(config, size, num_tokens)
        if how == "pipeline" and size > 1:
            total += Traffic(num_new - 1, 8 * (num_new - 1))
    return total


def tensor_step_s(config, size, memory, link, latency_s, batch=1, context=1024, bytes_per=2):
    """(seconds of reading, seconds of all-reduces) of a decode step on `size` devices, as a floor.

    memory, link: bytes per second of a device's memory and of what it can send. latency_s: of one message. Reading: the
    busiest rank's weights (1/size of them, and the KV heads that it keeps a copy of) and its part of the caches.
    All-reduces: 2 layers + 1, each 2(size - 1) messages behind each other, each an n-th of [batch, d]. The exchange of
    the best pairs is left out. Raises ValueError for a size that does not fit the model.
    """
    need_positive(size=size, memory=memory, link=link, batch=batch)
    need_not_negative(latency_s=latency_s, context=context)
    kept = max(len(heads_of(config, rank, size)[1]) for rank in range(size)) / config.num_key_value_heads
    kv_weights = 2 * config.num_hidden_layers * config.hidden_size * config.num_key_value_heads * config.head_dim
    weights = (matmul_parameters(config) - kv_weights) / size + kv_weights * kept
    cache = batch * context * kv_bytes_per_token(config, bytes_per) * kept
    message_s = latency_s + batch * config.hidden_size * bytes_per / size / link
    reduces = 2 * config.num_hidden_layers + 1
    return (weights * bytes_per + cache) / memory, reduces * 2 * (size - 1) * message_s


def bubble_share(num_stages, num_micro_batches):
    """The part of the time that the stages of a pipeline stand idle in one pass: (S - 1) / (M + S - 1)."""
    need_positive(num_stages=num_stages, num_micro_batches=num_micro_batches)
    return (num_stages - 1) / (num_micro_batches + num_stages - 1)
