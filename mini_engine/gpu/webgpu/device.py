"""A WebGPU device: compile WGSL, keep arrays in buffers, run kernels, and say in one line what went wrong."""

import contextlib
import functools
import os
import re
import tempfile

import numpy as np

BACKENDS = ("Vulkan", "Metal", "DX12")  # OpenGL is left out: it has too few storage buffers
# what is asked of the adapter as far as it goes; everything else stays at WebGPU's defaults, as in a browser
LIMITS = ("max-buffer-size", "max-storage-buffer-binding-size", "max-storage-buffers-per-shader-stage")
ADVICE = "install the GPU's Vulkan driver or, for a device in software, Debian's mesa-vulkan-drivers"
LINE = re.compile(r"┌─ \S*?:(\d+):(\d+)")


class NoDevice(RuntimeError):
    """No WebGPU device can be had here; the one line says what to install."""


class DeviceLost(NoDevice):
    """The device was there and is gone: a driver that was reset, a GPU that was unplugged."""


class ShaderError(ValueError):
    """WGSL that does not compile or does not fit its buffers. line: in the shader text from 1, or None."""

    def __init__(self, message, line=None):
        super().__init__(message)
        self.line = line


@functools.cache
def native():
    """The package wgpu, loaded at its first use: it takes a third of a second. Raises NoDevice where it is missing."""
    try:
        import wgpu
        import wgpu.backends.wgpu_native.extras
    except (ImportError, OSError) as error:  # the package, or a library that it loads
        raise NoDevice(f"no WebGPU device: the package wgpu is missing ({error}): pip install wgpu") from None
    return wgpu


def open_device():
    """The Device of this machine, the fastest GPU or else a software device. Raises NoDevice, in one line."""
    wgpu = native()
    only_our_backends()
    try:
        with runtime_folder():
            adapter = wgpu.gpu.request_adapter_sync(power_preference="high-performance")
            if adapter is None or adapter.info["backend_type"] == "OpenGL":
                raise NoDevice(f"no WebGPU device: no adapter was found; {ADVICE}")
            limits = {name: adapter.limits[name] for name in LIMITS}
            return Device(adapter.request_device_sync(required_limits=limits))
    except (RuntimeError, wgpu.GPUError) as error:
        if isinstance(error, NoDevice):
            raise
        raise NoDevice(f"no WebGPU device: {last_line(error).partition(';')[0]}; {ADVICE}") from None


@functools.cache
def only_our_backends():
    """Look for drivers of BACKENDS only; it counts before the first adapter of the process is asked for."""
    with contextlib.suppress(RuntimeError):  # somebody else was first: then the adapter's kind is checked
        native().backends.wgpu_native.extras.set_instance_extras(backends=list(BACKENDS))


@contextlib.contextmanager
def runtime_folder():
    """Without XDG_RUNTIME_DIR Mesa complains on stderr, once for each driver."""
    missing = "XDG_RUNTIME_DIR" not in os.environ
    if missing:
        os.environ["XDG_RUNTIME_DIR"] = tempfile.gettempdir()
    try:
        yield
    finally:
        if missing:
            os.environ.pop("XDG_RUNTIME_DIR", None)


def last_line(error):
    """The most telling line of one of wgpu's reports, which end with the cause."""
    return str(error).strip().splitlines()[-1].strip()


@contextlib.contextmanager
def reported():
    """wgpu's errors as ShaderError, DeviceLost, or NoDevice where memory is short."""
    try:
        yield
    except native().GPUError as error:
        text = str(error)
        if isinstance(error, native().GPUOutOfMemoryError):
            raise NoDevice(f"too little memory on the WebGPU device: {last_line(error)}") from None
        if "device is lost" in text.lower():
            raise DeviceLost(f"the WebGPU device was lost: {last_line(error)}") from None
        where = LINE.search(text)
        line = int(where[1]) if where else None
        report = text.split("Caused by:", 1)[-1].strip().split("\n", 1)[-1].strip()
        raise ShaderError(f"line {line}: {report}" if line else report, line) from None


class Device:
    """A WebGPU device. name: the adapter's; is_software: it computes on the CPU; limits: wgpu's dict."""

    def __init__(self, gpu):
        self.gpu, self.limits = gpu, gpu.limits
        self.name, self.is_software = gpu.adapter_info["device"], gpu.adapter_info["adapter_type"] == "CPU"
        self._kernels = {}

    def run(self, wgsl, inputs, outputs, workgroups, uniform=None, entry_point="main"):
        """Run one kernel once and return its outputs as a list of NumPy arrays.

        The bindings of group 0 in order: `inputs` (NumPy arrays, `var<storage, read>`), `outputs`
        (`var<storage, read_write>`), and `uniform` (`var<uniform>`, an array of at least 16 bytes) where given. Each
        output is (shape, dtype), which starts at zero, or an array, whose content it starts with. workgroups: how many
        to start, (x,), (x, y) or (x, y, z). Raises ShaderError, which has the line, and DeviceLost.
        """
        starts = [np.zeros(*o) if isinstance(o, tuple) else np.ascontiguousarray(o) for o in outputs]
        kinds = ["read-only-storage"] * len(inputs) + ["storage"] * len(starts) + ["uniform"] * (uniform is not None)
        pipeline = self.kernel(wgsl, tuple(kinds), entry_point)
        with reported():
            read = [self.buffer(array) for array in inputs]
            written = [self.buffer(array) for array in starts]
            bound = [*read, *written] + ([] if uniform is None else [self.buffer(uniform, is_uniform=True)])
        self.submit([(pipeline, self.bind(pipeline, bound), workgroups)])
        pairs = zip(written, starts, strict=True)
        return [self.read(buffer, start.dtype)[: start.size].reshape(start.shape) for buffer, start in pairs]

    def kernel(self, wgsl, kinds, entry_point="main", constants=None):
        """The compiled kernel whose bindings 0, 1, … are of these kinds, made once for each text and layout.

        kinds: "read-only-storage", "storage" or "uniform" each. constants: values of its `override` declarations.
        """
        key = wgsl, kinds, entry_point, tuple(sorted((constants or {}).items()))
        if key not in self._kernels:
            common = {"visibility": native().ShaderStage.COMPUTE}
            entries = [{"binding": i, "buffer": {"type": kind}} | common for i, kind in enumerate(kinds)]
            with reported():
                module = self.gpu.create_shader_module(code=wgsl)
                layout = self.gpu.create_bind_group_layout(entries=entries)
                stage = {"module": module, "entry_point": entry_point, "constants": constants or {}}
                pipeline_layout = self.gpu.create_pipeline_layout(bind_group_layouts=[layout])
                self._kernels[key] = self.gpu.create_compute_pipeline(layout=pipeline_layout, compute=stage), layout
        return self._kernels[key]

    def bind(self, kernel, buffers):
        """A bind group of a kernel: which buffers stand at its bindings 0, 1, …"""
        resources = [{"buffer": buffer, "offset": 0, "size": buffer.size} for buffer in buffers]
        entries = [{"binding": i, "resource": resource} for i, resource in enumerate(resources)]
        with reported():
            return self.gpu.create_bind_group(layout=kernel[1], entries=entries)

    def buffer(self, content, is_uniform=False):
        """A buffer with an array's content, or of as many bytes, zeros, as a number says; at least 16 bytes."""
        kinds = native().BufferUsage
        usage = kinds.COPY_SRC | kinds.COPY_DST | (kinds.UNIFORM if is_uniform else kinds.STORAGE)
        num_bytes = content if isinstance(content, int) else np.asarray(content).nbytes
        self.require(num_bytes)
        with reported():
            buffer = self.gpu.create_buffer(size=max(16, -(-num_bytes // 4) * 4), usage=usage)
            if not isinstance(content, int) and num_bytes:
                self.write(buffer, content)
        return buffer

    def require(self, num_bytes):
        """Raise NoDevice, in one line, where a buffer of so many bytes is more than this device binds."""
        most = min(self.limits["max-buffer-size"], self.limits["max-storage-buffer-binding-size"])
        if num_bytes > most:
            raise NoDevice(f"a buffer of {num_bytes:,} bytes is too large: {self.name} binds {most:,} at most")

    def write(self, buffer, array):
        """Put an array at the start of a buffer."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        with reported():
            self.gpu.queue.write_buffer(buffer, 0, np.pad(data, (0, -len(data) % 4)) if len(data) % 4 else data)

    def read(self, buffer, dtype, start=0, num_bytes=None):
        """A buffer's content from byte `start` on, a flat array; waits until all that was submitted is done."""
        with reported():
            return np.frombuffer(self.gpu.queue.read_buffer(buffer, start, num_bytes), dtype)

    def submit(self, steps):
        """Hand kernels to the device in one command buffer, each after the one before; the host goes on at once.

        steps: (kernel, bind group, workgroups) each.
        """
        with reported():
            encoder = self.gpu.create_command_encoder()
            work = encoder.begin_compute_pass()
            for (pipeline, _), group, workgroups in steps:
                work.set_pipeline(pipeline)
                work.set_bind_group(0, group)
                work.dispatch_workgroups(*workgroups)
            work.end()
            self.gpu.queue.submit([encoder.finish()])

    def copy(self, source, target, times=1):
        """Copy a buffer into another of its size, `times` times in one command buffer; the host goes on at once."""
        with reported():
            encoder = self.gpu.create_command_encoder()
            for _ in range(times):
                encoder.copy_buffer_to_buffer(source, 0, target, 0, source.size)
            self.gpu.queue.submit([encoder.finish()])
