"""The ceilings of the device at hand, measured: bandwidth, FLOP/s, and what launching one kernel costs."""

import os
import statistics
from dataclasses import asdict, dataclass

import torch
from torch.torch_version import TorchVersion

from mini_engine.bench.peers import quiet_stderr
from mini_engine.bench.timing import synchronize, time_calls
from mini_engine.device import free_bytes
from mini_engine.gpu.graphs import capture

# (bytes of the copy, side of the square matmul, tiny kernels): far beyond the caches, or over in a second
SIZES = {"cuda": (4 << 30, 8192, 1000), "cpu": (1 << 28, 1024, 1000), "quick": (1 << 24, 256, 100)}
TINY_WIDTH = 64


@dataclass
class Ceilings:
    """bandwidth: bytes/s of a copy or a sum, the faster; matmul_flops: FLOP/s by dtype; launches: seconds a kernel.

    graph_launch_s is that of a kernel inside a CUDA graph; on a CPU it equals launch_s, since nothing is recorded.
    """

    bandwidth: float
    matmul_flops: dict[str, float]
    launch_s: float
    graph_launch_s: float

    def as_dict(self):
        """For JSON."""
        return asdict(self)


def sizes(device, quick=False):
    """(copy bytes, matmul side, kernels) for a device; the copy takes at most a fifth of the free memory."""
    num_bytes, side, num_kernels = SIZES["quick" if quick else torch.device(device).type]
    return min(num_bytes, free_bytes(device) // 5 or num_bytes), side, num_kernels


def copy_bandwidth(device, num_bytes=None, quick=False):
    """Bytes per second of a copy of num_bytes, read and written: 2 * num_bytes over the median time."""
    num_bytes = num_bytes or sizes(device, quick)[0]
    source = torch.ones(num_bytes // 4, device=device)
    target = torch.empty_like(source)
    return 2 * source.nbytes / statistics.median(time_calls(lambda: target.copy_(source), device, 10))


def read_bandwidth(device, num_bytes=None, quick=False):
    """Bytes per second of a sum, which only reads, as a decode step does with its weights."""
    source = torch.ones((num_bytes or sizes(device, quick)[0]) // 4, device=device)
    return source.nbytes / statistics.median(time_calls(source.sum, device, 10))


def matmul_flops(device, dtype, size=None, quick=False):
    """FLOP/s of a product of two random square matrices of this dtype (zeros would run cooler, hence faster)."""
    size = size or sizes(device, quick)[1]
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    out = torch.empty(size, size, device=device, dtype=dtype)
    return 2 * size**3 / statistics.median(time_calls(lambda: torch.matmul(a, b, out=out), device, 5))


def launch_cost(device, num_kernels=None, quick=False):
    """{"eager_s", "graph_s"}: seconds per kernel of num_kernels tiny ones in a row, launched one by one and as a graph.

    The kernels are those of a decoder layer, whose launches cost more than an addition's: a norm, a product, an
    activation, a sum. graph_s is None on a CPU, which has no graphs.
    """
    num_kernels = num_kernels or sizes(device, quick)[2]
    x, weight = torch.zeros(1, TINY_WIDTH, device=device), torch.zeros(TINY_WIDTH, TINY_WIDTH, device=device)
    layer = (
        lambda: torch.nn.functional.rms_norm(x, (TINY_WIDTH,)),
        lambda: x @ weight,
        lambda: torch.nn.functional.silu(x),
        lambda: x + x,
    )

    def tiny():
        for i in range(num_kernels):
            layer[i % len(layer)]()

    result = {"eager_s": statistics.median(time_calls(tiny, device, 5)) / num_kernels, "graph_s": None}
    if torch.device(device).type == "cuda":
        replay = capture(tiny, device)
        result["graph_s"] = statistics.median(time_calls(replay.replay, device, 5)) / num_kernels
    return result


def measure_ceilings(device, quick=False):
    """The Ceilings of a device; seconds on a CPU, less on a GPU. quick: sizes for a test, not for a claim."""
    kinds = [torch.float32] if torch.device(device).type == "cpu" else [torch.bfloat16, torch.float16, torch.float32]
    launch = launch_cost(device, quick=quick)
    return Ceilings(
        max(copy_bandwidth(device, quick=quick), read_bandwidth(device, quick=quick)),
        {str(dtype).removeprefix("torch."): matmul_flops(device, dtype, quick=quick) for dtype in kinds},
        launch["eager_s"],
        launch["graph_s"] or launch["eager_s"],
    )


def count_kernels(function, device):
    """Kernels that one call starts on a GPU, copies and fills included; on a CPU the operators that compute.

    On a CPU those are the operators that call no other one; views and allocations are not counted.
    """
    from torch.profiler import ProfilerActivity, profile

    on_gpu = torch.device(device).type == "cuda"
    if on_gpu and TorchVersion(torch.version.cuda or "0") < "12.6":
        # before 12.6 CUPTI breaks when torn down beside a graph; torch's profiler looks after its own graphs only
        os.environ |= {"DISABLE_CUPTI_LAZY_REINIT": "1", "TEARDOWN_CUPTI": "0"}
    function()
    synchronize(device)
    with quiet_stderr(), profile(activities=[ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * on_gpu) as record:
        function()
        synchronize(device)
    events = record.events()
    if on_gpu:
        return sum(event.device_type == torch.autograd.DeviceType.CUDA for event in events)
    return sum(computes(event) and not any(map(computes, event.cpu_children)) for event in events)


def computes(event):
    """Whether a profiler's event is an operator that reads or writes numbers."""
    return "::" in event.name and event.name.split("::")[1] not in FREE_OPERATORS


FREE_OPERATORS = frozenset(
    "empty empty_strided empty_like as_strided view reshape transpose slice select expand unsqueeze squeeze alias "
    "detach resolve_conj resolve_neg chunk split narrow t permute _unsafe_view unfold numpy_T to lift_fresh "
    "resize_ set_ _reshape_alias is_nonzero item _local_scalar_dense".split()
)
