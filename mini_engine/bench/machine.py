"""What a measurement was made on: one description for every record."""

import importlib.metadata
import os
import platform
import subprocess
import time

import torch

# the instructions that decide how fast small products are, as Linux names them
FLAGS = ("avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16")
FLAGS += ("asimd", "asimddp", "i8mm", "bf16", "sve")
PACKAGES = ("numpy", "numba", "triton", "transformers")


def machine(device="cpu"):
    """A dict for JSON: date, device and its name, processor with flags and cores, threads of torch, versions.

    On CUDA also the driver, compute capability and memory. Names no user and no host.
    """
    device = torch.device(device)
    processor, flags = processor_and_flags()
    record = {"date": time.strftime("%Y-%m-%d"), "device": device.type, "name": processor, "processor": processor}
    record |= {"flags": [flag for flag in FLAGS if flag in flags], "num_cores": os.cpu_count()}
    record |= {"num_threads": torch.get_num_threads(), "python": platform.python_version(), "torch": torch.__version__}
    record |= {package: version_of(package) for package in PACKAGES}
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        record |= {
            "name": properties.name,
            "cuda": torch.version.cuda,
            "driver": driver_version(),
            "compute_capability": list(torch.cuda.get_device_capability(device)),
            "memory_bytes": properties.total_memory,
            "l2_bytes": getattr(properties, "L2_cache_size", None),
        }
    return record


def processor_and_flags():
    """(name, set of instruction flags) of the processor; the flags are empty where the system does not list them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            fields = dict(map(str.strip, line.split(":", 1)) for line in file if ":" in line)
    except OSError:
        fields = {}
    name = fields.get("model name") or platform.processor() or platform.machine()
    return name, set(fields.get("flags", fields.get("Features", "")).split())


def version_of(package):
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def driver_version():
    """The NVIDIA driver's version, or None."""
    try:
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20)
        return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout.strip() else None
    except (OSError, subprocess.TimeoutExpired):
        return None
