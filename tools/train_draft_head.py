"""Train a small EAGLE-style draft head for SmolLM2-135M-Instruct, and measure what it brings, for chapter 11.

    python tools/train_draft_head.py FOLDER data       the model's own greedy answers, with its hidden states
    python tools/train_draft_head.py FOLDER train      the head, with checkpoints
    python tools/train_draft_head.py FOLDER measure    writes book/data/draft_head.json

About half an hour of a CPU with two cores for all three. FOLDER keeps the answers and the head.
"""

import argparse
import collections
import math
import time
from pathlib import Path

import numpy as np
import torch
from draft_prompts import held_out_questions, training_questions

from mini_engine.beyond.draft_head import DraftHead, WatchedModel
from mini_engine.cpu.model import CompiledLlama
from mini_engine.engine import Engine
from mini_engine.sequence import SamplingParams
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2

NUM_QUESTIONS, NUM_TOKENS, TOGETHER = 288, 128, 32  # answers to train on, tokens of each, made at the same time
NUM_IDS, INNER, ROLLOUT, NUM_MEASURED, BATCH, RATE = 8192, 768, 2, 4, 8, 1e-3


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


def train(folder, num_steps):
    """AdamW with warm-up and cosine decay on the target's distribution; head.pt every 50 steps, resumed from there."""
    config, weights = load_smollm2()
    rows = torch.load(folder / "training.pt")
    held_out = torch.load(folder / "held_out.pt")
    embedding = np.asarray(weights["embedding"], np.float32)
    first = first_weights(config, weights, rows)
    head = DraftHead(config, first, embedding, embedding.T)
    trained = [
        p.requires_grad_(True)
        for name, p in head.named_parameters()
        if "lm_head" not in name and name != "body.embedding"
    ]
    print(f"{len(rows)} answers, {sum(len(r['ids']) - r['num_prompt'] for r in rows)} tokens;", end=" ")
    print(f"{sum(p.numel() for p in trained) / 1e6:.2f} million parameters", flush=True)
    optimizer = torch.optim.AdamW(trained, lr=RATE, betas=(0.9, 0.95), weight_decay=0.01)
    generator = torch.Generator().manual_seed(0)
    start, order = time.process_time(), []
    for step in range(num_steps):
        rate = min(1, (step + 1) / 30) * (0.05 + 0.95 * (1 + math.cos(math.pi * step / num_steps)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = RATE * rate
        if len(order) < BATCH:
            order = torch.randperm(len(rows), generator=generator).tolist()
        batch, order = [rows[i] for i in order[:BATCH]], order[BATCH:]
        losses = [
            torch.nn.functional.cross_entropy(scores, wanted.softmax(-1)) * 0.8**i
            for i, (scores, wanted, _) in enumerate(rollout(head, batch))
        ]
        optimizer.zero_grad()
        sum(losses).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        if step % 50 == 49 or step + 1 == num_steps:
            print(f"step {step + 1} of {num_steps}, {time.process_time() - start:.0f} CPU s,", end=" ")
            print("held out, agreement by place:", [f"{x:.3f}" for x in agreement(head, held_out)], flush=True)
            state = {name: tensor for name, tensor in head.state_dict().items() if "lm_head" not in name}
            torch.save(
                {"state": state, "first": first, "steps": step + 1, "cpu_s": time.process_time() - start},
                folder / "head.pt",
            )


@torch.inference_mode()
def agreement(head, rows):
    """By drafted place, the share of held-out tokens guessed right, given that those before were the text's own."""
    hits = collections.defaultdict(list)
    for at in range(0, len(rows), BATCH):
        for i, (scores, _, true) in enumerate(rollout(head, rows[at : at + BATCH], NUM_MEASURED)):
            hits[i].append((head.ids[scores.argmax(-1)] == true).float())
    return [torch.cat(row).mean().item() for row in hits.values()]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("stage", choices=("data", "train", "measure"))
    parser.add_argument("--steps", type=int, default=500)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    if args.stage == "data":
        write_answers(args.folder)
    elif args.stage == "train":
        train(args.folder, args.steps)


if __name__ == "__main__":
    main()
