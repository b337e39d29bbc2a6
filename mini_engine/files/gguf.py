"""LLaMA models in GGUF files, read with the gguf package: metadata, and tensors as float32.

Format: github.com/ggml-org/ggml, docs/gguf.md.
"""

from pathlib import Path

import gguf
import numpy as np

from mini_engine.config import ModelConfig

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


class GGUFFile:
    """An opened GGUF file: `metadata` (a dict) and tensors by name. Raises ValueError where the file is damaged."""

    def __init__(self, path):
        self.path = Path(path)
        try:
            reader = gguf.GGUFReader(self.path)
            self.metadata = {name: field.contents() for name, field in reader.fields.items()}
            self._tensors = {tensor.name: tensor for tensor in reader.tensors}
        except (ValueError, KeyError, IndexError, OverflowError, TypeError, MemoryError) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ValueError(f"{self.path} is not a usable GGUF file: {reason}") from None

    def __contains__(self, name):
        return name in self._tensors

    def shape(self, name):
        """A tensor's shape, as GGUF stores it: [out, in]."""
        return tuple(int(size) for size in self._tensors[name].shape[::-1])

    def tensor(self, name):
        """A tensor dequantized to float32, in GGUF's shape [out, in]. Raises ValueError where that is impossible."""
        if name not in self._tensors:
            raise ValueError(f"{self.path} has no tensor {name}")
        stored = self._tensors[name]
        try:
            return np.array(gguf.quants.dequantize(stored.data, stored.tensor_type), dtype=np.float32)
        except NotImplementedError:
            raise ValueError(f"tensor {name} has type {stored.tensor_type.name}, which is no weight format") from None


def unpermute_rows(w, num_heads):
    """Rows of a Q or K matrix [heads * D, in] back from GGUF's order to the checkpoint's.

    GGUF files of LLaMA models are written for RoPE on neighbours (0, 1), (2, 3), …: each head's rows were
    interleaved from the half-split order (0, D/2), (1, D/2 + 1), … that the weights were trained in.
    """
    pairs = w.reshape(num_heads, -1, 2, w.shape[1])
    return pairs.swapaxes(1, 2).reshape(w.shape)


def config_of(file):
    """The ModelConfig that a GGUF file's metadata describes. Raises ValueError when it is no LLaMA model."""
    meta = file.metadata
    if meta.get("general.architecture") != "llama":
        raise ValueError(f"{file.path} holds a {meta.get('general.architecture')} model, not a llama one")
    heads = meta["llama.attention.head_count"]
    return ModelConfig(
        name=meta.get("general.name", file.path.stem),
        num_hidden_layers=meta["llama.block_count"],
        hidden_size=meta["llama.embedding_length"],
        num_attention_heads=heads,
        num_key_value_heads=meta.get("llama.attention.head_count_kv", heads),
        intermediate_size=meta["llama.feed_forward_length"],
        vocab_size=file.shape("token_embd.weight")[0],
        head_dim=meta.get("llama.rope.dimension_count", meta["llama.embedding_length"] // heads),
        rope_theta=meta.get("llama.rope.freq_base", 10000.0),
        max_position_embeddings=meta["llama.context_length"],
        tie_word_embeddings="output.weight" not in file,
        rms_norm_eps=round(meta["llama.attention.layer_norm_rms_epsilon"], 12),
    )


def layer_weights(file, config, index):
    """One layer's dict of float32 arrays, matrices as [in, out], Q and K unpermuted."""
    layer = {}
    for ours, theirs in LAYER_NAMES.items():
        w = file.tensor(f"blk.{index}.{theirs}.weight")
        if ours in ("w_q", "w_k"):
            w = unpermute_rows(w, config.num_attention_heads if ours == "w_q" else config.num_key_value_heads)
        layer[ours] = np.ascontiguousarray(w.T)
    return layer


def load_gguf(path, progress=iter):
    """A LLaMA model from a GGUF file: (config, weights), dequantized to float32 NumPy. Takes seconds, not cached.

    progress: wraps the loop over layers (tqdm, for instance). Raises ValueError for a damaged or foreign file.
    """
    file = GGUFFile(path)
    try:
        config = config_of(file)
    except KeyError as error:
        raise ValueError(f"{file.path} lacks the metadata {error}") from None
    weights = {"embedding": file.tensor("token_embd.weight"), "final_norm": file.tensor("output_norm.weight")}
    weights["layers"] = [layer_weights(file, config, i) for i in progress(range(config.num_hidden_layers))]
    if not config.tie_word_embeddings:
        weights["lm_head"] = np.ascontiguousarray(file.tensor("output.weight").T)
    return config, weights
