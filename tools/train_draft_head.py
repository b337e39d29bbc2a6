"""Train a small EAGLE-style draft head for SmolLM2-135M-Instruct, and measure what it brings, for chapter 11.

    python tools/train_draft_head.py FOLDER data       the model's own greedy answers, with its hidden states
    python tools/train_draft_head.py FOLDER train      the head, with checkpoints
    python tools/train_draft_head.py FOLDER count      acceptance, into book/data/draft_head.json
    python tools/train_draft_head.py FOLDER clock      adds the times, on a quiet machine

About half an hour of a CPU with two cores for all four. FOLDER keeps the answers and the head.
"""

import argparse
import collections
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from draft_prompts import held_out_questions, training_questions
from record_speculation import ngram_rounds

from mini_engine.bench.machine import machine
from mini_engine.bench.timing import interleaved, spread, write_json
from mini_engine.beyond.draft_head import DraftHead, HeadDraft, WatchedModel
from mini_engine.cpu.model import CompiledLlama
from mini_engine.engine import Engine
from mini_engine.sequence import SamplingParams
from mini_engine.speculative import NgramDraft
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2

TARGET = Path(__file__).resolve().parents[1] / "book" / "data" / "draft_head.json"
KS, NUM_TIMED = (1, 2, 3, 4), 48
NUM_QUESTIONS, NUM_TOKENS, TOGETHER = 160, 128, 32  # answers to train on, tokens of each, made at the same time
NUM_IDS, INNER, ROLLOUT, NUM_MEASURED, BATCH, RATE = 8192, 768, 2, 4, 8, 2e-3


def question_ids(tokenizer, question):
    """The ids of a chat that asks the question."""
    return tokenizer.apply_chat_template([{"role": "user", "content": question}])


def write_answers(folder):
    """Greedy answers of the int8 model, and the normed hidden state of every token: training.pt, held_out.pt."""
    config, weights = load_smollm2()
    tokenizer = load_smollm2_tokenizer()
    kept = collections.defaultdict(list)
    model = WatchedModel(CompiledLlama(config, weights, "int8"), lambda seq, _, hidden: kept[seq].append(hidden.half()))
    order = torch.randperm(len(training_questions()), generator=torch.Generator().manual_seed(0)).tolist()
    asked = {"held_out": held_out_questions(), "training": [training_questions()[i] for i in order[:NUM_QUESTIONS]]}
    for name, questions in asked.items():
        rows, start = [], time.perf_counter()
        for at in range(0, len(questions), TOGETHER):
            engine = Engine(model, tokenizer, num_blocks=16 * TOGETHER, prefix_caching=False, max_num_seqs=TOGETHER)
            prompts = [question_ids(tokenizer, question) for question in questions[at : at + TOGETHER]]
            for seq in engine.generate(prompts, SamplingParams(max_tokens=NUM_TOKENS)):
                hidden = torch.cat(kept.pop(seq))  # the last token was never fed
                rows.append({"ids": torch.tensor(seq.token_ids), "num_prompt": seq.num_prompt_tokens, "hidden": hidden})
                assert len(hidden) == seq.num_tokens - 1
            print(f"{name}: {len(rows)} of {len(questions)} in {time.perf_counter() - start:.0f} s", flush=True)
            torch.save(rows, folder / f"{name}.part")
            (folder / f"{name}.part").replace(folder / f"{name}.pt")


def first_weights(config, weights, rows):
    """A head that starts as the target's last layer, with the half of its MLP that writes most."""
    last, d = weights["layers"][-1], config.hidden_size
    counts = collections.Counter(token for row in rows for token in row["ids"].tolist())
    common = [token for token, _ in counts.most_common(NUM_IDS)]
    ids = sorted([*common, *(token for token in range(config.vocab_size) if token not in counts)][:NUM_IDS])
    strongest = np.sort(np.argsort(-np.linalg.norm(last["w_down"], axis=1))[:INNER])
    layer = {name: np.array(array, np.float32) for name, array in last.items()}
    layer |= {name: layer[name][:, strongest] for name in ("w_gate", "w_up")} | {"w_down": layer["w_down"][strongest]}
    noise = np.random.default_rng(0).normal(0, 0.02 / math.sqrt(2 * d), (2 * d, d))
    return {
        "ids": np.array(ids),
        "fuse": (np.concatenate([np.eye(d), np.eye(d)]) + noise).astype(np.float32),
        "embedding_norm": np.ones(d, np.float32),
        "hidden_norm": np.ones(d, np.float32),
        "layers": [layer],
        "final_norm": np.array(weights["final_norm"], np.float32),
    }


class RolloutCache:
    """Keys of a training pass that drafts several tokens from every place of the text at once (EAGLE-3, 2503.01840).

    The first pass sees the true states up to its place. Each later one sees those, and the head's own states at its
    place from the passes before it.
    """

    def __init__(self):
        self.k, self.v = [], []

    def advance(self, num_new):
        """Nothing to count: every pass has its own columns."""

    def update(self, layer, k, v):
        """All keys and values so far, [B, H_kv, passes * N, D], and who may look where, [1, 1, N, passes * N]."""
        self.k.append(k)
        self.v.append(v)
        n = k.shape[2]
        masks = [torch.ones(n, n).tril()] + [torch.eye(n)] * (len(self.k) - 1)
        return torch.cat(self.k, 2), torch.cat(self.v, 2), torch.cat(masks, 1).bool()[None, None]


def padded_batch(rows):
    """ids [B, N], hidden [B, N, d] and which tokens are answers [B, N], from rows of different lengths."""
    ids = torch.nn.utils.rnn.pad_sequence([row["ids"][:-1] for row in rows], batch_first=True)  # the last has no state
    hidden = torch.nn.utils.rnn.pad_sequence([row["hidden"].float() for row in rows], batch_first=True)
    place = torch.arange(ids.shape[1])
    starts = torch.tensor([row["num_prompt"] for row in rows])[:, None]
    ends = torch.tensor([len(row["hidden"]) for row in rows])[:, None]
    return ids, hidden, (place >= starts) & (place < ends)


def rollout(head, rows, num_places=ROLLOUT):
    """For each drafted place i: (scores, the target's scores, guessed token's true id, whether it counts), flat."""
    ids, hidden, is_answer = padded_batch(rows)
    cache, states, results = RolloutCache(), hidden, []
    num = ids.shape[1] - 1 - num_places
    for i in range(num_places):
        places = torch.arange(num)
        states = head(states[:, :num], ids[:, 1 + i : 1 + i + num], cache, (places + i).expand(len(ids), -1))
        chosen = is_answer[:, 2 + i : 2 + i + num]
        with torch.no_grad():
            wanted = head.logits(hidden[:, 1 + i : 1 + i + num][chosen])
        results.append((head.logits(states[chosen]), wanted, ids[:, 2 + i : 2 + i + num][chosen]))
    return results


def train(folder, minutes):
    """AdamW with warm-up and cosine decay, on the target's own distribution; head.pt every 20 steps, to go on from."""
    rows = torch.load(folder / "training.pt")
    held_out = torch.load(folder / "held_out.pt")
    head, first, kept = begun(folder, rows)
    trained = [
        p.requires_grad_(True)
        for name, p in head.named_parameters()
        if "lm_head" not in name and name != "body.embedding"
    ]
    num_tokens = sum(len(row["ids"]) - row["num_prompt"] for row in rows)
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    generator = torch.Generator().manual_seed(kept.get("steps", 0))
    cpu_start, steps = time.process_time() - kept.get("cpu_s", 0.0), kept.get("steps", 0)
    order, progress = [], 0.0
    while progress < 1:
        progress = min((time.process_time() - cpu_start) / (60 * minutes), 1)
        rate = min(1, (steps + 1) / 15) * (0.05 + 0.95 * (1 + math.cos(math.pi * progress)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate
        if len(order) < BATCH:
            order = torch.randperm(len(rows), generator=generator).tolist()
        batch, order, steps = [rows[i] for i in order[:BATCH]], order[BATCH:], steps + 1
        losses = [
            torch.nn.functional.cross_entropy(scores, wanted.softmax(-1)) * 0.8**i
            for i, (scores, wanted, _) in enumerate(rollout(head, batch))
        ]
        optimizer.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if steps % 20 == 0 or progress == 1:
            shares = agreement(head, held_out)
            record = {"steps": steps, "cpu_s": time.process_time() - cpu_start, "minutes": minutes, "agreement": shares}
            record |= {
                "num_answers": len(rows),
                "num_tokens": num_tokens,
                "num_parameters": sum(p.numel() for p in trained),
            }
            print(
                f"{progress:.0%}, loss {losses[0].item():.2f}",
                {k: record[k] for k in ("steps", "cpu_s", "agreement")},
                flush=True,
            )
            state = {name: tensor for name, tensor in head.state_dict().items() if "lm_head" not in name}
            torch.save({"state": state, "first": first, "record": record}, folder / "head.part")
            (folder / "head.part").replace(folder / "head.pt")


def begun(folder, rows):
    """(head, its first weights, its record so far): as head.pt has it, or new."""
    if (folder / "head.pt").exists():
        head, record = load_head(folder)
        return head, torch.load(folder / "head.pt", weights_only=False)["first"], record
    config, weights = load_smollm2()
    embedding, first = np.asarray(weights["embedding"], np.float32), first_weights(config, weights, rows)
    return DraftHead(config, first, embedding, embedding.T), first, {}


@torch.inference_mode()
def agreement(head, rows):
    """By drafted place, the share of held-out tokens guessed right, given that those before were the text's own."""
    hits = collections.defaultdict(list)
    for at in range(0, len(rows), BATCH):
        for i, (scores, _, true) in enumerate(rollout(head, rows[at : at + BATCH], NUM_MEASURED)):
            hits[i].append((head.ids[scores.argmax(-1)] == true).float())
    return [torch.cat(row).mean().item() for row in hits.values()]


@torch.inference_mode()
def hits_by_place(head, rows):
    """For each answer: hits [n, places], whether guess i behind token t of the text is right if those before it are.

    A greedy draft counts only up to its first wrong token, and until there the text is the target's own: so these hits
    give the exact count of passes for every length of draft.
    """
    results = []
    for row in rows:
        # place i is known from i + 1 tokens before the answer on; a draft begins when the answer's first token is there
        found = enumerate(rollout(head, [row], NUM_MEASURED))
        hits = [(head.ids[scores.argmax(-1)] == true)[i + 1 :] for i, (scores, _, true) in found]
        results.append(torch.stack(hits, 1).tolist())
    return results


def head_rounds(hits, k):
    """(tokens drafted, tokens kept) of each verification of a text; its first token is the prompt's pass's."""
    at, rounds = 0, []
    while at < len(hits):
        kept = next((i for i in range(k) if not hits[at][i]), k)
        rounds.append((k, kept))
        at += kept + 1
    return rounds


def counted(rounds):
    """Tokens per verification, and how many rounds drafted 0, 1, … tokens."""
    tokens = sum(kept + 1 for row in rounds for _, kept in row)
    drafted = collections.Counter(d for row in rounds for d, _ in row)
    num = sum(drafted.values())
    return {"tokens_per_verification": tokens / num, "drafted": {str(d): n / num for d, n in sorted(drafted.items())}}


def counts(head, rows):
    """What the look-up and the head save on the held-out answers, by length of draft."""
    hits, texts = hits_by_place(head, rows), [(r["ids"].tolist(), r["num_prompt"]) for r in rows]
    known = set(head.ids.tolist())
    lookup = {k: [ngram_rounds(ids[:n], ids[n:], k) for ids, n in texts] for k in KS}
    flat = np.array([hit for row in hits for hit in row])
    asked = [flat[flat[:, :i].all(1), i] for i in range(NUM_MEASURED)]
    reached = [hits.mean() if len(hits) else 0.0 for hits in asked]
    return {
        "acceptance_by_place": [float(share) for share in reached],
        "in_vocabulary": float(np.mean([token in known for ids, n in texts for token in ids[n:]])),
        "head": {str(k): counted([head_rounds(row, k) for row in hits]) for k in KS},
        "n-gram": {str(k): counted(row) for k, row in lookup.items()},
    }


@torch.inference_mode()
def costs(head, targets):
    """Median seconds of a head's pass and of a target's over 1, 2, 3 and 5 tokens behind 96 others, in turns."""
    functions, context = {}, 96
    cache = head.new_cache(context + 8)
    states, place = torch.randn(1, 1, head.config.hidden_size), torch.tensor([[context]])
    cache.advance(context)

    def head_pass():
        head.guess(head(states, torch.tensor([[5]]), cache, place)[0, -1])
        cache.truncate(context)

    functions["head"] = head_pass
    for name, model in targets.items():
        own = model.new_cache(context + 8)
        model.hidden_states(torch.ones(1, context, dtype=torch.long), own)
        for n in (1, 2, 3, 5):
            functions[f"{name}, {n}"] = lambda m=model, c=own, n=n: (m(torch.arange(n)[None], c), c.truncate(context))
    return {name: spread(row) for name, row in interleaved(functions, 15).items()}


def timed(model, ids, draft=None):
    """(seconds per token after the first, output ids, passes) of one request through the engine."""
    watched = draft.watched(model) if isinstance(draft, HeadDraft) else model
    engine = Engine(watched, num_blocks=32, prefix_caching=False, draft=draft)
    seq = engine.generate([ids], SamplingParams(max_tokens=NUM_TIMED))[0]
    return seq.tpot_s, seq.output_token_ids, engine.runner.num_passes - 1


def served(head, targets, rows, best):
    """The clock of the engine for some held-out questions: each draft in turns with a plain run just before it."""
    makers = {"n-gram": lambda: NgramDraft(4), "head": lambda: HeadDraft(head, best)}
    results = {}
    for target, model in targets.items():
        timed(model, rows[0]["ids"][: rows[0]["num_prompt"]].tolist(), makers["head"]())  # warm
        for name, make in makers.items():
            pairs, same, passes, tokens = [], [], 0, 0
            for row in rows:
                ids = row["ids"][: row["num_prompt"]].tolist()
                plain_s, plain, _ = timed(model, ids)
                seconds, output, num = timed(model, ids, make())
                pairs.append(plain_s / seconds)
                same.append(output == plain)
                passes, tokens = passes + num, tokens + len(output) - 1
            results[f"{target}, {name}"] = {
                "speedup": spread(pairs), "same_text": sum(same), "num_texts": len(same),
                "tokens_per_verification": tokens / passes,
            }  # fmt: skip
            print(target, name, results[f"{target}, {name}"], flush=True)
    return results


def load_head(folder):
    """(the trained head, its record)."""
    kept = torch.load(folder / "head.pt", weights_only=False)
    embedding = np.asarray(load_smollm2()[1]["embedding"], np.float32)
    head = DraftHead(load_smollm2()[0], kept["first"], embedding, embedding.T)
    head.load_state_dict(kept["state"], strict=False)
    return head, kept["record"]


def count(folder):
    """Counts on all held-out answers, which a busy machine does not change; writes the file that chapter 11 reads."""
    head, record = load_head(folder)
    rows = torch.load(folder / "held_out.pt")
    results = {
        "command": "python tools/train_draft_head.py FOLDER data, then train, then count; clock adds the times",
        "machine": machine(),
        "model": "SmolLM2-135M-Instruct",
        "training": record | {"num_ids": NUM_IDS, "places": ROLLOUT},
        "held_out": {"num_answers": len(rows), "num_tokens": sum(len(r["ids"]) - r["num_prompt"] for r in rows)},
        **counts(head, rows),
    }
    write_json(TARGET, results)


def clock(folder):
    """Adds the seconds of passes and of whole answers to the counts: for a quiet machine."""
    (config, weights), (head, _) = load_smollm2(), load_head(folder)
    rows, results = torch.load(folder / "held_out.pt"), json.loads(TARGET.read_text(encoding="utf-8"))
    targets = {"int8": CompiledLlama(config, weights, "int8"), "float32": CompiledLlama(config, weights)}
    seconds = costs(head, targets)
    print({name: round(1e3 * row["median"], 2) for name, row in seconds.items()}, flush=True)
    best = max(KS, key=lambda k: gain(results["head"][str(k)], seconds, "float32", k))
    results |= {"clock_machine": machine(), "seconds": seconds, "served_k": best}
    write_json(TARGET, results | {"served": served(head, targets, rows[::5], best)})


def gain(row, seconds, target, k):
    """Predicted speed-up of a draft of k head passes: tokens per verification over its cost in plain passes."""
    one, passes = seconds[f"{target}, 1"]["median"], [1, 2, 3, 5]
    verify = np.interp(k + 1, passes, [seconds[f"{target}, {n}"]["median"] for n in passes])
    return row["tokens_per_verification"] * one / (verify + k * seconds["head"]["median"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("stage", choices=("data", "train", "count", "clock"))
    parser.add_argument("--minutes", type=float, default=20, help="of training, in processor time")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.stage == "data":
        write_answers(args.folder)
    elif args.stage == "train":
        train(args.folder, args.minutes)
    elif args.stage == "count":
        count(args.folder)
    else:
        clock(args.folder)


if __name__ == "__main__":
    main()
