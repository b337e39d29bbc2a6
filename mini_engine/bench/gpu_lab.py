"""The measurements of chapter 14, each a function that returns a dict for JSON; on a CPU the same with smaller sizes.

Every measured time stands beside what the ceilings of the device predict for it (speed.step_seconds), and every way
to the same text is compared with the plain cached one before it is timed.
"""

import torch

from mini_engine.accounting import forward_flops, kv_cache_bytes
from mini_engine.bench.ceilings import count_kernels
from mini_engine.bench.timing import spread, synchronize, time_calls
from mini_engine.generate import DECODER_MODES, greedy
from mini_engine.gpu.graphs import GraphedDecoder
from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.kv_cache import KVCache
from mini_engine.quant.caches import StaticInt8KVCache
from mini_engine.quant.modules import bytes_read_per_token
from mini_engine.speed import step_seconds

# time_calls' warm-up, count_kernels' two calls and a spare one: steps that a cache needs room for beside the timed ones
EXTRA_STEPS = 8


def kv_bytes(model, tokens, batch=1):
    """Bytes of K and V of `tokens` tokens in the model's own dtype."""
    config = model.config
    shape = batch, config.num_hidden_layers, tokens, config.num_key_value_heads, config.head_dim
    return kv_cache_bytes(*shape, bytes_per=model.dtype.itemsize)


def predicted(model, ceilings, num_kernels, *, num_tokens=1, read_tokens=0, context=0, batch=1, graph=False):
    """{num_bytes, floor_s, predicted_s, num_kernels} of a pass: batch sequences of num_tokens new tokens each.

    read_tokens: cached tokens of each sequence that are read; a static cache reads its whole length.
    """
    num_bytes = bytes_read_per_token(model) + kv_bytes(model, read_tokens, batch)
    flops = batch * forward_flops(model.config, num_tokens, context)
    peak = ceilings.matmul_flops.get(str(model.dtype).removeprefix("torch."), max(ceilings.matmul_flops.values()))
    bandwidth = ceilings.bandwidth
    # a GPU queues launches while earlier kernels run; in a graph, and on a CPU, the gaps add up
    launch_s, gap_s = ceilings.launch_s, 0.0
    if graph:
        launch_s, gap_s = 0.0, ceilings.graph_launch_s
    elif model.device.type == "cpu":
        launch_s, gap_s = 0.0, ceilings.launch_s
    return {
        "num_bytes": num_bytes,
        "floor_s": num_bytes / bandwidth,
        "num_kernels": num_kernels,
        "predicted_s": step_seconds(num_bytes, bandwidth, num_kernels, launch_s, gap_s, flops, peak),
    }


@torch.inference_mode()
def check(model, expected):
    """The largest difference to the oracle's logits, and whether the first choice is the same; one row per text."""
    rows = []
    for case in expected:
        logits = model(torch.tensor([case["ids"]], device=model.device))[0, -1].float()
        wanted = torch.tensor(case["top_logits"], device=model.device)
        difference = float((logits[case["top_ids"]] - wanted).abs().max())
        same = int(logits.argmax()) == case["top_ids"][0]
        rows.append({"text": case["text"], "max_difference": difference, "same_first_choice": same})
    return {"dtype": str(model.dtype).removeprefix("torch."), "rows": rows}


def stepper(model, how, prompt_ids, num_steps):
    """(a function that decodes one more greedy token, tokens that it reads from the cache, its GraphedDecoder or None).

    The chosen token stays on the device and is fed back. Without a cache every call repeats the pass over the prompt.
    """
    prompt = torch.tensor([prompt_ids], device=model.device)
    if how == "no cache":
        return lambda: model.lm_head(model.hidden_states(prompt)[:, -1]).argmax(dim=-1), len(prompt_ids), None
    room = len(prompt_ids) + num_steps + EXTRA_STEPS
    make = KVCache if how == "cache" else StaticKVCache
    cache = make(model.config, room, 1, model.dtype, model.device)
    decoder = GraphedDecoder(model, cache, how=DECODER_MODES[how]) if how in DECODER_MODES else None
    state = [model(prompt, cache)[:, -1].argmax(dim=-1, keepdim=True)]

    def step():
        logits = decoder.step(state[0]) if decoder else model(state[0], cache)
        state[0] = logits[:, -1].argmax(dim=-1, keepdim=True)
        return state[0]

    return step, len(prompt_ids) if how == "cache" else room, decoder


@torch.inference_mode()
def road(model, ceilings, prompt_ids, num_new=16, ways=("no cache", "cache", "static cache", "graph"), num_rounds=20):
    """Rows of the road from no cache to a recorded step: text, prediction and measured seconds per token.

    same_text compares num_new greedy tokens with those of the growing cache.
    """
    reference = greedy(model, prompt_ids, num_new, "cache")
    rows = []
    for how in ways:
        same = greedy(model, prompt_ids, num_new, how) == reference
        rounds = max(3, num_rounds // 4) if how == "no cache" else num_rounds
        step, read_tokens, decoder = stepper(model, how, prompt_ids, rounds)
        step()  # what is recorded or compiled at the first call is not the step
        num_kernels = count_kernels(step, model.device)
        is_graph = decoder is not None and decoder.note == "CUDA graph"
        whole = {"num_tokens": len(prompt_ids)} if how == "no cache" else {"context": len(prompt_ids)}
        row = {"how": how, "note": decoder.note if decoder else "", "same_text": same}
        row |= predicted(model, ceilings, num_kernels, read_tokens=read_tokens, graph=is_graph, **whole)
        rows.append(row | {"measured_s": spread(time_calls(step, model.device, rounds))})
    return {"context": len(prompt_ids), "dtype": str(model.dtype).removeprefix("torch."), "rows": rows}


def filled_decoder(model, batch, context, room, num_new=1, cache_class=StaticKVCache):
    """A GraphedDecoder over a cache that holds `context` random tokens of each of `batch` sequences."""
    cache = cache_class(model.config, room, batch, model.dtype, model.device)
    for tensor in (cache.k, cache.v):
        if tensor.is_floating_point():
            tensor.normal_()
        else:
            tensor.random_(-127, 128)
    cache.length = context
    cache.position.fill_(context)
    return GraphedDecoder(model, cache, num_new)


@torch.inference_mode()
def timed_step(model, ceilings, batch, context, num_new=1, num_rounds=20, cache_class=StaticKVCache):
    """A recorded step of batch * num_new tokens: its prediction, seconds, and bytes over seconds."""
    room = context + num_new * (num_rounds + EXTRA_STEPS)
    decoder = filled_decoder(model, batch, context, room, num_new, cache_class)
    ids = torch.randint(model.config.vocab_size, (batch, num_new), device=model.device)
    decoder.step(ids)
    num_kernels = count_kernels(lambda: decoder.step(ids), model.device)
    sizes = {"num_tokens": num_new, "read_tokens": room, "context": context, "batch": batch}
    row = {"batch": batch, "num_new": num_new, "note": decoder.note}
    row |= predicted(model, ceilings, num_kernels, **sizes, graph=decoder.note == "CUDA graph")
    row["measured_s"] = spread(time_calls(lambda: decoder.step(ids), model.device, num_rounds))
    row["bytes_per_s"] = row["num_bytes"] / row["measured_s"]["median"]
    row["share_of_bandwidth"] = row["bytes_per_s"] / ceilings.bandwidth
    row["tokens_per_s"] = batch * num_new / row["measured_s"]["median"]
    return row


def batch_sweep(model, ceilings, batches, context=256, num_rounds=20):
    """timed_step for each batch size, from bandwidth towards FLOP/s; stops where the memory ends and says so."""
    rows, note = [], ""
    for batch in batches:
        try:
            rows.append(timed_step(model, ceilings, batch, context, num_rounds=num_rounds))
        except torch.OutOfMemoryError:
            note = f"a batch of {batch} does not fit into the memory of this device"
            break
    return {"context": context, "note": note, "rows": rows}


def verification(model, ceilings, lengths=(1, 2, 4, 8, 16, 32), context=128, num_rounds=20):
    """timed_step for passes over 1 to 32 tokens of one sequence, as speculation needs, relative to one token."""
    rows = [timed_step(model, ceilings, 1, context, length, num_rounds) for length in lengths]
    base = rows[0]["measured_s"]["median"]
    return {"context": context, "rows": [row | {"relative": row["measured_s"]["median"] / base} for row in rows]}


@torch.inference_mode()
def int8_kv(model, ceilings, prompt_ids, context=1024, num_rounds=20):
    """The cache in int8 beside the model's own dtype: bytes held, error of the logits after a prompt, step time."""
    prompt = torch.tensor([prompt_ids], device=model.device)
    rows, exact = [], None
    for cache_class in (StaticKVCache, StaticInt8KVCache):
        cache = cache_class(model.config, len(prompt_ids), 1, model.dtype, model.device)
        logits = model(prompt, cache)[0].float()
        exact = logits if exact is None else exact
        row = {"cache": cache_class.__name__, "bytes_per_token": cache.num_bytes / len(prompt_ids)}
        row |= logit_error(exact, logits)
        timed = timed_step(model, ceilings, 1, context, num_rounds=num_rounds, cache_class=cache_class)
        rows.append(row | {"measured_s": timed["measured_s"], "num_kernels": timed["num_kernels"]})
    return {"context": context, "rows": rows}


def logit_error(exact, logits):
    """Relative error of logits [N, V], KL to the exact ones in nats per token, and share of equal first choices."""
    exact, logits = exact.float(), logits.float()
    log_p, log_q = exact.log_softmax(-1), logits.log_softmax(-1)
    return {
        "relative_error": float((logits - exact).norm() / exact.norm()),
        "kl": float((log_p.exp() * (log_p - log_q)).sum(-1).mean()),
        "agreement": float((log_p.argmax(-1) == log_q.argmax(-1)).float().mean()),
    }


@torch.inference_mode()
def quantized(models, ceilings, text_ids, context=64, num_rounds=20):
    """Rows for models by scheme (None: unquantized): bytes, seconds per token, and error on a text of ids [N].

    Errors are against the first model; on SmolLM2 its weights are the dequantized ones, not those it was trained to.
    """
    text, rows, exact = torch.tensor([text_ids], device=next(iter(models.values())).device), [], None
    for scheme, model in models.items():
        logits = model(text)[0].float()
        exact = logits if exact is None else exact
        surprise = torch.nn.functional.cross_entropy(logits[:-1], text[0, 1:])
        timed = timed_step(model, ceilings, 1, context, num_rounds=num_rounds)
        row = {"scheme": scheme or "unquantized", "weight_bytes": bytes_read_per_token(model)}
        row |= logit_error(exact, logits) | {"perplexity": float(surprise.exp())}
        rows.append(row | {key: timed[key] for key in ("measured_s", "predicted_s", "floor_s", "num_kernels", "note")})
        synchronize(model.device)
    return {"num_tokens": len(text_ids), "rows": rows}
