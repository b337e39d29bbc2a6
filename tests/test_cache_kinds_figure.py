"""The figure cache-kinds shows the bytes of the engine's own caches."""

import random
from dataclasses import replace

import torch
from test_figures import figure_results, pytestmark  # noqa: F401  (skips this file too where node is missing)

from mini_engine.beyond.delta import DeltaConfig, StateCache
from mini_engine.beyond.latent import LatentCache, LatentConfig
from mini_engine.beyond.window import WindowCache
from mini_engine.config import LLAMA_2_7B
from mini_engine.kv_cache import KVCache

DTYPES = {"4": torch.float32, "2": torch.bfloat16, "1": torch.int8}
MHA = replace(LLAMA_2_7B, max_position_embeddings=1 << 20)
GQA = replace(MHA, num_key_value_heads=8)


def test_the_figure_shows_the_caches_bytes():
    rng = random.Random(17)
    sizes = {name: getattr(MHA, name) for name in MHA.__dataclass_fields__}
    latent = LatentConfig(**sizes | {"head_dim": 64})
    delta = DeltaConfig(**sizes | {"num_hidden_layers": 24})
    states = []
    for bytes_per in 12 * tuple(DTYPES):
        context, window = rng.choice((128, 1000, 131_072, 1 << 20)), rng.choice((128, 4096, 131_072))
        states.append({"context": context, "window": window, "bytes_per": bytes_per})
    for state, got in zip(states, figure_results("cache-kinds", states), strict=True):
        n, options = state["context"], {"dtype": DTYPES[state["bytes_per"]], "device": "meta"}
        assert got["mha"] == KVCache(MHA, n, **options).num_bytes
        assert got["gqa"] == KVCache(GQA, n, **options).num_bytes
        assert got["window"] == WindowCache(GQA, n, [None, state["window"]] * 16, **options).num_bytes
        assert got["mla"] == LatentCache(latent, n, **options).num_bytes
        rest = KVCache(replace(GQA, num_hidden_layers=8), n, **options).num_bytes
        assert got["state"] == StateCache(delta, n, **options).num_bytes + rest
