"""Read and write safetensors files: eight bytes of header length, a JSON header, then raw little-endian arrays.

Format: github.com/huggingface/safetensors, README. Reading maps the file into memory: no byte is read before use.
"""

import contextlib
import json
import os
from math import prod
from pathlib import Path

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "U8": "u1", "I8": "i1"}
NAMES = {np.dtype(code): name for name, code in DTYPES.items() if name != "BF16"}
MAX_HEADER_BYTES = 100_000_000


def widen_bfloat16(bits):
    """float32 values of bfloat16 numbers given as uint16: bfloat16 is the upper half of a float32."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def read_safetensors(path):
    """(tensors, metadata): a dict of arrays by name and the file's `__metadata__` dict of strings.

    Arrays are views of the memory-mapped file, private to this process when written to; bfloat16 ones, which NumPy
    lacks, become float32 copies. Raises ValueError where the file is damaged.
    """
    path = Path(path)
    try:
        data = np.memmap(path, mode="c")
        header_bytes = int.from_bytes(data[:8].tobytes(), "little")
        if header_bytes > min(MAX_HEADER_BYTES, len(data) - 8):
            raise ValueError(f"its header of {header_bytes} bytes does not fit")
        header = json.loads(data[8 : 8 + header_bytes].tobytes())
        metadata = header.pop("__metadata__", {})
        body = data[8 + header_bytes :]
        return {name: _view(body, name, entry) for name, entry in header.items()}, metadata
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} is not a usable safetensors file: {error}") from None


def _view(body, name, entry):
    start, end = entry["data_offsets"]
    dtype = np.dtype(DTYPES[entry["dtype"]])
    if not 0 <= start <= end <= len(body):
        raise ValueError(f"it ends before tensor {name} does")
    if end - start != prod(entry["shape"]) * dtype.itemsize:
        raise ValueError(f"tensor {name} has {end - start} bytes, its shape needs another number")
    # a plain ndarray: the memmap subclass would make every slice cost microseconds more
    array = np.frombuffer(body, dtype, prod(entry["shape"]), start).reshape(entry["shape"])
    return widen_bfloat16(array) if entry["dtype"] == "BF16" else array


def write_safetensors(path, tensors, metadata=None):
    """Write a dict of arrays atomically: readers see the old file or the whole new one, never a part.

    The header is padded so that the arrays start at a multiple of 64 bytes.
    """
    header, offset = {"__metadata__": dict(metadata or {})}, 0
    for name, array in tensors.items():
        header[name] = {
            "dtype": NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    with replacing(path) as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for array in tensors.values():
            file.write(np.ascontiguousarray(array).data)


@contextlib.contextmanager
def replacing(path):
    """A binary file to write, moved to `path` when the block ends well and deleted when it does not."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        with open(temporary, "wb") as file:
            yield file
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
