"""A model of any shape with random weights, made on the device: for speed, which does not depend on their values."""

import torch

from mini_engine.accounting import parameter_count
from mini_engine.device import require_memory
from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model


def random_layers(config, matrix, gains):
    """The layers' weights, one layer after the other, so that not all of them exist twice."""
    d, inner = config.hidden_size, config.intermediate_size
    q_out, kv_out = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    for _ in range(config.num_hidden_layers):
        yield {
            "attn_norm": gains(),
            "w_q": matrix(d, q_out),
            "w_k": matrix(d, kv_out),
            "w_v": matrix(d, kv_out),
            "w_o": matrix(q_out, d),
            "mlp_norm": gains(),
            "w_gate": matrix(d, inner),
            "w_up": matrix(d, inner),
            "w_down": matrix(inner, d),
        }


@torch.inference_mode()
def random_llama(config, scheme=None, dtype=torch.float32, device="cpu", seed=0):
    """A Llama of this shape whose weights are normal with deviation 1/sqrt(inputs), never zeros.

    scheme: None, or one of quantized.SCHEMES. Raises ValueError, in one line, where the memory does not suffice.
    """
    num_params = parameter_count(config)
    needed = num_params * dtype.itemsize + (0 if scheme is None else num_params)
    require_memory(1.1 * needed, device, f"{config.name} with {config.num_hidden_layers} layers")
    generator = torch.Generator(device).manual_seed(seed)

    def matrix(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype, device=device) * shape[0] ** -0.5

    def gains():
        return torch.ones(config.hidden_size, dtype=dtype, device=device)

    # rows of an embedding meet no sum, so they have deviation 1
    embedding = torch.randn(config.vocab_size, config.hidden_size, generator=generator, dtype=dtype, device=device)
    weights = {"embedding": embedding, "final_norm": gains(), "layers": random_layers(config, matrix, gains)}
    if not config.tie_word_embeddings:
        weights["lm_head"] = matrix(config.hidden_size, config.vocab_size)
    model = Llama(config, weights, dtype, device)
    return model if scheme is None else quantize_model(model, scheme)
