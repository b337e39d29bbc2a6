"""Normalises after the residual instead of before the branch."""
class Decoder(torch.nn.Module):

    def __init__(self, config, weights, dtype=torch.float32):
        super().__init__()
        self.config = config
        tensor = lambda array: torch.tensor(array, dtype=dtype)
        self.embedding, self.final_norm = tensor(weights["embedding"]), tensor(weights["final_norm"])
        self.layers = [{name: tensor(array) for name, array in layer.items()} for layer in weights["layers"]]
        self.lm_head = self.embedding.T if config.tie_word_embeddings else tensor(weights["lm_head"])

    def new_cache(self, max_tokens, batch=1):
        return Cache(self.config, max_tokens, batch, self.embedding.dtype)

    @torch.inference_mode()
    def forward(self, ids, cache=None):
        config = self.config
        batch, num_new = ids.shape
        cache = self.new_cache(num_new, batch) if cache is None else cache
        positions = cache.positions(num_new)[0]

        def norm(x, weight):
            return F.rms_norm(x, weight.shape, weight, config.rms_norm_eps)

        def heads(x):  # [B, N, H * d_h] -> [B, H, N, d_h]
            return x.unflatten(-1, (-1, config.head_dim)).transpose(1, 2)

        x = F.embedding(ids, self.embedding)
        for layer, w in enumerate(self.layers):
            h = x
            q, k, v = (heads(h @ w[name]) for name in ("w_q", "w_k", "w_v"))
            q, k = (apply_rope(part, positions, config.rope_theta) for part in (q, k))
            keys, values, _ = cache.update(layer, k, v)
            mask = torch.arange(keys.shape[2]) <= positions[:, None]  # [N, S + N]
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask, enable_gqa=True)
            x = norm(x + mixed.transpose(1, 2).flatten(2) @ w["w_o"], w["attn_norm"])
            x = norm(x + (F.silu(x @ w["w_gate"]) * (x @ w["w_up"])) @ w["w_down"], w["mlp_norm"])
        cache.advance(num_new)
        return norm(x, self.final_norm) @ self.lm_head
