"""The compiled model: what mini_engine.model.Llama is in torch, for a CPU, in float32, int8 or int4 weights."""

import numpy as np
import torch

from mini_engine.cpu import matrices
from mini_engine.cpu.blocks import BLOCK
from mini_engine.cpu.compiler import max_threads, num_threads
from mini_engine.cpu.forward import Rows, Scratch, Sizes, Weights, forward, head_product
from mini_engine.cpu.lanes import LANES
from mini_engine.cpu.pointwise import WIDTH
from mini_engine.kv_cache import KVCache
from mini_engine.rope import rope_tables

# scheme: (format of the layers' matrices, format of the head)
SCHEMES = {
    None: (matrices.as_float32, matrices.as_float32),
    "int8": (matrices.as_int8, matrices.as_int8),
    "int8 groups": (matrices.as_int8_groups, matrices.as_int8_groups),
    "int4": (matrices.as_int4_groups, matrices.as_int8),
}


def padded(size):
    """A size rounded up to whole tiles."""
    return -(-size // LANES) * LANES


def layer_weights(config, weights, as_format):
    """The Weights of a model from the dict that mini_engine.weights loads, its matrices by as_format."""

    def norms(arrays):
        result = np.zeros((len(arrays), padded(config.hidden_size)), np.float32)
        result[:, : config.hidden_size] = arrays
        return result

    def matrix(*names):
        def of(layer):
            parts = [as_format(part) for part in joined(layer)]
            return type(parts[0])(*(np.concatenate(pieces) for pieces in zip(*parts, strict=True)))

        # gate and up begin with a tile each, so that their outputs face each other; Q, K and V lie side by side
        def joined(layer):
            return [layer[n] for n in names] if "w_gate" in names else [np.concatenate([layer[n] for n in names], 1)]

        return matrices.stacked([of(layer) for layer in weights["layers"]])

    cos, sin = rope_tables(config.head_dim, config.max_position_embeddings, config.rope_theta)
    return Weights(
        np.asarray(weights["embedding"], np.float32),
        norms([layer["attn_norm"] for layer in weights["layers"]]),
        matrix("w_q", "w_k", "w_v"),
        matrix("w_o"),
        norms([layer["mlp_norm"] for layer in weights["layers"]]),
        matrix("w_gate", "w_up"),
        matrix("w_down"),
        norms([weights["final_norm"]])[0],
        cos.numpy(),
        sin.numpy(),
    )


class CompiledLlama:
    """A LLaMA decoder on the CPU, with the interface of Llama. quant: None (float32), "int8", "int8 groups", "int4".

    A row's result is the same bits alone and in any batch, in one pass or in chunks, on any number of threads. One
    thread at a time runs compiled code; the others wait. Raises ValueError for another scheme, or for a shape that
    the kernels do not know.
    """

    takes_ragged_rows = True  # columns that pad a paged pass are left out

    def __init__(self, config, weights, quant=None):
        if quant not in SCHEMES:
            raise ValueError(f"unknown scheme {quant!r}; known: {', '.join(map(str, SCHEMES))}")
        if config.head_dim % WIDTH:
            raise ValueError(f"the compiled kernels need a head_dim that {WIDTH} divides, got {config.head_dim}")
        self.config, self.quant, self.dtype, self.device = config, quant, torch.float32, torch.device("cpu")
        body, head = SCHEMES[quant]
        self.weights = layer_weights(config, weights, body)
        embedding = weights["embedding"]
        self.head = matrices.stacked([head(embedding.T if config.tie_word_embeddings else weights["lm_head"])])
        self.sizes = Sizes(
            config.hidden_size,
            config.intermediate_size,
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
            config.rms_norm_eps,
        )
        self._scratch = None

    @property
    def bytes_read_per_token(self):
        """Bytes of the weights that one decode step reads: all matrices and norms, not the embedding's other rows."""
        w = self.weights
        parts = [*w.qkv, *w.out, *w.gate_up, *w.down, *self.head, w.attn_norm, w.mlp_norm, w.final_norm]
        return sum(part.nbytes for part in parts)

    def new_cache(self, max_tokens, batch=1):
        """An empty contiguous cache of this model's shape."""
        return KVCache(self.config, max_tokens, batch)

    def hidden_states(self, token_ids, cache=None):
        """What the last layer gives for each new token, normed: [B, N, d] for token_ids [B, N], as Llama's.

        What stands in the columns that a paged pass pads is 0.
        """
        batch, num_new = token_ids.shape
        if cache is None:
            cache = self.new_cache(num_new, batch)
        positions, tables, is_new, (keys, values) = cache.walk(num_new)
        if keys.dtype not in ((np.float32, np.int8, np.uint8) if self.config.head_dim % BLOCK == 0 else (np.float32,)):
            raise ValueError(f"the compiled kernels read a cache of float32 or of blocks of {BLOCK}, got {keys.dtype}")
        owners = np.broadcast_to(np.arange(batch)[:, None], positions.shape)
        rows = Rows(token_ids.numpy()[is_new], positions[is_new], owners[is_new], tables)
        if not 0 <= rows.token_ids.min() <= rows.token_ids.max() < self.config.vocab_size:
            raise IndexError(f"a token id is outside the vocabulary of {self.config.vocab_size}")
        scratch = self._room_for(len(rows.token_ids))
        forward(self.weights, self.sizes, rows, keys, values, scratch, num_threads())
        cache.advance(num_new)
        d = self.config.hidden_size
        result = np.zeros((batch, num_new, d), np.float32)
        result[is_new] = scratch.h[:, :d]
        return torch.from_numpy(result)

    def _room_for(self, num_rows):
        """The scratch memory of a pass, kept for the next ones."""
        sizes, parts = self.sizes, max_threads()
        if self._scratch is None or len(self._scratch.x) < num_rows or len(self._scratch.tiles) != parts:
            d, inner = padded(sizes.hidden_size), padded(sizes.intermediate_size)
            heads = sizes.num_heads * sizes.head_dim
            qkv = padded(heads + 2 * sizes.num_kv_heads * sizes.head_dim)
            rows = [np.zeros((num_rows, width), np.float32) for width in (d, d, qkv, heads, 2 * inner)]
            room = parts, sizes.num_heads // sizes.num_kv_heads, padded(self.config.max_position_embeddings)
            scores = np.zeros(room, np.float32)
            tiles = np.zeros((parts, max(d, heads, inner) * LANES), np.float32)
            self._scratch = Scratch(*rows, scores, tiles)
        whole = self._scratch
        return Scratch(*(part[:num_rows] for part in whole[:5]), whole.scores, whole.tiles)

    def lm_head(self, hidden):
        """Logits [..., V] of normed hidden states [..., d]."""
        x = np.ascontiguousarray(hidden.numpy().reshape(-1, hidden.shape[-1]))
        y = np.empty((len(x), padded(self.config.vocab_size)), np.float32)
        parts = num_threads()
        head_product(self.head, x, y, np.empty((parts, x.shape[1] * LANES), np.float32), parts)
        return torch.from_numpy(y[:, : self.config.vocab_size]).view(*hidden.shape[:-1], -1)

    def __call__(self, token_ids, cache=None):
        """Logits [B, N, V] of the tokens that follow each of token_ids [B, N]; see hidden_states."""
        return self.lm_head(self.hidden_states(token_ids, cache))
