"""The WebGPU kernels on whatever device is here; Debian's mesa-vulkan-drivers gives one in software."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mini_engine.__main__ import main
from mini_engine.cpu.model import CompiledLlama
from mini_engine.generate import generate
from mini_engine.gpu.webgpu.decoder import WebGPUDecoder
from mini_engine.gpu.webgpu.device import DeviceLost, NoDevice, ShaderError, open_device
from mini_engine.gpu.webgpu.plan import tensors, weight_bytes
from mini_engine.weights import load_smollm2, load_tiny, smollm2_is_cached

DOUBLE = """
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> sizes: vec4<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x < sizes.x) { y[id.x] += 2.0 * x[id.x]; }
}
"""


def a_device():
    try:
        return open_device()
    except NoDevice as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def device():
    return a_device()


def test_one_kernel_reads_writes_and_starts_from_zero_or_from_an_array(device):
    x, sizes = np.arange(100, dtype=np.float32), np.array([100, 0, 0, 0], np.uint32)
    (fresh,) = device.run(DOUBLE, [x], [((10, 10), np.float32)], (2,), sizes)
    (added,) = device.run(DOUBLE, [x], [np.ones(100, np.float32)], (2,), sizes)
    np.testing.assert_array_equal(fresh, 2 * x.reshape(10, 10))
    np.testing.assert_array_equal(added, 2 * x + 1)


@pytest.mark.parametrize(
    "old, new, says, line",
    [
        ("2.0 *", "2u *", "Multiply", 7),
        ("array<f32>;", "array<f32>", "expected `;`", 3),
        ("fn main", "fn other", "entry point 'main'", None),
        ("<storage, read>", "<storage, read_write>", "binding: 0", None),
        ("64", "64000", "Workgroup size", None),
    ],
)
def test_wgsl_that_does_not_fit_says_why_and_where(device, old, new, says, line):
    with pytest.raises(ShaderError) as caught:
        device.run(DOUBLE.replace(old, new, 1), [np.ones(4, np.float32)], [((4,), np.float32)], (1,), np.zeros(4))
    assert says in str(caught.value) and caught.value.line == line


def test_a_buffer_beyond_the_limits_is_refused_in_one_line(device):
    with pytest.raises(NoDevice, match="too large") as caught:
        device.buffer(1 << 40)
    assert "\n" not in str(caught.value)


def test_a_lost_device_is_one_line():
    lost = a_device()
    lost.gpu.destroy()
    with pytest.raises(DeviceLost) as caught:
        lost.run(DOUBLE, [np.ones(4, np.float32)], [((4,), np.float32)], (1,), np.zeros(4))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("setting, says", [("no driver", "mesa-vulkan-drivers"), ("no package", "pip install wgpu")])
def test_without_a_device_the_line_says_what_to_install(setting, says, tmp_path):
    code = "from mini_engine.gpu.webgpu.device import open_device; open_device()"
    if setting == "no package":
        (tmp_path / "wgpu.py").write_text("raise ImportError('not here')")
        code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); " + code
    env = os.environ | {"VK_DRIVER_FILES": "/nowhere", "VK_ICD_FILENAMES": "/nowhere"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "NoDevice: no WebGPU device" in last and says in last, done.stderr


def last_logits(model, ids):
    """Logits [V] of the CPU engine behind these ids."""
    return model(torch.tensor([ids]))[0, -1].numpy()


@pytest.mark.parametrize("num_prompt", [1, 2, 40, 130])
def test_the_small_model_writes_what_the_cpu_engine_writes_in_int8(device, num_prompt):
    """130: five passes of prefill, and attention over three pieces of the cache."""
    config, weights = load_tiny()
    prompt = np.random.default_rng(num_prompt).integers(0, config.vocab_size, num_prompt).tolist()
    cpu, decoder = CompiledLlama(config, weights, "int8"), WebGPUDecoder(config, weights, num_prompt + 9, device)
    written = list(decoder.generate(prompt, 9))
    assert written == list(generate(cpu, prompt, 9))
    np.testing.assert_allclose(decoder.logits(), last_logits(cpu, prompt + written[:-1]), atol=1e-4)
    assert decoder.tokens() == prompt + written


def test_steps_need_nothing_from_the_host_and_a_text_can_be_started_again(device):
    config, weights = load_tiny()
    decoder = WebGPUDecoder(config, weights, 20, device)
    first = list(decoder.generate([5, 6, 7], 6))
    decoder.prefill([5, 6, 7])
    for _ in range(6):  # all queued before anything is read
        decoder.step()
    assert decoder.tokens(3) == first and len(decoder.encoding_s) == 6
    assert decoder.num_kernels == 9 * config.num_hidden_layers + 4


def test_a_text_beyond_its_room_is_refused(device):
    config, weights = load_tiny()
    decoder = WebGPUDecoder(config, weights, 3, device)
    with pytest.raises(ValueError, match="prompt tokens"):
        decoder.prefill([1, 2, 3, 4])
    decoder.prefill([1, 2, 3])
    decoder.step()
    with pytest.raises(ValueError, match="all of its"):
        decoder.step()


def test_the_bytes_of_a_step_are_those_of_the_weights_that_it_reads():
    config, weights = load_tiny()
    read = {
        name: array.nbytes for name, array in tensors(config, weights, 8) if name not in ("cos", "sin", "embedding")
    }
    assert weight_bytes(config) == sum(read.values()) + 4 * config.hidden_size


@pytest.mark.skipif(not smollm2_is_cached(), reason="SmolLM2-135M is not on this machine")
def test_the_real_model_writes_what_the_cpu_engine_writes_in_int8(device):
    config, weights = load_smollm2()
    cpu, prompt = CompiledLlama(config, weights, "int8"), [504, 3575, 282, 4649, 314]  # "The capital of France is"
    decoder = WebGPUDecoder(config, weights, 16, device)
    written = list(decoder.generate(prompt, 8))
    assert written == list(generate(cpu, prompt, 8))
    np.testing.assert_allclose(decoder.logits(), last_logits(cpu, prompt + written[:-1]), atol=1e-3)


ARGUMENTS = ["generate", "abc", "--model", "tiny", "--max-tokens", "8"]


def written_by(arguments, capsys):
    """(what the command prints, its lines on stderr)."""
    assert main(arguments) == 0
    captured = capsys.readouterr()
    return captured.out, captured.err.splitlines()


def test_the_command_writes_the_same_text(device, capsys):
    assert written_by([*ARGUMENTS, "--device", "webgpu"], capsys) == written_by([*ARGUMENTS, "--quant", "int8"], capsys)


def lose_it(decoder, before=WebGPUDecoder.step):
    if decoder.length == 6:
        decoder.device.gpu.destroy()
    before(decoder)


def too_small(device, num_bytes):
    raise NoDevice(f"a buffer of {num_bytes} bytes is too large")


@pytest.mark.parametrize(
    "name, broken, says",
    [
        ("mini_engine.gpu.webgpu.decoder.WebGPUDecoder.step", lose_it, "was lost"),
        ("mini_engine.gpu.webgpu.device.Device.require", too_small, "too large"),
    ],
)
def test_where_the_device_fails_the_cpu_goes_on(device, capsys, monkeypatch, name, broken, says):
    text, _ = written_by([*ARGUMENTS, "--quant", "int8"], capsys)
    monkeypatch.setattr(name, broken)
    on_cpu, (line,) = written_by([*ARGUMENTS, "--device", "webgpu"], capsys)
    assert on_cpu == text and says in line and "the CPU goes on" in line


@pytest.mark.parametrize("option", [["--quant", "int4"], ["--no-cache"]])
def test_what_webgpu_has_not_is_refused(option, capsys):
    assert main([*ARGUMENTS, "--device", "webgpu", *option]) == 1
    assert "int8" in capsys.readouterr().err


def test_the_measurement_writes_its_record(device, tmp_path, capsys):
    record = tmp_path / "run.json"
    options = ["--context", "3", "--new-tokens", "4", "--rounds", "1", "--json", str(record)]
    assert main(["bench", "webgpu", "--model", "tiny", *options]) == 0
    found, text = json.loads(record.read_text()), capsys.readouterr().out
    assert found["same_text"] and found["max_logit_difference"] < 1e-3 and found["num_kernels"] == 22
    assert set(found["tpot_ms"]) == {"queued", "streamed", "cpu int8"} and 0 < found["share_of_bandwidth"]
    for word in ("kernels a step", "of the copy bandwidth", "the same text", "to record"):
        assert word in text, text


def test_the_recorded_run_of_the_real_model_is_whole():
    found = json.loads((Path(__file__).parents[1] / "book" / "data" / "bench_webgpu.json").read_text())
    assert found["model"] == "smollm2-135m" and found["same_text"] and found["max_logit_difference"] < 1e-3
