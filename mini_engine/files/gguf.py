"""Read a GGUF file: its metadata, and its tensors as float32.

Format: github.com/ggml-org/ggml, docs/gguf.md (version 3). Block types: ggml-common.h of the same repository.
"""

import struct
from math import prod
from pathlib import Path

import numpy as np

from mini_engine.config import ModelConfig

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9

# type number -> name, weights per block, and the block's layout in bytes
TENSOR_TYPES = {
    0: ("F32", 1, np.dtype([("x", "<f4")])),
    1: ("F16", 1, np.dtype([("x", "<f2")])),
    3: ("Q4_1", 32, np.dtype([("scale", "<f2"), ("min", "<f2"), ("nibbles", "u1", 16)])),
    8: ("Q8_0", 32, np.dtype([("scale", "<f2"), ("q", "i1", 32)])),
}

# ours -> GGUF's; GGUF stores every matrix as [out, in]
LAYER_NAMES = {
    "attn_norm": "attn_norm",
    "w_q": "attn_q",
    "w_k": "attn_k",
    "w_v": "attn_v",
    "w_o": "attn_output",
    "mlp_norm": "ffn_norm",
    "w_gate": "ffn_gate",
    "w_up": "ffn_up",
    "w_down": "ffn_down",
}


def dequantize(blocks, type_name):
    """Blocks (a structured array of one type of TENSOR_TYPES) as float32, one row of weights per block.

    Q8_0: q * scale. Q4_1: q * scale + min with q in 0..15; byte i of a block holds weight i in its low and weight
    i + 16 in its high four bits.
    """
    if type_name == "Q8_0":
        return blocks["q"] * blocks["scale"].astype(np.float32)[:, None]
    if type_name == "Q4_1":
        nibbles = blocks["nibbles"]
        q = np.concatenate((nibbles & 0xF, nibbles >> 4), axis=1)
        return q * blocks["scale"].astype(np.float32)[:, None] + blocks["min"].astype(np.float32)[:, None]
    return blocks["x"].astype(np.float32)[:, None]


class GGUFFile:
    """An opened GGUF file: `metadata` (a dict) and tensors by name. Raises ValueError where the file is damaged."""

    def __init__(self, path):
        self.path = Path(path)
        self._at = 0
        try:
            self._data = np.memmap(self.path, mode="r")
            self._bytes = memoryview(self._data)
            self._read_header()
        except (struct.error, UnicodeDecodeError, KeyError, IndexError, OverflowError, ValueError) as error:
            raise ValueError(f"{self.path} is not a usable GGUF file: {error}") from None

    def _read_header(self):
        if bytes(self._bytes[:4]) != b"GGUF":
            raise ValueError("it does not start with GGUF")
        self._at = 4
        version, num_tensors, num_entries = self._take("I"), self._take("Q"), self._take("Q")
        if version not in (2, 3):
            raise ValueError(f"version {version} is not 2 or 3")
        self.metadata = {self._string(): self._value(self._take("I")) for _ in range(num_entries)}
        self.tensors = {}
        for _ in range(num_tensors):
            name, num_dims = self._string(), self._take("I")
            shape = tuple(self._take("Q") for _ in range(num_dims))[::-1]
            self.tensors[name] = (shape, self._take("I"), self._take("Q"))
        alignment = self.metadata.get("general.alignment", 32)
        self._start = -(-self._at // alignment) * alignment
        for name in self.tensors:
            self.blocks(name)

    def _take(self, letter):
        (value,) = struct.unpack_from("<" + letter, self._bytes, self._at)
        self._at += struct.calcsize("<" + letter)
        return value

    def _string(self):
        length = self._take("Q")
        if self._at + length > len(self._bytes):
            raise ValueError("a string runs past the end of the file")
        self._at += length
        return str(self._bytes[self._at - length : self._at], "utf-8")

    def _value(self, kind):
        if kind == STRING:
            return self._string()
        if kind != ARRAY:
            return self._take(SCALARS[kind])
        item, count = self._take("I"), self._take("Q")
        if item == STRING:
            return [self._string() for _ in range(count)]
        values = np.frombuffer(self._bytes, "<" + SCALARS[item], count, self._at)
        self._at += values.nbytes
        return values.tolist()

    def blocks(self, name):
        """A tensor as stored: (structured array of blocks, type name, shape [out, in]), a view of the file."""
        shape, kind, offset = self.tensors[name]
        if kind not in TENSOR_TYPES:
            raise ValueError(f"tensor {name} has type {kind}; this reader knows F32, F16, Q4_1 and Q8_0")
        type_name, per_block, layout = TENSOR_TYPES[kind]
        if shape[-1] % per_block:
            raise ValueError(f"tensor {name} has rows of {shape[-1]}, not a multiple of {per_block}")
        start, count = self._start + offset, prod(shape) // per_block
        if start + count * layout.itemsize > len(self._data):
            raise ValueError(f"it ends before tensor {name} does")
        return np.frombuffer(self._bytes, layout, count, start), type_name, shape

    def tensor(self, name):
        """A tensor dequantized to float32, in GGUF's shape [out, in]."""
        if name not in self.tensors:
            raise ValueError(f"{self.path} has no tensor {name}")
        blocks, type_name, shape = self.blocks(name)
        return dequantize(blocks, type_name).reshape(shape)


def unpermute_rows(w, num_heads):
    """Rows of a Q or K matrix [heads * D, in] back from GGUF's order to the checkpoint's.

    GGUF files of LLaMA models are written for RoPE on neighbours (0, 1), (2, 3), …: each head's rows were
    interleaved from the half-split order (0, D/2), (1, D/2 + 1), … that the weights were trained in.
    """
    pairs = w.reshape(num_heads, -1, 2, w.shape[1])
    return pairs.swapaxes(1, 2).reshape(w.shape)


def config_of(gguf):
    """The ModelConfig that a GGUF file's metadata describes. Raises ValueError when it is no LLaMA model."""
    meta = gguf.metadata
    if meta.get("general.architecture") != "llama":
        raise ValueError(f"{gguf.path} holds a {meta.get('general.architecture')} model, not a llama one")
    heads = meta["llama.attention.head_count"]
    return ModelConfig(
        name=meta.get("general.name", gguf.path.stem),
        num_hidden_layers=meta["llama.block_count"],
        hidden_size=meta["llama.embedding_length"],
        num_attention_heads=heads,
        num_key_value_heads=meta.get("llama.attention.head_count_kv", heads),
        intermediate_size=meta["llama.feed_forward_length"],
        vocab_size=gguf.tensors["token_embd.weight"][0][0],
        head_dim=meta.get("llama.rope.dimension_count", meta["llama.embedding_length"] // heads),
        rope_theta=meta.get("llama.rope.freq_base", 10000.0),
        max_position_embeddings=meta["llama.context_length"],
        tie_word_embeddings="output.weight" not in gguf.tensors,
        rms_norm_eps=round(meta["llama.attention.layer_norm_rms_epsilon"], 12),
    )


def layer_weights(gguf, config, index):
    """One layer's dict of float32 arrays, matrices as [in, out], Q and K unpermuted."""
    layer = {}
    for ours, theirs in LAYER_NAMES.items():
        w = gguf.tensor(f"blk.{index}.{theirs}.weight")
        if ours in ("w_q", "w_k"):
            w = unpermute_rows(w, config.num_attention_heads if ours == "w_q" else config.num_key_value_heads)
        layer[ours] = np.ascontiguousarray(w.T)
    return layer


def load_gguf(path, progress=iter):
    """A LLaMA model from a GGUF file: (config, weights), dequantized to float32 NumPy. Takes seconds, not cached.

    progress: wraps the loop over layers (tqdm, for instance). Raises ValueError for a damaged or foreign file.
    """
    gguf = GGUFFile(path)
    try:
        config = config_of(gguf)
    except KeyError as error:
        raise ValueError(f"{gguf.path} lacks the metadata {error}") from None
    weights = {"embedding": gguf.tensor("token_embd.weight"), "final_norm": gguf.tensor("output_norm.weight")}
    weights["layers"] = [layer_weights(gguf, config, i) for i in progress(range(config.num_hidden_layers))]
    if not config.tie_word_embeddings:
        weights["lm_head"] = np.ascontiguousarray(gguf.tensor("output.weight").T)
    return config, weights
