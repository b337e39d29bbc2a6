"""Decode steps of SmolLM2's shape: contiguous cache, paged cache read at once, and paged cache read row by row."""

import statistics

import torch

from mini_engine.accounting import num_blocks_for
from mini_engine.bench.machine import machine
from mini_engine.bench.random_model import random_llama
from mini_engine.bench.timing import interleaved, write_json
from mini_engine.config import MODELS
from mini_engine.layers import attention
from mini_engine.paged_cache import PagedKVCache
from mini_engine.plotting import COLORS, figure
from mini_engine.rope import apply_rope

VARIANTS = ("contiguous", "paged", "loop")


class LoopAttention(torch.nn.Module):
    """The same attention with a Python loop: gather and attend for one sequence after the other."""

    def __init__(self, attn):
        super().__init__()
        self.attn = attn

    def forward(self, x, cos, sin, cache):
        attn, (batch, num_new, _) = self.attn, x.shape
        heads = attn.qkv(x).view(batch, num_new, -1, attn.head_dim)
        num_rotated = attn.num_heads + attn.num_kv_heads
        rotated = apply_rope(heads[:, :, :num_rotated], cos, sin).transpose(1, 2)
        q, k, v = rotated[:, : attn.num_heads], rotated[:, attn.num_heads :], heads[:, :, num_rotated:].transpose(1, 2)
        mixed = torch.cat([self._row(q[b : b + 1], k[b], v[b], cache, b) for b in range(batch)])
        return attn.out(mixed.transpose(1, 2).reshape(batch, num_new, -1))

    def _row(self, q, k, v, cache, b):
        table, length = cache.rows[b]
        read = []
        for pool, new in ((cache.paged.keys, k), (cache.paged.values, v)):
            pool = pool[self.attn.layer]
            pool[table[(length - 1) // cache.paged.block_size], :, (length - 1) % cache.paged.block_size] = new[:, 0]
            read.append(pool[table].transpose(0, 1).flatten(1, 2)[None, :, :length])
        return attention(q, *read)


class LoopCache:
    """What LoopAttention needs of a pass over a PagedKVCache: each row's table and length."""

    def __init__(self, paged, tables, length):
        self.paged = paged
        self.rows = [(torch.tensor(table), length) for table in tables]

    def positions(self, num_new):
        return torch.full((len(self.rows), num_new), self.rows[0][1] - 1)

    def advance(self, num_new):
        pass


def steps(model, batch, context, block_size):
    """{variant: a function that runs one decode step at the given context and returns logits [B, V]}."""
    config, length = model.config, context + 1
    num_columns = num_blocks_for(length, block_size)
    contiguous = model.new_cache(length, batch)
    contiguous.k.normal_()
    contiguous.v.normal_()
    paged = PagedKVCache(config, batch * num_columns, block_size)
    tables = torch.randperm(batch * num_columns).view(batch, num_columns)  # scattered, as after a while of serving
    for layer in range(config.num_hidden_layers):
        for pool, source in ((paged.keys[layer], contiguous.k[layer]), (paged.values[layer], contiguous.v[layer])):
            rows = torch.zeros(batch, pool.shape[1], num_columns * block_size, pool.shape[3])
            rows[:, :, :length] = source
            pool[tables] = rows.unflatten(2, (num_columns, block_size)).transpose(1, 2)
    tokens, tables = torch.zeros(batch, 1, dtype=torch.long), tables.tolist()
    attentions = [layer.attn for layer in model.layers]

    def step_contiguous():
        contiguous.length = context
        return model(tokens, contiguous)[:, -1]

    def step_paged():
        paged.begin(tables, [context] * batch, [1] * batch)
        return model(tokens, paged)[:, -1]

    def step_loop():
        for layer, attn in zip(model.layers, attentions, strict=True):
            layer.attn = LoopAttention(attn)
        try:
            return model(tokens, LoopCache(paged, tables, length))[:, -1]
        finally:
            for layer, attn in zip(model.layers, attentions, strict=True):
                layer.attn = attn

    return dict(zip(VARIANTS, (step_contiguous, step_paged, step_loop), strict=True))


@torch.inference_mode()
def measure(model, batch, context, block_size, num_rounds):
    """One row of the table: median ms per step of each variant, and the two ratios, medians of the rounds' ratios.

    Raises AssertionError when the variants do not compute the same logits.
    """
    functions = steps(model, batch, context, block_size)
    logits = {name: function() for name, function in functions.items()}
    for name in ("paged", "loop"):
        torch.testing.assert_close(logits[name], logits["contiguous"], rtol=1e-3, atol=1e-3)
    times = interleaved(functions, num_rounds)

    def ratio(a, b):
        return statistics.median(x / y for x, y in zip(times[a], times[b], strict=True))

    row = {"batch": batch, **{f"{name}_ms": 1000 * statistics.median(t) for name, t in times.items()}}
    row["spread"] = {name: [1000 * min(t), 1000 * max(t)] for name, t in times.items()}
    return row | {"paged_over_contiguous": ratio("paged", "contiguous"), "loop_over_paged": ratio("loop", "paged")}


def plot(results, path):
    """Save milliseconds per step against the batch."""
    fig, ax = figure()
    rows = results["rows"]
    for name, color in zip(VARIANTS, COLORS, strict=False):
        ax.plot([r["batch"] for r in rows], [r[f"{name}_ms"] for r in rows], "o-", color=color, label=name)
    ax.set(xlabel="batch (sequences)", ylabel="ms per decode step", xscale="log", yscale="log")
    ax.set_xticks([r["batch"] for r in rows], [str(r["batch"]) for r in rows])
    ax.minorticks_off()
    ax.legend()
    fig.savefig(path, dpi=150, facecolor="white")


def add_arguments(parser):
    """Options of `python -m mini_engine bench paged`."""
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64], help="default: 1 16 64")
    parser.add_argument("--context", type=int, default=256, help="cached tokens per sequence (default 256)")
    parser.add_argument("--block-size", type=int, default=16, help="tokens per block (default 16)")
    parser.add_argument("--rounds", type=int, default=7, help="interleaved rounds (default 7)")
    parser.add_argument("--shape", choices=sorted(MODELS), default="smollm2-135m", help="default: smollm2-135m")


def run(args):
    """Print the table; returns 0. Nothing is asserted about time."""
    if min(*args.batches, args.context, args.block_size, args.rounds) < 1:
        raise ValueError("batches, context, block size and rounds must be at least 1")
    config = MODELS[args.shape]
    model = random_llama(config)
    results = {"bench": "paged", "machine": machine(), "shape": args.shape, "context": args.context}
    results |= {"block_size": args.block_size, "num_rounds": args.rounds, "rows": []}
    print(f"{'batch':>6}" + "".join(f"{name + ' ms':>15}" for name in VARIANTS) + "  paged/contiguous  loop/paged")
    for batch in args.batches:
        row = measure(model, batch, args.context, args.block_size, args.rounds)
        results["rows"].append(row)
        cells = "".join(f"{row[name + '_ms']:15.1f}" for name in VARIANTS)
        print(f"{batch:6}{cells}{row['paged_over_contiguous']:18.2f}{row['loop_over_paged']:12.2f}", flush=True)
    write_json(args.json, results)
    if args.plot:
        plot(results, args.plot)
    return 0
