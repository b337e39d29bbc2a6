"""LoRA adapters: one batch with several against peft's merged weights, through the engine, and bad folders."""

import argparse
import dataclasses
import json

import pytest
import torch
from fastapi.testclient import TestClient
from oracle import transformers_llama

from mini_engine import loading
from mini_engine.bench.random_model import random_weights
from mini_engine.beyond.lora import LoraModel, load_adapter
from mini_engine.commands import serve
from mini_engine.config import TINY
from mini_engine.engine import Engine
from mini_engine.files.safetensors import read_safetensors, write_safetensors
from mini_engine.loading import CharTokenizer
from mini_engine.model import Llama
from mini_engine.quant.modules import quantize_model
from mini_engine.sequence import SamplingParams
from mini_engine.serve.app import create_app

peft = pytest.importorskip("peft", reason="peft is not installed: nothing checks LoRA against it (requirements.txt)")

CONFIG = dataclasses.replace(TINY, max_position_embeddings=256, tie_word_embeddings=False)
KINDS = {
    "all": {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"},
    "attention": {"r": 2, "lora_alpha": 3, "target_modules": ["q_proj", "v_proj"], "use_rslora": True},
    "mlp": {"r": 3, "lora_alpha": 6, "target_modules": ["up_proj", "down_proj", "o_proj"]},
}


def weights_of(config=CONFIG):
    weights = random_weights(config)
    layers = [{name: array.numpy() for name, array in layer.items()} for layer in weights["layers"]]
    return {"layers": layers} | {name: weights[name].numpy() for name in ("embedding", "final_norm", "lm_head")}


def save_adapter(config, weights, folder, kind, seed):
    """A random adapter, saved by peft; returns the transformers model with it merged in."""
    model = peft.get_peft_model(transformers_llama(config, weights), peft.LoraConfig(task_type="CAUSAL_LM", **kind))
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator) / parameter.shape[1] ** 0.5
    model.save_pretrained(folder)
    return model.merge_and_unload()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(folders, merged models by adapter, the plain one under "", a LoraModel over the same weights)."""
    folder, weights = tmp_path_factory.mktemp("adapters"), weights_of()
    merged = {"": transformers_llama(CONFIG, weights)}
    for seed, (name, kind) in enumerate(KINDS.items()):
        merged[name] = save_adapter(CONFIG, weights, folder / name, kind, seed)
    adapters = {name: load_adapter(folder / name, CONFIG) for name in KINDS}
    return folder, merged, LoraModel(Llama(CONFIG, weights), adapters)


@torch.inference_mode()
def test_a_batch_of_adapters_equals_merged_weights(served):
    _, merged, model = served
    rows = ["mlp", "", "all", "attention", "all", "", "mlp"]
    ids = torch.randint(CONFIG.vocab_size, (len(rows), 9), generator=torch.Generator().manual_seed(1))
    logits = model(ids, adapters=rows)
    for row, name in enumerate(rows):
        expected = merged[name](ids[row : row + 1]).logits[0]
        torch.testing.assert_close(logits[row], expected, atol=2e-5, rtol=1e-4)
    plain = merged[""](ids).logits
    assert all((logits[row] - plain[row]).abs().max() > 0.1 for row, name in enumerate(rows) if name)


def written(model, prompts, names, num_tokens=12, **options):
    engine = Engine(model, num_blocks=64, block_size=4, **options)
    params = [SamplingParams(max_tokens=num_tokens, adapter=name) for name in names]
    sequences = engine.generate(prompts, params)
    engine.check_invariants()
    return [seq.output_token_ids for seq in sequences], sequences


def test_the_engine_gives_each_request_its_adapters_text(served):
    """Prompts of other lengths, chunks of a prefill and few places at a time: the text is that of each alone."""
    _, _, model = served
    generator = torch.Generator().manual_seed(2)
    prompts = [torch.randint(CONFIG.vocab_size, (n,), generator=generator).tolist() for n in (5, 17, 9, 23, 3, 11)]
    names = ["all", "", "mlp", "attention", "all", "mlp"]
    together, _ = written(model, prompts, names, max_num_seqs=4, max_num_batched_tokens=16)
    alone = [written(model, [prompt], [name])[0][0] for prompt, name in zip(prompts, names, strict=True)]
    assert together == alone
    assert together != written(model, prompts, [""] * 6)[0]


def test_the_prefix_cache_keeps_adapters_apart(served):
    """One prompt for all, one after the other in one engine: a block that another adapter filled must not be found."""
    _, _, model = served
    prompt = torch.randint(CONFIG.vocab_size, (21,), generator=torch.Generator().manual_seed(3)).tolist()
    alone = {name: written(model, [prompt], [name], prefix_caching=False)[0][0] for name in ("", *KINDS)}
    engine = Engine(model, num_blocks=128, block_size=4)
    for name in ["", *KINDS, *KINDS, ""]:
        (seq,) = engine.generate([prompt], SamplingParams(max_tokens=12, adapter=name))
        assert seq.output_token_ids == alone[name]
    assert engine.scheduler.prefix_cache.num_hit_tokens == 4 * 20, "each adapter finds its own blocks again"
    assert len(set(map(tuple, alone.values()))) == 4


def test_an_unknown_adapter_is_refused_and_nothing_is_lost(served):
    _, _, model = served
    engine = Engine(model, num_blocks=16)
    with pytest.raises(ValueError, match="no adapter 'other' is loaded; loaded: all, attention, mlp"):
        engine.add_request([1, 2], SamplingParams(adapter="other"))
    assert not engine.has_unfinished
    with pytest.raises(ValueError, match="no adapter 'all' is loaded; loaded: none"):
        Engine(Llama(CONFIG, weights_of()), num_blocks=16).add_request([1], SamplingParams(adapter="all"))


@torch.inference_mode()
def test_adapters_over_quantized_weights(served):
    """QLoRA's arrangement: the base in int8, the low-rank term in float32."""
    folder, _, _ = served
    base = quantize_model(Llama(CONFIG, weights_of()), "int8")
    ids = torch.arange(8)[None].repeat(2, 1)
    plain = base(ids)
    model = LoraModel(base, {"all": load_adapter(folder / "all", CONFIG)})
    logits = model(ids, adapters=["", "all"])
    torch.testing.assert_close(logits[0], plain[0], atol=1e-5, rtol=1e-5)
    assert (logits[1] - plain[1]).abs().max() > 0.1


def change_config(**fields):
    def change(folder):
        path = folder / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | fields))

    return change


def change_tensor(folder):
    path = folder / "adapter_model.safetensors"
    tensors = {name: array.copy() for name, array in read_safetensors(path)[0].items()}
    name = next(iter(tensors))
    del tensors[name]
    write_safetensors(path, tensors)


DAMAGES = {
    "needs? \\(5, 64\\)|rank 5 and this model need": change_config(r=5),
    "this engine adapts": change_config(target_modules=["q_proj", "lm_head"]),
    "plain LoRA, not \\['use_dora'\\]": change_config(use_dora=True),
    "plain LoRA, not LOHA": change_config(peft_type="LOHA"),
    "does not describe a LoRA adapter": change_config(r=0),
    "is missing": change_tensor,
    "has no adapter_model.safetensors": lambda folder: (folder / "adapter_model.safetensors").unlink(),
    "not a usable safetensors": lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"{}"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_folder_is_named(served, tmp_path, message):
    folder, _, _ = served
    for path in (folder / "all").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    DAMAGES[message](tmp_path)
    with pytest.raises(ValueError, match=message) as error:
        load_adapter(tmp_path, CONFIG)
    assert str(tmp_path) in str(error.value)


def test_an_adapter_of_another_model_is_refused(served):
    folder, _, _ = served
    shallow = dataclasses.replace(CONFIG, num_hidden_layers=1)
    with pytest.raises(ValueError, match="this model has no place for base_model.model.model.layers.1"):
        load_adapter(folder / "all", shallow)
    wide = dataclasses.replace(CONFIG, hidden_size=128)
    with pytest.raises(ValueError, match="has shape"):
        load_adapter(folder / "all", wide)


def test_a_model_that_is_not_torchs_is_refused():
    with pytest.raises(ValueError, match="--kernels torch"):
        LoraModel(object(), {})


@torch.inference_mode()
def test_the_real_model_with_random_adapters(smollm2, tmp_path):
    """Its first six layers: a whole copy beside peft's takes a minute on a busy machine."""
    config, weights = dataclasses.replace(smollm2[0], num_hidden_layers=6), smollm2[1]
    weights = weights | {"layers": weights["layers"][:6]}
    ids = torch.tensor([[1, 4093, 253, 1789, 30, 8], [1, 4093, 253, 1789, 30, 8], [504, 3575, 282, 4649, 314, 42]])
    merged = [save_adapter(config, weights, tmp_path / n, KINDS[n], i) for i, n in enumerate(("all", "attention"))]
    adapters = {name: load_adapter(tmp_path / name, config) for name in ("all", "attention")}
    plain = Llama(config, weights)
    expected = [merged[0](ids[:1]).logits[0], merged[1](ids[1:2]).logits[0], plain(ids[2:])[0]]
    logits = LoraModel(plain, adapters)(ids, adapters=["all", "attention", ""])
    for got, want in zip(logits, expected, strict=True):
        assert (got - want).abs().max() < 1e-4 * want.abs().max()
    assert (expected[0] - expected[1]).abs().max() > 0.1


def test_the_server_takes_an_adapter_for_a_model(served):
    """Two clients ask for two models of one engine; the names are listed, an unknown one is a 404 that names them."""
    _, _, model = served
    engine = Engine(model, CharTokenizer(), num_blocks=64)
    expected = {name: engine.generate(["Hello"], SamplingParams(max_tokens=8, adapter=name))[0].text for name in KINDS}
    with TestClient(create_app(engine, "base")) as client:

        def ask(name):
            body = {"model": name, "prompt": "Hello", "max_tokens": 8, "temperature": 0}
            return client.post("/v1/completions", json=body)

        for name, text in expected.items():
            answer = ask(name).json()
            assert (answer["model"], answer["choices"][0]["text"]) == (name, text)
        assert ask("base").json()["choices"][0]["text"] not in expected.values()
        assert [card["id"] for card in client.get("/v1/models").json()["data"]] == ["base", *KINDS]
        refused = ask("other")
        assert refused.status_code == 404 and "'base', 'all', 'attention', 'mlp'" in refused.json()["error"]["message"]


@pytest.mark.parametrize("options", ["--adapter nameless", "--adapter tiny=x", "--adapter a=x --adapter a=y"])
def test_the_command_names_a_bad_option(options):
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    with pytest.raises(ValueError, match="NAME=FOLDER"):
        serve.make_engine(parser.parse_args(["--model", "tiny", *options.split()]))


def test_the_command_serves_an_adapter(tmp_path, capsys):
    config, weights = loading.load_parts("tiny")[:2]
    save_adapter(config, weights, tmp_path / "mine", KINDS["attention"], 0)
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    engine = serve.make_engine(parser.parse_args(["--model", "tiny", "--adapter", f"mine={tmp_path / 'mine'}"]))
    assert "adapter mine: rank 2" in capsys.readouterr().out
    texts = {
        name: engine.generate(["Hello"], SamplingParams(max_tokens=8, adapter=name))[0].text for name in ("", "mine")
    }
    assert texts[""] != texts["mine"]
