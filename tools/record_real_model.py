"""Record what chapters 1 and 2 show of SmolLM2-135M, since a reader's build may not have the model.

    python tools/record_real_model.py

writes book/data/next_token.json (logits after a few prompts) and book/data/wrong_rope.json (the model with the wrong
RoPE pairing). Both carry the date and the checksum of the model file.
"""

import datetime
import json
from pathlib import Path

import numpy as np
import torch

from mini_engine.files.fetch import GGUF_SHA256
from mini_engine.model import Llama
from mini_engine.tokenizer import load_smollm2_tokenizer
from mini_engine.weights import load_smollm2

DATA = Path(__file__).resolve().parents[1] / "book" / "data"
NUM_TOP = 256
BIN_WIDTH = 0.1
PROMPTS = (
    "The capital of France is",
    "Once upon a time, there was a little",
    "The three primary colours are red,",
    "2 + 2 =",
    "def fibonacci(n):\n    if n",
    "I think that",
)
COUNTRIES = ("France", "Italy", "Japan", "Spain", "Germany", "Egypt", "Greece", "Russia")
# Prose of our own, so that the model cannot know it by heart.
TEXT = """\
The harbour master kept two books. In the first he wrote the name of every ship that came in, the hour of its arrival
and what it carried. In the second he wrote nothing but the weather. On quiet evenings he read both from the beginning,
and he said that the second book explained the first: when the wind had turned to the north for three days, the ships
from the islands came late, the price of oranges rose in the market, and somebody's daughter was married without her
favourite uncle, who was still at sea. His son thought that this was a waste of time. He bought a machine that counted
the ships with a camera and sent the numbers to the city every hour. The numbers were always right. But when the
merchants asked why there were no oranges, the machine could only tell them that there were no ships, which they had
already seen from the window, and so they went on climbing the stairs to the old man's room."""


def stamp(**what):
    """The record with its date and source in front."""
    model = {"name": "SmolLM2-135M-Instruct", "gguf_sha256": GGUF_SHA256, "dtype": "float32"}
    return {
        "date": datetime.date.today().isoformat(),
        "command": "python tools/record_real_model.py",
        "model": model,
    } | what


@torch.inference_mode()
def next_token_record(model, tokenizer, text):
    """One prompt: its tokens, the NUM_TOP largest logits, and the rest as counts per BIN_WIDTH of logit."""
    ids = tokenizer.encode(text)
    logits = model(torch.tensor([ids]))[0, -1].double().numpy()
    order = np.argsort(-logits, kind="stable")
    rest = logits[order[NUM_TOP:]]
    low = float(np.floor(rest.min() / BIN_WIDTH) * BIN_WIDTH)
    counts = np.bincount(((rest - low) / BIN_WIDTH).astype(int))
    return {
        "text": text,
        "ids": ids,
        "pieces": [tokenizer.decode([i]) for i in ids],
        "top": [[tokenizer.decode([int(i)]), round(float(logits[i]), 4)] for i in order[:NUM_TOP]],
        "rest": {"low": round(low, 4), "width": BIN_WIDTH, "counts": counts.tolist()},
    }


def file_order(weights, config):
    """The weights as a loader leaves them that forgets to reorder the Q and K columns of the GGUF file.

    The file pairs features 2i and 2i + 1 of each head; this engine pairs i and i + D/2.
    """
    half = config.head_dim // 2
    to_file = np.arange(config.head_dim).reshape(2, half).T.ravel()

    def shuffled(matrix):
        columns = np.arange(matrix.shape[1]).reshape(-1, config.head_dim)[:, to_file].ravel()
        return matrix[:, columns]

    layers = [layer | {name: shuffled(layer[name]) for name in ("w_q", "w_k")} for layer in weights["layers"]]
    return weights | {"layers": layers}


@torch.inference_mode()
def token_nll(model, ids):
    """Negative log-likelihood in nats of every token after the first."""
    logits = model(torch.tensor([ids]))[0, :-1].double()
    nll = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none")
    return [round(value, 3) for value in nll.tolist()]


@torch.inference_mode()
def first_word(model, tokenizer, text):
    """The likeliest next token of one prompt, as text."""
    return tokenizer.decode([int(model(torch.tensor([tokenizer.encode(text)]))[0, -1].argmax())])


def main():
    config, weights = load_smollm2()
    tokenizer = load_smollm2_tokenizer()
    right, wrong = Llama(config, weights), Llama(config, file_order(weights, config))
    DATA.mkdir(exist_ok=True)
    prompts = [next_token_record(right, tokenizer, text) for text in PROMPTS]
    (DATA / "next_token.json").write_text(json.dumps(stamp(prompts=prompts), ensure_ascii=False) + "\n")
    text = " ".join(TEXT.split())
    ids = tokenizer.encode(text)
    models = {"right": right, "wrong": wrong}
    capitals = [
        {"prompt": f"The capital of {country} is"}
        | {name: first_word(model, tokenizer, f"The capital of {country} is") for name, model in models.items()}
        for country in COUNTRIES
    ]
    nll = {name: token_nll(model, ids) for name, model in models.items()}
    record = stamp(text=text, token_nll=nll, capitals=capitals)
    (DATA / "wrong_rope.json").write_text(json.dumps(record, ensure_ascii=False) + "\n")
    print({name: round(float(np.mean(values)), 3) for name, values in nll.items()}, capitals)


if __name__ == "__main__":
    main()
