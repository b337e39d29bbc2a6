"""Numeric questions with parameters on chapters 1 to 14. Every answer is computed by the course's own formulas.

All that a student needs for the answer stands in the text.
"""

from book.tools.question import Kind
from mini_engine import accounting
from mini_engine.config import LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_8B, SMOLLM2_135M, ModelConfig


def decode_flops(matrices, layers, heads, context):
    """FLOPs of one decode pass over `context` cached tokens; matrices: parameters of all of them."""
    bare = ModelConfig("bare", layers, 1, heads, heads, 1, 1, 64)
    attention = accounting.forward_flops(bare, 1, context) - 2 * accounting.matmul_parameters(bare)
    return 2 * matrices + attention


MODELS = (SMOLLM2_135M, LLAMA_2_7B, LLAMA_2_13B, LLAMA_2_70B, LLAMA_3_8B)  # no two with the same cache
# shapes that no table on the web has the answer for
MADE = tuple(  # layers, heads
    ModelConfig(f"{n}-{h}", n, 64 * h, h, h // 4, 172 * h, 32000, 64, tie_word_embeddings=True)
    for n in (10, 14, 18, 22)
    for h in (8, 12, 20)
)
CACHE = "{m.num_hidden_layers} layers, {m.num_key_value_heads} KV heads of {m.head_dim} numbers"

KINDS = (
    Kind(
        "loop_tokens",
        "01_tokens_to_logits",
        "A loop without a KV cache feeds the whole list again in each pass. It writes {new} tokens after a prompt of "
        "{prompt}. How many tokens go through the model, over all passes?",
        "tokens",
        {"prompt": range(4, 41), "new": range(50, 301, 10)},
        lambda prompt, new: accounting.tokens_processed(prompt, new, cached=False),
        "{new} · {prompt} + {new} · ({new} − 1) / 2",
    ),
    Kind(
        "parameters",
        "02_llama_forward",
        "A LLaMA-style decoder has {m.num_hidden_layers} layers, d = {m.hidden_size}, {m.num_attention_heads} query "
        "heads and {m.num_key_value_heads} KV heads of {m.head_dim} numbers, a SwiGLU MLP of width "
        "{m.intermediate_size} and a vocabulary of {m.vocab_size}. The LM head is tied to the embedding, nothing has a "
        "bias. How many parameters does it have, the gains of the RMSNorms too?",
        "parameters",
        {"m": MADE},
        lambda m: accounting.parameter_count(m),
        "V · d + L · (2 · d · H_q · d_h + 2 · d · H_kv · d_h + 3 · d · d_ff) + (2 · L + 1) · d",
    ),
    Kind(
        "kv_bytes_per_token",
        "03_kv_cache",
        f"A model has {CACHE}. It stores {{bytes_per}} bytes per number. By how many bytes does its KV cache grow with "
        "each token?",
        "bytes",
        {"m": (*MODELS, *MADE), "bytes_per": (1, 2)},
        lambda m, bytes_per: accounting.kv_bytes_per_token(m, bytes_per),
        "2 · {m.num_hidden_layers} · {m.num_key_value_heads} · {m.head_dim} · {bytes_per}",
    ),
    Kind(
        "kv_cache_gb",
        "03_kv_cache",
        f"A model has {CACHE}, in 16 bits. How large is the KV cache of {{batch}} requests of {{tokens}} tokens each, "
        "in GB (1e9 bytes)?",
        "GB",
        {"m": MODELS, "batch": (4, 8, 16, 32), "tokens": (1500, 4000, 6000, 8000)},
        lambda m, batch, tokens: (
            accounting.kv_cache_bytes(batch, m.num_hidden_layers, tokens, m.num_key_value_heads, m.head_dim) / 1e9
        ),
        "2 · {m.num_hidden_layers} · {m.num_key_value_heads} · {m.head_dim} · 2 · {batch} · {tokens} / 1e9",
        tolerance=0.01,
    ),
    Kind(
        "decode_gflops",
        "04_flops_and_roofline",
        "The matrices of a model hold {matrices} million parameters, the LM head with them. It has {layers} layers of "
        "{heads} query heads of 64 numbers. Count 2 FLOPs for a multiply-add, the matmuls alone. How many GFLOPs "
        "(1e9) does one decode pass of one request take that sees {context} cached tokens and its own?",
        "GFLOPs",
        {"matrices": (150, 250, 400, 700), "layers": (12, 24, 32), "heads": (12, 16, 24), "context": (999, 3999, 7999)},
        lambda matrices, layers, heads, context: decode_flops(matrices * 10**6, layers, heads, context) / 1e9,
        "(2 · {matrices}e6 + 4 · {layers} · {heads} · 64 · ({context} + 1)) / 1e9",
        tolerance=0.01,
    ),
    Kind(
        "ridge_point",
        "04_flops_and_roofline",
        "A processor computes {tflops} TFLOP/s and reads {gb} GB/s. From which intensity on is arithmetic the limit?",
        "FLOP per byte",
        {"tflops": (2, 40, 120, 312, 990), "gb": (50, 400, 900, 2000, 3350)},
        lambda tflops, gb: accounting.ridge_point(tflops * 1e12, gb * 1e9),
        "{tflops}e12 / {gb}e9",
        tolerance=0.01,
    ),
    Kind(
        "linear_intensity",
        "04_flops_and_roofline",
        "A linear layer multiplies {batch} rows of {d_in} numbers by a matrix of {d_in} × {d_out}, everything in 16 "
        "bits. Rows, matrix and results cross the memory bus once. What is the arithmetic intensity?",
        "FLOP per byte",
        {"batch": (1, 8, 32, 128, 512), "d_in": (576, 2048, 4096), "d_out": (1536, 4096, 11008)},
        lambda batch, d_in, d_out: accounting.linear_intensity(batch, d_in, d_out),
        "2 · {batch} · {d_in} · {d_out} / (2 · ({batch} · {d_in} + {d_in} · {d_out} + {batch} · {d_out}))",
        tolerance=0.01,
    ),
    Kind(
        "score_matrix_gb",
        "05_attention_variants",
        "Textbook attention writes all scores of a layer to memory. How large are they for {batch} requests of "
        "{tokens} tokens with {heads} heads, in 16 bits, in GB (1e9 bytes)?",
        "GB",
        {"batch": (1, 2, 4), "tokens": (2048, 4096, 8192, 10000), "heads": (12, 16, 32)},
        lambda batch, tokens, heads: accounting.score_matrix_bytes(batch, heads, tokens) / 1e9,
        "{batch} · {heads} · {tokens}² · 2 / 1e9",
        tolerance=0.01,
    ),
    Kind(
        "requests_that_fit",
        "06_capacity_planning",
        f"A GPU has {{gb}} GB (1e9 bytes), and the weights of a model take {{weights}} of them. The model has {CACHE}; "
        "the cache is in 16 bits. How many whole requests of {tokens} tokens fit beside the weights?",
        "requests",
        {
            "m": (LLAMA_3_8B, LLAMA_2_7B, LLAMA_2_13B),
            "gb": (40, 48, 80, 141),
            "weights": (7, 14, 26),
            "tokens": (2048, 6000),
        },
        lambda m, gb, weights, tokens: accounting.concurrent_users(m, (gb - weights) * 10**9, tokens),
        "⌊({gb} − {weights})e9 / (2 · {m.num_hidden_layers} · {m.num_key_value_heads} · {m.head_dim} · 2 · {tokens})⌋",
    ),
    Kind(
        "quantized_gb",
        "07_quantization",
        "A model of {billions} billion weights is stored in {bits} bits, with a 16-bit scale and a 16-bit zero point "
        "for each group of {group} weights. How many GB (1e9 bytes)?",
        "GB",
        {"billions": (1, 3, 7, 13, 70), "bits": (3, 4, 8), "group": (32, 64, 128)},
        lambda billions, bits, group: accounting.quantized_bytes(billions * 10**9, bits, group, 2, 2) / 1e9,
        "{billions} · ({bits} / 8 + 4 / {group})",
        tolerance=0.01,
    ),
    Kind(
        "smaller_weights_bound",
        "07_quantization",
        "The weights of a model shrink from {before} GB to {after} GB. A decode step also reads {cache} GB of KV "
        "cache, as before. How many times faster can the step get at most?",
        "times",
        {"before": (14, 16, 26, 140), "after": (3.6, 4.5, 7.5), "cache": (0.5, 2, 6, 20)},
        lambda before, after, cache: accounting.decode_speedup_bound(before + cache, after + cache),
        "({before} + {cache}) / ({after} + {cache})",
        tolerance=0.01,
    ),
    Kind(
        "last_token_ms",
        "08_sampling_and_latency",
        "A request waits {queue} ms, its prefill takes {prefill} ms, the draw of a token is free, and each further "
        "token comes {tpot} ms after the one before. When, counted from its arrival, does token number {num} come?",
        "ms",
        {"queue": range(5, 60, 5), "prefill": range(60, 400, 20), "tpot": (12, 18, 25, 40), "num": (50, 100, 256)},
        lambda queue, prefill, tpot, num: accounting.total_latency_ms(accounting.ttft_ms(queue, prefill, 0), tpot, num),
        "{queue} + {prefill} + ({num} − 1) · {tpot}",
    ),
    Kind(
        "free_slots",
        "09_paged_kv_cache",
        "Three sequences of {a}, {b} and {c} tokens live in blocks of {block} tokens and share none. How many slots of "
        "their blocks hold no token?",
        "slots",
        {"a": range(5, 60), "b": range(60, 200), "c": range(200, 900), "block": (8, 16, 32)},
        lambda a, b, c, block: sum(accounting.num_blocks_for(n, block) for n in (a, b, c)) * block - (a + b + c),
        "(⌈{a} / {block}⌉ + ⌈{b} / {block}⌉ + ⌈{c} / {block}⌉) · {block} − ({a} + {b} + {c})",
    ),
    Kind(
        "in_flight",
        "10_continuous_batching",
        "A server finishes {rate} requests per second, each of which writes {num} tokens at {tpot} ms per token; "
        "waiting and prefill take no time worth counting. How many sequences are in its batch on average?",
        "sequences",
        {"rate": (2, 5, 12, 30), "num": (100, 250, 400), "tpot": (10, 20, 40)},
        lambda rate, num, tpot: accounting.littles_law(rate, num * tpot / 1e3),
        "{rate} · {num} · {tpot} / 1000",
        tolerance=0.01,
    ),
    Kind(
        "tokens_per_verification",
        "11_speculative_decoding",
        "A draft model proposes {k} tokens. The target keeps each with probability {alpha}, up to the first one it "
        "rejects, and always adds one token of its own. How many tokens does one verification give on average?",
        "tokens",
        {"k": range(2, 9), "alpha": (0.5, 0.6, 0.7, 0.8, 0.9)},
        lambda k, alpha: accounting.expected_tokens(alpha, k),
        "1 + {alpha} + … + {alpha}^{k}",
        tolerance=0.01,
    ),
    Kind(
        "speculation_speedup",
        "11_speculative_decoding",
        "Drafts of {k} tokens are kept with probability {alpha} each, up to the first rejection; the target always "
        "adds a token. A draft step costs {c} of a target step, and verifying {k} drafts costs one target step. How "
        "many times faster is this than the target alone?",
        "times",
        {"k": range(2, 9), "alpha": (0.5, 0.6, 0.7, 0.8, 0.9), "c": (0.05, 0.1, 0.2)},
        lambda k, alpha, c: accounting.expected_speedup(alpha, k, c),
        "(1 + {alpha} + … + {alpha}^{k}) / (1 + {k} · {c})",
        tolerance=0.01,
    ),
    Kind(
        "served_tokens_per_second",
        "12_mini_server",
        "A server decodes {batch} requests together. Its weights take {weights} GB, the KV cache of each request {kv} "
        "GB, and its memory reads {gb} GB/s. How many tokens per second can it write at most, over all requests?",
        "tokens per second",
        {"batch": (1, 4, 16, 64), "weights": (7, 14, 16), "kv": (0.1, 0.3, 0.5), "gb": (900, 2000, 3350)},
        lambda batch, weights, kv, gb: accounting.tokens_per_second_ceiling(weights, batch * kv, gb, batch),
        "{batch} · {gb} / ({weights} + {batch} · {kv})",
        tolerance=0.01,
    ),
    Kind(
        "cpu_floor_ms",
        "13_cpu_lab",
        "A processor reads {gb} GB/s. Below how many milliseconds can no decode step of a model go that has {mb} MB "
        "(1e6 bytes) of weights and {kv} MB of KV cache?",
        "ms",
        {"gb": (20, 27, 45, 90), "mb": (135, 270, 540, 4300), "kv": (5, 20, 45)},
        lambda gb, mb, kv: accounting.decode_floor_ms(mb * 1e6, kv * 1e6, gb * 1e9),
        "({mb} + {kv}) / {gb}",
        tolerance=0.01,
    ),
    Kind(
        "launch_bound_ms",
        "14_gpu_lab",
        "A decode step starts {kernels} kernels. Starting one takes the host {launch} µs, while the GPU still works on "
        "earlier ones. The GPU reads {mb} MB (1e6 bytes) at {gb} GB/s and rests {gap} µs between two kernels (count "
        "one rest for each kernel). How many milliseconds does the step take?",
        "ms",
        {
            "kernels": (150, 300, 600),
            "launch": (2, 4, 8),
            "mb": (270, 1000, 3000),
            "gb": (900, 2000),
            "gap": (0.5, 1, 2),
        },
        lambda kernels, launch, mb, gb, gap: (
            1e3 * accounting.step_seconds(mb * 1e6, gb * 1e9, kernels, launch * 1e-6, gap * 1e-6)
        ),
        "max({kernels} · {launch} / 1000, {mb} / {gb} + {kernels} · {gap} / 1000)",
        tolerance=0.01,
    ),
)
