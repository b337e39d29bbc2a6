"""What a model costs: parameters, bytes, tokens, FLOPs, and how many requests fit. One home for every formula.

Counts and bytes are ints; a multiply-add is 2 FLOPs; `bytes_per` is bytes per stored number (2 for bf16, 0.5 for
int4). Sizes that make no sense raise ValueError with the value. Formulas with a second in them live in `speed`
and can be imported from here too.
"""

import math

from mini_engine.speed import *  # noqa: F403  (the second half of this home)
from mini_engine.speed import need_not_negative, need_positive


def matmul_parameters(config):
    """Parameters that every token is multiplied with: all matrices and the LM head, no norms, no embedding look-up."""
    d, ff = config.hidden_size, config.intermediate_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    layer = 2 * d * q + 2 * d * kv + 3 * d * ff
    return config.num_hidden_layers * layer + d * config.vocab_size


def parameter_count(config):
    """Parameters of a LLaMA-style decoder, exact; a tied LM head counts once. Touvron et al. 2023 (2302.13971), §2."""
    norms = (2 * config.num_hidden_layers + 1) * config.hidden_size
    embedding = 0 if config.tie_word_embeddings else config.vocab_size * config.hidden_size
    return matmul_parameters(config) + norms + embedding


def weight_bytes(config, bytes_per=2):
    """Bytes of all parameters."""
    need_positive(bytes_per=bytes_per)
    return math.ceil(parameter_count(config) * bytes_per)


def quantized_bytes(n_params, bits, group_size, scale_bytes=2, zero_bytes=0):
    """Bytes of n_params weights in `bits` bits, with a scale (and zero point) for each group of group_size."""
    need_positive(n_params=n_params, bits=bits, group_size=group_size)
    need_not_negative(scale_bytes=scale_bytes, zero_bytes=zero_bytes)
    num_groups = math.ceil(n_params / group_size)
    return math.ceil(n_params * bits / 8 + num_groups * (scale_bytes + zero_bytes))


def kv_bytes_per_token(config, bytes_per=2):
    """Bytes that one token adds to the KV cache of all layers: 2 · L · H_kv · head_dim · bytes_per."""
    return kv_cache_bytes(1, config.num_hidden_layers, 1, config.num_key_value_heads, config.head_dim, bytes_per)


def kv_cache_bytes(batch, layers, tokens, kv_heads, head_dim, bytes_per=2):
    """Bytes of the K and V arrays, each [batch, layers, kv_heads, tokens, head_dim]."""
    need_not_negative(batch=batch, tokens=tokens)
    need_positive(layers=layers, kv_heads=kv_heads, head_dim=head_dim, bytes_per=bytes_per)
    return math.ceil(2 * batch * layers * tokens * kv_heads * head_dim * bytes_per)


def gqa_cache_saving(n_heads, n_kv_heads):
    """How many times smaller the cache is with n_kv_heads than with one KV head per query head (2305.13245)."""
    need_positive(n_heads=n_heads, n_kv_heads=n_kv_heads)
    if n_heads % n_kv_heads:
        raise ValueError(f"n_heads={n_heads} is not a multiple of n_kv_heads={n_kv_heads}")
    return n_heads / n_kv_heads


def score_matrix_bytes(batch, heads, tokens, bytes_per=2):
    """Bytes of the attention scores [batch, heads, tokens, tokens] where standard attention writes them to memory."""
    need_positive(batch=batch, heads=heads, tokens=tokens, bytes_per=bytes_per)
    return math.ceil(batch * heads * tokens * tokens * bytes_per)


def num_blocks_for(num_tokens, block_size):
    """Blocks of block_size tokens that hold num_tokens tokens; the last may be partly empty (2309.06180, section 4)."""
    need_not_negative(num_tokens=num_tokens)
    need_positive(block_size=block_size)
    return -(-num_tokens // block_size)


def tokens_processed(prompt, new, cached):
    """Tokens pushed through the model to write `new` tokens after a prompt; the last one is never fed back."""
    need_positive(prompt=prompt, new=new)
    return prompt + new - 1 if cached else new * prompt + new * (new - 1) // 2


def cache_work_ratio(prompt, new):
    """Tokens processed without a cache over tokens processed with one; grows like new/2 at a fixed prompt."""
    return tokens_processed(prompt, new, False) / tokens_processed(prompt, new, True)


def forward_flops(config, n_tokens, context=0):
    """FLOPs of all matmuls in a pass over n_tokens new tokens after `context` cached ones.

    Causal: new token i attends to context + i + 1 positions, two multiply-adds (QK, PV) for
    each query channel. Logits for every new token. Norms, softmax, RoPE and SiLU are left out
    (a percent or two). Method of Hoffmann et al. 2022 (2203.15556), appendix F.
    """
    need_not_negative(n_tokens=n_tokens, context=context)
    pairs = n_tokens * context + n_tokens * (n_tokens + 1) // 2
    channels = config.num_attention_heads * config.head_dim
    attention = 4 * config.num_hidden_layers * channels * pairs
    return 2 * n_tokens * matmul_parameters(config) + attention


def request_flops(config, input_tokens, output_tokens):
    """FLOPs of one request with a KV cache: {"prefill", "decode", "total"}; prefill writes the first output token."""
    need_positive(input_tokens=input_tokens, output_tokens=output_tokens)
    prefill = forward_flops(config, input_tokens)
    decode = sum(forward_flops(config, 1, input_tokens + step) for step in range(output_tokens - 1))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}


def request_flops_simple(config, input_tokens, output_tokens):
    """The widely copied estimate, for comparison: {"prefill", "decode", "total"}. Too low by about half.

    One FLOP per multiply-add, MLP of two d x 4d matrices, 4d for the norms, 5 per softmax score, no LM head, as
    many decode steps as output tokens, and a decode step that does not see its own token.
    """
    need_positive(input_tokens=input_tokens, output_tokens=output_tokens)
    d = config.hidden_size

    def passes(num_tokens, num_scores):
        per_score = 2 * d + 5 * config.num_attention_heads
        return config.num_hidden_layers * (num_tokens * (12 * d * d + 4 * d) + num_scores * per_score)

    prefill = passes(input_tokens, sum(range(1, input_tokens + 1)))
    decode = passes(output_tokens, sum(range(input_tokens, input_tokens + output_tokens)))
    return {"prefill": prefill, "decode": decode, "total": prefill + decode}


def decode_attention_ops(context, d_model):
    """The T · d proxy for the work of attention in one decode step of one layer: grows with the context."""
    need_not_negative(context=context)
    need_positive(d_model=d_model)
    return context * d_model


def lifetime_ratio(n_params, train_tokens, served_tokens_per_day, days):
    """Inference FLOPs over training FLOPs: 2N a served token against 6N a training token (2001.08361, §2.1)."""
    need_positive(n_params=n_params, train_tokens=train_tokens)
    need_not_negative(served_tokens_per_day=served_tokens_per_day, days=days)
    return 2 * n_params * served_tokens_per_day * days / (6 * n_params * train_tokens)


class BatchSize(int):
    """How many whole requests fit: an int whose `message` says in one line why it is 0 (empty otherwise)."""

    def __new__(cls, value, message=""):
        self = super().__new__(cls, value)
        self.message = message
        return self


def concurrent_users(config, free_bytes, context, kv_bytes_per=2):
    """Whole requests of `context` tokens whose KV cache fits into free_bytes."""
    need_not_negative(free_bytes=free_bytes)
    need_positive(context=context, kv_bytes_per=kv_bytes_per)
    return int(free_bytes // (kv_bytes_per_token(config, kv_bytes_per) * context))


def max_batch_size(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2):
    """Whole requests of `context` tokens that fit beside the weights: a BatchSize (an int with a message)."""
    return max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp=1)


def max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1, replicate_kv=False):
    """Whole requests that fit on tp GPUs of gpu_bytes each: a BatchSize; weights and KV heads split evenly.

    A tp that does not divide the query heads or the KV heads raises ValueError. With replicate_kv a multiple of the
    KV heads is taken too: each GPU then keeps a copy of one KV head and its projections, as vLLM does.
    """
    need_positive(gpu_bytes=gpu_bytes, context=context, tp=tp)
    kv_per_gpu = kv_heads_per_gpu(config, tp, replicate_kv)
    kv_share = kv_per_gpu / config.num_key_value_heads
    kv_params = 2 * config.num_hidden_layers * config.hidden_size * config.num_key_value_heads * config.head_dim
    kv_extra = math.ceil(kv_params * weight_bytes_per * (kv_share - 1 / tp))
    free = gpu_bytes - weight_bytes(config, weight_bytes_per) / tp - kv_extra
    request = kv_bytes_per_token(config, kv_bytes_per) * context * kv_share
    if free < 0:
        need, have = (gpu_bytes - free) / 1e9, gpu_bytes / 1e9
        return BatchSize(0, f"the weights alone need {need:.2f} GB per GPU, which has {have:.2f} GB")
    if free < request:
        return BatchSize(0, f"a request needs {request / 1e9:.2f} GB of KV cache per GPU, {free / 1e9:.2f} GB are free")
    return BatchSize(free // request)


def kv_heads_per_gpu(config, tp, replicate_kv=False):
    """KV heads that each of tp GPUs stores; raises ValueError for a split that cannot be made."""
    heads, kv_heads = config.num_attention_heads, config.num_key_value_heads
    if heads % tp:
        raise ValueError(f"tp={tp} does not divide the {heads} query heads")
    if kv_heads % tp == 0:
        return kv_heads // tp
    if replicate_kv and tp % kv_heads == 0:
        return 1
    raise ValueError(
        f"tp={tp} does not divide the {kv_heads} KV heads; real engines copy KV heads when tp is a multiple "
        "of their number (each GPU keeps one, the cache per GPU stops shrinking) and reject the rest"
    )


def capacity_table(config, gpu_bytes, context, weight_bytes_per=2, kv_bytes_per=2, tp=1, replicate_kv=False):
    """The four rows of a capacity plan: parameters, their memory and the KV of one request in GB, and the max batch.

    Memory is that of the whole model and the whole request, over all GPUs. `message` says why max_batch is 0.
    """
    batch = max_batch_size_tp(config, gpu_bytes, context, weight_bytes_per, kv_bytes_per, tp, replicate_kv)
    copies = tp * kv_heads_per_gpu(config, tp, replicate_kv) / config.num_key_value_heads
    return {
        "parameters": parameter_count(config),
        "parameter_memory_gb": weight_bytes(config, weight_bytes_per) / 1e9,
        "kv_per_request_gb": kv_bytes_per_token(config, kv_bytes_per) * context * copies / 1e9,
        "max_batch": int(batch),
        "message": batch.message,
    }
