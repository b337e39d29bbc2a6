"""Safetensors files as NumPy arrays, through the safetensors package."""

import numpy as np
import safetensors
import safetensors.numpy

from mini_engine.files.fetch import replacing


def read_safetensors(path):
    """(tensors, metadata): a dict of arrays by name and the file's `__metadata__` dict of strings.

    The file is mapped into memory: no byte is read before use, and writing changes this process's view only. bfloat16
    tensors, which NumPy lacks, become float32 copies. Raises ValueError where the file is damaged.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:  # as "numpy" it would copy everything
            return {name: _as_array(file.get_tensor(name)) for name in file.keys()}, dict(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is not a usable safetensors file: {error}") from None


def _as_array(tensor):
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def write_safetensors(path, tensors, metadata=None):
    """Write a dict of arrays atomically: readers see the old file or the whole new one, never a part."""
    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with replacing(path) as file:
        safetensors.numpy.save_file(contiguous, file.name, dict(metadata or {}))
