"""Numeric questions with parameters on chapters 15 to 18. Every answer is computed by the engine's own parts."""

import torch

from book.tools.question import Kind
from mini_engine.beyond.experts import expected_distinct
from mini_engine.beyond.latent import LatentCache, LatentConfig
from mini_engine.beyond.window import WindowCache
from mini_engine.config import LLAMA_2_7B, LLAMA_2_13B, LLAMA_3_8B, SMOLLM2_135M, ModelConfig
from mini_engine.fleet.handover import handover_bytes
from mini_engine.fleet.objectives import dollars_per_million, mm1_rate
from mini_engine.grammar.automaton import Automaton
from mini_engine.grammar.integers import integer_range
from mini_engine.parallel.traffic import all_reduce_traffic, bubble_share, tensor_pass
from mini_engine.sampler import Sampler
from mini_engine.sequence import SamplingParams

MODELS = (SMOLLM2_135M, LLAMA_2_7B, LLAMA_2_13B, LLAMA_3_8B)
CACHE = "{m.num_hidden_layers} layers, {m.num_key_value_heads} KV heads of {m.head_dim} numbers"


def next_digits(low, high, written):
    """How many digits may follow those written of a whole number from low to high."""
    automaton = Automaton({"root": integer_range(low, high)})
    return sum(bool(automaton.read(automaton.start, f"{written}{digit}".encode())) for digit in range(10))


def masked_probability(a, b, temperature):
    """The probability, in percent, of a token of b percent when only it and one of a percent are allowed."""
    logits = torch.tensor([[a, b, 100 - a - b]], dtype=torch.float64).log()
    logits[0, 2] = -torch.inf
    return 100 * Sampler().probabilities(logits, [SamplingParams(temperature)])[0, 1].item()


def latent_bytes(layers, rank, rope):
    """Bytes of one token in a latent cache of 16-bit numbers."""
    config = LatentConfig("latent", layers, 1, 1, 1, 1, 1, rope, kv_lora_rank=rank)
    return LatentCache(config, 1, dtype=torch.float16, device="meta").num_bytes


def window_mb(full, sliding, window, tokens):
    """MB (1e6 bytes) of a text in a 16-bit cache of 8 KV heads of 128 numbers, where some layers see a window."""
    config = ModelConfig("windows", full + sliding, 1, 8, 8, 1, 1, 128, max_position_embeddings=tokens)
    windows = [None] * full + [window] * sliding
    return WindowCache(config, tokens, windows, dtype=torch.float16, device="meta").num_bytes / 1e6


KINDS = (
    Kind(
        "next_digits",
        "15_structured_output",
        "A grammar allows whole numbers from {low} to {high}, without leading zeros. The model has written {written} "
        "so far. How many of the ten digits may come next?",
        "digits",
        {"low": (0, 104, 300, 1003), "high": (1216, 1234, 1250, 2500), "written": (1, 10, 12, 100, 121)},
        next_digits,
        "digits d for which some number from {low} to {high} begins with {written}d",
    ),
    Kind(
        "masked_probability",
        "15_structured_output",
        "At temperature 1, a model gives token A {a} %, token B {b} % and all others together the rest. The grammar "
        "allows A and B alone, and the draw is made at temperature {temperature}. What is the probability of B?",
        "percent",
        {"a": (2, 5, 10, 20, 40), "b": (1, 3, 8, 25), "temperature": (0.5, 1, 2)},
        masked_probability,
        "100 · {b}^(1 / {temperature}) / ({a}^(1 / {temperature}) + {b}^(1 / {temperature}))",
        tolerance=0.01,
    ),
    Kind(
        "all_reduce_bytes",
        "16_many_devices",
        "{size} ranks add up an array of {rows} × {d} numbers of {bytes_per} bytes with a ring all-reduce "
        "(reduce-scatter, then all-gather). How many bytes do all ranks together send?",
        "bytes",
        {"size": (2, 3, 4, 6, 8), "rows": (1, 16, 64, 500), "d": (576, 4096, 5120, 8192), "bytes_per": (2, 4)},
        lambda size, rows, d, bytes_per: all_reduce_traffic(size, rows * d * bytes_per).num_bytes,
        "2 · ({size} − 1) · {rows} · {d} · {bytes_per}",
    ),
    Kind(
        "tensor_pass_messages",
        "16_many_devices",
        "A decoder of {layers} layers is cut across {size} ranks by tensor parallelism. A pass does one ring "
        "all-reduce for the embedding and two for each layer; at its end every rank sends its best "
        "logit to every other. How many messages do all ranks together send in a pass?",
        "messages",
        {"layers": (12, 24, 30, 32, 40, 80), "size": (2, 3, 4, 8)},
        lambda layers, size: tensor_pass(ModelConfig("cut", layers, 1, 1, 1, 1, 1, 2), size, 1).num_messages,
        "(2 · {layers} + 1) · 2 · {size} · ({size} − 1) + {size} · ({size} − 1)",
    ),
    Kind(
        "bubble_percent",
        "16_many_devices",
        "A pass goes through a pipeline of {stages} equal stages in {micro} equal micro-batches, one behind the other. "
        "During which share of the pass does a stage stand idle, in percent?",
        "percent",
        {"stages": (2, 3, 4, 8, 16), "micro": (1, 2, 4, 6, 12, 32)},
        lambda stages, micro: 100 * bubble_share(stages, micro),
        "100 · ({stages} − 1) / ({micro} + {stages} − 1)",
        tolerance=0.01,
    ),
    Kind(
        "experts_awake",
        "17_beyond_llama",
        "A layer has {experts} experts, and each token picks {top_k} different ones, all equally likely and without "
        "regard to other tokens. How many experts does a batch of {tokens} tokens wake on average?",
        "experts",
        {"experts": (8, 16, 64, 128, 256), "top_k": (1, 2, 4), "tokens": (1, 4, 16, 64)},
        lambda experts, top_k, tokens: expected_distinct(experts, top_k, tokens),
        "{experts} · (1 − (1 − {top_k} / {experts})^{tokens})",
        tolerance=0.01,
    ),
    Kind(
        "latent_bytes",
        "17_beyond_llama",
        "A model with multi-head latent attention has {layers} layers. Of each token a layer keeps a latent of {rank} "
        "numbers and one rotated key of {rope} numbers, in 16 bits. By how many bytes does the cache grow with each "
        "token?",
        "bytes",
        {"layers": (24, 27, 48, 60, 61), "rank": (256, 384, 512), "rope": (32, 64)},
        latent_bytes,
        "{layers} · ({rank} + {rope}) · 2",
    ),
    Kind(
        "window_mb",
        "17_beyond_llama",
        "In {full} layers of a model every token sees all before it; in {sliding} layers only the last {window}, "
        "itself among them, and older ones are dropped. A layer has 8 KV heads of 128 numbers, in 16 bits. How many MB "
        "(1e6 bytes) does the cache of a text of {tokens} tokens take?",
        "MB",
        {"full": (4, 8, 12), "sliding": (12, 20, 36), "window": (128, 512, 1024), "tokens": (2000, 8000, 30000)},
        window_mb,
        "2 · 8 · 128 · 2 · ({full} · {tokens} + {sliding} · {window}) / 1e6",
        tolerance=0.01,
    ),
    Kind(
        "handover_mb",
        "18_a_fleet",
        f"A model has {CACHE}, in 16 bits. One process reads a prompt of {{tokens}} tokens and hands its full blocks "
        "of 16 tokens over to another, with the first new token and its place in 16 bytes more. How many MB "
        "(1e6 bytes) travel?",
        "MB",
        {"m": MODELS, "tokens": range(100, 4000, 123)},
        lambda m, tokens: handover_bytes(m, [list(range(tokens))], 16, 2) / 1e6,
        "(⌊{tokens} / 16⌋ · 16 · 2 · {m.num_hidden_layers} · {m.num_key_value_heads} · {m.head_dim} · 2 + 16) / 1e6",
        tolerance=0.01,
    ),
    Kind(
        "mm1_rate",
        "18_a_fleet",
        "A replica is an M/M/1 queue that can finish {service} requests per second. At which rate of arrivals are "
        "{percent} % of them done within {limit} seconds?",
        "requests per second",
        {"service": (10, 12, 20, 40), "limit": (0.5, 1, 2), "percent": (90, 95, 99)},
        lambda service, limit, percent: mm1_rate(service, limit, percent / 100),
        "{service} + ln(1 − {percent} / 100) / {limit}",
        tolerance=0.01,
    ),
    Kind(
        "dollars_per_million",
        "18_a_fleet",
        "{replicas} replicas at {dollars} dollars an hour each are kept running. Together they get {rate} requests per "
        "second and answer each with {tokens} tokens. What does a million tokens cost, in dollars?",
        "dollars",
        {"replicas": (2, 5, 12), "dollars": (0.8, 2.5, 4), "rate": (3, 7, 11), "tokens": (120, 200, 300)},
        lambda replicas, dollars, rate, tokens: dollars_per_million(replicas, dollars, rate * tokens),
        "{replicas} · {dollars} / 3600 / ({rate} · {tokens}) · 1e6",
        tolerance=0.01,
    ),
)
