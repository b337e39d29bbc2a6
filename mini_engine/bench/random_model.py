"""A model of any shape with random weights, made on the device: for speed, which does not depend on their values."""

import torch

from mini_engine.accounting import parameter_count
from mini_engine.device import require_memory
from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model


def random_weights(config, dtype=torch.float32, device="cpu", seed=0):
    """The weights dict of a model's shape as tensors, normal with deviation 1/sqrt(inputs), never zeros.

    `layers` is a generator, so that a large model's layers need not all exist beside the model made of them.
    """
    generator = torch.Generator(device).manual_seed(seed)
    d, inner = config.hidden_size, config.intermediate_size
    q_out, kv_out = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    shapes = {"w_q": (d, q_out), "w_k": (d, kv_out), "w_v": (d, kv_out), "w_o": (q_out, d)}
    shapes |= {"w_gate": (d, inner), "w_up": (d, inner), "w_down": (inner, d)}

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=dtype, device=device)

    def matrix(num_in, num_out):
        return normal(num_in, num_out) * num_in**-0.5

    def gains():
        return torch.ones(d, dtype=dtype, device=device)

    def layers():
        for _ in range(config.num_hidden_layers):
            matrices = {name: matrix(*shape) for name, shape in shapes.items()}
            yield matrices | {"attn_norm": gains(), "mlp_norm": gains()}

    # rows of an embedding meet no sum, so they have deviation 1
    weights = {"embedding": normal(config.vocab_size, d), "final_norm": gains(), "layers": layers()}
    return weights if config.tie_word_embeddings else weights | {"lm_head": matrix(d, config.vocab_size)}


@torch.inference_mode()
def random_llama(config, scheme=None, dtype=torch.float32, device="cpu", seed=0):
    """A Llama of this shape with random_weights.

    scheme: None, or one of quantize_model. Raises ValueError, in one line, where the memory does not suffice.
    """
    num_params = parameter_count(config)
    needed = num_params * dtype.itemsize + (0 if scheme is None else num_params)
    require_memory(1.1 * needed, device, f"{config.name} with {config.num_hidden_layers} layers")
    model = Llama(config, random_weights(config, dtype, device, seed), dtype, device)
    return model if scheme is None else quantize_model(model, scheme)
