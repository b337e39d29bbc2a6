"""The model for the reader's GPU as `make serve` hands it to the page: plan, kernels, weights, tokens."""

import json
from functools import cached_property
from threading import Lock
from urllib.parse import parse_qs, urlsplit

from mini_engine.gpu.webgpu.plan import kinds, make_plan, tensors, wgsl
from mini_engine.loading import load_parts
from mini_engine.weights import ModelUnavailable, smollm2_is_cached

MAX_TOKENS, MAX_ROWS = 512, 32  # of a text on the reader's GPU, and of a pass of its prefill


class ServedModel:
    """A model by its name or path, as in load_parts. `answer` turns an address into a body."""

    def __init__(self, name="smollm2"):
        self.name = name
        self._lock = Lock()

    def answer(self, address):
        """(content type, list of the body's pieces) for an address such as "plan.json", or None for any other.

        Raises ValueError, OSError or ModelUnavailable, in one line, where the model cannot be had.
        """
        parts = urlsplit(address)
        what = parts.path
        with self._lock:
            if what == "weights.bin":
                return "application/octet-stream", [array.reshape(-1).view("u1").data for _, array in self._tensors]
            if what == "plan.json":
                return as_json(self._plan)
            if what == "vocabulary.json":
                return as_json(self._vocabulary)
            if what == "prompt.json":
                return as_json(self._prompt(parse_qs(parts.query).get("question", [""])[0]))
        return None

    @cached_property
    def _parts(self):
        if self.name == "smollm2" and not smollm2_is_cached():  # a press of a button must not ask the network
            raise ModelUnavailable("SmolLM2 is not on this machine: python -m mini_engine generate Hello fetches it")
        return load_parts(self.name)

    @cached_property
    def _tensors(self):
        config, weights, _ = self._parts
        return list(tensors(config, weights, MAX_TOKENS))

    @cached_property
    def _plan(self):
        config, _, tokenizer = self._parts
        plan = make_plan(config, MAX_TOKENS, MAX_ROWS)
        texts = {launch.kernel: wgsl(launch.kernel) for launch in [*plan.layers, *plan.head]}
        return {
            "model": config.name,
            "max_tokens": MAX_TOKENS,
            "max_rows": MAX_ROWS,
            "eos_token_id": tokenizer.eos_token_id,
            "weight_bytes": plan.weight_bytes,
            "buffers": plan.buffers,
            "tensors": [[name, array.nbytes] for name, array in self._tensors],
            "kernels": {name: {"wgsl": text, "kinds": kinds(text)} for name, text in texts.items()},
            "layers": [launch._asdict() for launch in plan.layers],
            "head": [launch._asdict() for launch in plan.head],
        }

    @cached_property
    def _vocabulary(self):
        """Each token's bytes as a string with one character, U+0000 to U+00FF, for each byte; control tokens: ""."""
        tokenizer = self._parts[2]
        token_bytes = getattr(tokenizer, "token_bytes", lambda i, skip: tokenizer.decode([i]).encode())
        return [token_bytes(i, True).decode("latin-1") for i in range(tokenizer.vocab_size)]

    def _prompt(self, question):
        """The ids of a question in the chat template."""
        return self._parts[2].apply_chat_template([{"role": "user", "content": question}])


def as_json(value):
    return "application/json", [json.dumps(value).encode()]
