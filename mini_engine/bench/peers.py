"""Other engines with the same weights, to check against and to race: transformers and llama.cpp, where installed."""

import contextlib
import ctypes
import itertools
import os
import time

import numpy as np
import torch

from mini_engine.files.fetch import fetch_gguf
from mini_engine.weights import LAYER_NAMES


def stamps(tokens):
    """The time at which each token of an iterator came, in seconds of perf_counter."""
    return [time.perf_counter() for _ in tokens]


def transformers_llama(config, weights, dtype=torch.float32, attention="eager"):
    """transformers' LlamaForCausalLM of the same shape, holding the same weights (its matrices are [out, in]).

    attention: "eager" is written out in Python, "sdpa" calls torch's fused operator.
    """
    import transformers

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
        attn_implementation=attention,
        bos_token_id=None,
        eos_token_id=None,
    )
    state = {"model.embed_tokens.weight": weights["embedding"], "model.norm.weight": weights["final_norm"]}
    if not config.tie_word_embeddings:
        state["lm_head.weight"] = np.asarray(weights["lm_head"]).T
    for i, layer in enumerate(weights["layers"]):
        for ours, theirs in LAYER_NAMES.items():
            state[f"model.layers.{i}.{theirs}.weight"] = np.asarray(layer[ours]).T
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


def transformers_generate(model, **options):
    """A function (ids, num_new) -> the time of each token, from greedy model.generate().

    options go to generate: cache_implementation="static" for its cache of fixed shapes, which it compiles on a GPU.
    """

    def run(ids, num_new):
        times = []
        prompt = torch.tensor([ids], device=model.device)

        def note(*_, **__):
            if prompt.is_cuda:
                torch.cuda.synchronize()
            times.append(time.perf_counter())
            return torch.zeros(1, dtype=torch.bool, device=prompt.device)  # never a reason to stop

        options.update({"max_new_tokens": num_new, "do_sample": False, "stopping_criteria": [note]})
        model.generate(prompt, attention_mask=torch.ones_like(prompt), pad_token_id=0, **options)
        return times

    return run


@contextlib.contextmanager
def quiet_stderr():
    """Send what C code writes to stderr nowhere: llama.cpp reports every tensor."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def convert_gguf(target, file_type):
    """Write the real model in another of llama.cpp's formats ("F32", "Q8_0") to the path `target`."""
    import llama_cpp

    numbers = {"F32": llama_cpp.LLAMA_FTYPE_ALL_F32, "Q8_0": llama_cpp.LLAMA_FTYPE_MOSTLY_Q8_0}
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = numbers[file_type], True
    with quiet_stderr():
        code = llama_cpp.llama_model_quantize(os.fsencode(fetch_gguf()), os.fsencode(target), ctypes.byref(params))
    if code:
        raise RuntimeError(f"llama.cpp cannot convert the model to {file_type}: code {code}")


def llama_cpp_model(path, num_tokens, num_threads):
    """llama.cpp with a GGUF file, through llama-cpp-python."""
    import llama_cpp

    with quiet_stderr():
        threads = {"n_threads": num_threads, "n_threads_batch": num_threads}
        return llama_cpp.Llama(str(path), n_ctx=num_tokens, n_batch=512, verbose=False, **threads)


def llama_cpp_generate(llm):
    """A function (ids, num_new) -> the time of each token, greedy, nothing kept from the run before."""

    def run(ids, num_new):
        llm.reset()
        return stamps(itertools.islice(llm.generate(ids, top_k=1, temp=0.0, repeat_penalty=1.0), num_new))

    return run


def llama_cpp_step(path, batch, context, num_threads):
    """A function that runs one decode step of `batch` sequences which hold `context` tokens each.

    Through llama.cpp's C interface: the Python class of llama-cpp-python serves one sequence. Each sequence has its
    own part of the cache (`kv_unified` off), which is llama.cpp's faster way where prompts share no beginning.
    """
    import llama_cpp as lib

    params = lib.llama_context_default_params()
    params.n_ctx, params.n_seq_max, params.kv_unified = batch * (context + 1), batch, False
    params.n_batch = params.n_ubatch = max(batch, context)
    params.n_threads = params.n_threads_batch = num_threads
    with quiet_stderr():
        model = lib.llama_model_load_from_file(os.fsencode(path), lib.llama_model_default_params())
        ctx = lib.llama_init_from_model(model, params)
    rows = lib.llama_batch_init(max(batch, context), 0, 1)
    memory = lib.llama_get_memory(ctx)

    def decode(tokens):
        """One pass over (token, position, sequence) triples, logits for the last token of each sequence."""
        rows.n_tokens = len(tokens)
        for i, (token, position, sequence) in enumerate(tokens):
            rows.token[i], rows.pos[i], rows.n_seq_id[i], rows.seq_id[i][0] = token, position, 1, sequence
            rows.logits[i] = i + 1 == len(tokens) or tokens[i + 1][2] != sequence
        if code := lib.llama_decode(ctx, rows):
            raise RuntimeError(f"llama_decode failed with code {code}")

    for sequence in range(batch):
        decode([((31 * i + sequence) % 1000 + 100, i, sequence) for i in range(context)])

    def step():
        decode([(100 + sequence, context, sequence) for sequence in range(batch)])
        best = [np.ctypeslib.as_array(lib.llama_get_logits_ith(ctx, i), (49_152,)).argmax() for i in range(batch)]
        for sequence in range(batch):
            lib.llama_memory_seq_rm(memory, sequence, context, -1)
        return best

    return step
