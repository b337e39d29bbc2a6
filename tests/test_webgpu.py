"""The WebGPU kernels on whatever device is here; Debian's mesa-vulkan-drivers gives one in software."""

import os
import subprocess
import sys

import numpy as np
import pytest

from mini_engine.gpu.webgpu.device import DeviceLost, NoDevice, ShaderError, open_device

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
