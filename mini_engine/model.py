"""The decoder: LLaMA's forward pass over any cache that speaks the protocol of KVCache."""

import torch
from torch import nn

from mini_engine.kv_cache import KVCache
from mini_engine.layers import Attention, DecoderLayer, Linear, RMSNorm, SwiGLU
from mini_engine.rope import rope_tables


class Llama(nn.Module):
    """A LLaMA decoder holding the given weights (the dict of arrays that mini_engine.weights loads).

    dtype: of weights and activations (float32, float64, bfloat16). device: where they live. Q, K and V are fused
    into one matrix per layer, gate and up into another: fewer, larger products. A tied head is the embedding itself.
    """

    takes_ragged_rows = False  # rows of different lengths are padded to the longest, and the padding is computed

    def __init__(self, config, weights, dtype=torch.float32, device=None):
        super().__init__()
        self.config, self.dtype, self.device = config, dtype, torch.device(device or "cpu")

        def tensor(*arrays):
            parts = [torch.as_tensor(array) for array in arrays]
            joined = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
            return joined.to(self.device, dtype).contiguous()

        def norm(weight):
            return RMSNorm(tensor(weight), config.rms_norm_eps)

        def layer(index, w):
            qkv = Linear(tensor(w["w_q"], w["w_k"], w["w_v"]))
            attn = Attention(config, index, qkv, Linear(tensor(w["w_o"])))
            mlp = SwiGLU(Linear(tensor(w["w_gate"], w["w_up"])), Linear(tensor(w["w_down"])))
            return DecoderLayer(norm(w["attn_norm"]), attn, norm(w["mlp_norm"]), mlp)

        self.embedding = nn.Parameter(tensor(weights["embedding"]), requires_grad=False)
        self.layers = nn.ModuleList(layer(i, w) for i, w in enumerate(weights["layers"]))
        self.final_norm = norm(weights["final_norm"])
        self.lm_head = Linear(self.embedding.T if config.tie_word_embeddings else tensor(weights["lm_head"]))
        angles = config.head_dim, config.max_position_embeddings, config.rope_theta
        self.cos, self.sin = rope_tables(*angles, dtype, self.device)

    def new_cache(self, max_tokens, batch=1):
        """An empty contiguous cache of this model's shape, dtype and device."""
        return KVCache(self.config, max_tokens, batch, self.dtype, self.device)

    def embed(self, token_ids):
        """The rows [B, N, d] of the embedding for token_ids [B, N]."""
        return nn.functional.embedding(token_ids, self.embedding)

    def hidden_states(self, token_ids, cache=None):
        """What the last layer gives for each new token, normed: [B, N, d] for token_ids [B, N].

        The new tokens take the cache's next positions and are counted in it afterwards. Without a cache the tokens
        are the whole text. Apply lm_head to the rows whose logits are wanted.
        Raises IndexError for an id outside the vocabulary, ValueError when the cache is full.
        """
        batch, num_new = token_ids.shape
        cache = self.new_cache(num_new, batch) if cache is None else cache
        positions = cache.positions(num_new)
        cos, sin = self.cos[positions].unsqueeze(2), self.sin[positions].unsqueeze(2)
        x = self.embed(token_ids)
        for layer in self.layers:
            x = layer(x, cos, sin, cache)
        cache.advance(num_new)
        return self.final_norm(x)

    def forward(self, token_ids, cache=None):
        """Logits [B, N, V] of the tokens that follow each of token_ids [B, N]; see hidden_states."""
        return self.lm_head(self.hidden_states(token_ids, cache))
