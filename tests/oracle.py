"""transformers' LlamaForCausalLM on our weights: the independent answer that model tests compare with."""

import numpy as np
import torch
import transformers

NAMES = {
    "attn_norm": "input_layernorm",
    "w_q": "self_attn.q_proj",
    "w_k": "self_attn.k_proj",
    "w_v": "self_attn.v_proj",
    "w_o": "self_attn.o_proj",
    "mlp_norm": "post_attention_layernorm",
    "w_gate": "mlp.gate_proj",
    "w_up": "mlp.up_proj",
    "w_down": "mlp.down_proj",
}


def transformers_llama(config, weights, dtype=torch.float32):
    """LlamaForCausalLM of the same shape, holding the same weights (ours are [in, out], theirs [out, in])."""
    llama = transformers.LlamaConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        intermediate_size=config.intermediate_size,
        num_hidden_layers=config.num_hidden_layers,
        num_attention_heads=config.num_attention_heads,
        num_key_value_heads=config.num_key_value_heads,
        head_dim=config.head_dim,
        max_position_embeddings=config.max_position_embeddings,
        rms_norm_eps=config.rms_norm_eps,
        tie_word_embeddings=config.tie_word_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        attn_implementation="eager",
        bos_token_id=None,
        eos_token_id=None,
    )
    state = {"model.embed_tokens.weight": weights["embedding"], "model.norm.weight": weights["final_norm"]}
    if not config.tie_word_embeddings:
        state["lm_head.weight"] = weights["lm_head"].T
    for i, layer in enumerate(weights["layers"]):
        for ours, theirs in NAMES.items():
            state[f"model.layers.{i}.{theirs}.weight"] = layer[ours].T
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(llama)
    model = model.to_empty(device="cpu").to(dtype)
    # the rotary table is a buffer outside the state dict, so it is built again off the meta device
    model.model.rotary_emb = type(model.model.rotary_emb)(llama)
    state = {name: torch.from_numpy(np.array(value, order="C")).to(dtype) for name, value in state.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    tied = ["lm_head.weight"] if config.tie_word_embeddings else []
    assert not unexpected and list(missing) == tied, (missing, unexpected)
    model.tie_weights()
    return model.eval()


@torch.inference_mode()
def expected_logits(model, token_ids):
    """Logits [N, V] for one prompt, as a NumPy array."""
    return model(torch.tensor([list(token_ids)])).logits[0].numpy()


@torch.inference_mode()
def expected_greedy(model, token_ids, num_new_tokens):
    """The next num_new_tokens greedy ids, each from a full pass over everything before it (no cache)."""
    ids = [int(i) for i in token_ids]
    for _ in range(num_new_tokens):
        ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(token_ids) :]
