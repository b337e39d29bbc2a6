"""Which device and number format to use here, and in one line what is missing and which path still works."""

import ctypes
import importlib.util
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import torch

# the oldest GPUs that the kernels and graphs are written for (Volta), and the first with bfloat16 units (Ampere)
MIN_CAPABILITY, BFLOAT16_CAPABILITY = (7, 0), (8, 0)


@dataclass
class DeviceChoice:
    """Where to compute and in which dtype; each note is one line: what is missing, and what happens instead."""

    device: torch.device
    dtype: torch.dtype
    notes: list[str] = field(default_factory=list)


def why_no_cuda():
    """None where CUDA can be used, else the reason in one line."""
    if torch.version.cuda is None:
        return "this torch was built without CUDA"
    if not torch.cuda.is_available():
        return f"torch was built for CUDA {torch.version.cuda}, but finds no GPU or a driver that is too old for it"
    name, found = torch.cuda.get_device_name(), torch.cuda.get_device_capability()
    if found < MIN_CAPABILITY:
        return f"{name} has compute capability {found[0]}.{found[1]}, at least 7.0 is needed"
    if (arch := f"sm_{found[0]}{found[1]}") not in (known := torch.cuda.get_arch_list()):
        # code for an older chip of the same generation runs too
        if not any(other.startswith(f"sm_{found[0]}") and other <= arch for other in known):
            return f"this torch has no code for {name} ({arch}), only for {', '.join(known) or 'none'}"
    return None


def choose_device(wanted=None):
    """The device to use: CUDA where it works, else the CPU, as a DeviceChoice. It never raises for wanted=None.

    wanted: None, "cpu" or "cuda". float32 on a CPU; on CUDA bfloat16, or float16 where that is not supported.
    Raises ValueError, in one line, when wanted is "cuda" and cannot be had, or is neither.
    """
    kind = None if wanted is None else str(wanted).split(":")[0]
    if kind not in (None, "cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {wanted}")
    if kind == "cpu":
        return DeviceChoice(torch.device("cpu"), torch.float32)
    if reason := why_no_cuda():
        if kind == "cuda":
            raise ValueError(f"no usable CUDA device: {reason}; with --device cpu everything here runs too")
        note = f"no usable CUDA device: {reason}. Everything runs on the CPU in float32, graphs as plain static steps."
        return DeviceChoice(torch.device("cpu"), torch.float32, [note])
    choice = DeviceChoice(torch.device(wanted or "cuda"), torch.bfloat16)
    if torch.cuda.get_device_capability() < BFLOAT16_CAPABILITY or not torch.cuda.is_bf16_supported():
        choice.dtype = torch.float16
        choice.notes.append(f"{torch.cuda.get_device_name()} has no bfloat16 units: float16 is used instead.")
    if importlib.util.find_spec("triton") is None:
        choice.notes.append("Triton is not installed: int8 and int4 layers dequantize and multiply in torch, slowly.")
    return choice


def argmax(logits):
    """The index of the largest logit along the last axis, an integer tensor.

    On a CPU by NumPy: torch wakes its threads for a whole vocabulary, and these then wait for more work by turning in a
    loop, on the cores that the next step needs.
    """
    if logits.device.type == "cpu" and logits.dtype in (torch.float32, torch.float64):
        return torch.from_numpy(np.asarray(logits.numpy().argmax(-1)))
    return logits.argmax(-1)


def give_up_threads():
    """End the threads that this one has made for parallel work; for a thread that will do none any more.

    While a process has more such threads than cores, libgomp lets each of them sleep at once instead of wait a moment
    for the next product, and a step of many products takes half as long again.
    """
    with suppress(AttributeError, OSError, TypeError):  # another OpenMP, or none in sight
        ctypes.CDLL(None).omp_pause_resource_all(2)  # hard


def free_bytes(device):
    """Bytes that can still be taken on a device; 0 where the system does not say."""
    if torch.device(device).type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo", encoding="utf-8") as file:  # free pages and those of the file cache
            return next(1024 * int(line.split()[1]) for line in file if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return 0


def require_memory(num_bytes, device, what="this"):
    """Raise ValueError, in one line with the way out, where num_bytes cannot be taken on the device."""
    free = free_bytes(device)
    if free and num_bytes > free:
        raise ValueError(
            f"{what} needs {num_bytes / 1e9:.1f} GB, {free / 1e9:.1f} GB are free on {device}: take fewer layers or "
            "a smaller batch"
        )


def sent(tensor, device):
    """A tensor of the host on a device; from pinned memory, so that the host goes on while it travels to a GPU."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)
