"""Generators of numbers and the memory of arrays on both sides: compared with what was last sent, and renewed."""

import sys

import numpy as np

from .wire import WireError


class Draws:
    """A NumPy Generator or a random.Random: both sides draw from one sequence."""

    def __init__(self, value):
        self.value = value
        self.snapshot = self.state()

    def state(self):
        if isinstance(self.value, np.random.Generator):
            return plain_state(self.value.bit_generator.state)
        return self.value.getstate()

    def contents(self):
        return [self.state()]

    def changed(self):
        now = self.state()
        if now == self.snapshot:
            return False
        self.snapshot = now
        return True

    def replace(self, parts):
        (state,) = parts
        try:
            if isinstance(self.value, np.random.Generator):
                self.value.bit_generator.state = state
            else:
                self.value.setstate(state)
        except (TypeError, ValueError, KeyError) as error:
            raise WireError(f"not a state of a generator: {error}") from None
        self.snapshot = self.state()

    def is_ours_alone(self):
        return sys.getrefcount(self.value) <= 2


def plain_state(state):
    """The state with its arrays as lists, so that it can be compared and sent."""
    if isinstance(state, dict):
        return {key: plain_state(value) for key, value in state.items()}
    return state.tolist() if isinstance(state, np.ndarray | np.generic) else state


class Region:
    """A stretch of memory [low, high) that arrays are views of; `array` is what covers it, in bytes where it can be."""

    def __init__(self, array, root=None):
        self.array, self.root = array, array if root is None else root
        self.is_dense = array.dtype == np.uint8 and array.ndim == 1 and array.flags.c_contiguous
        self.low, self.high = extent(array)
        self.nbytes = array.nbytes
        self.snapshot = self.contents()

    def contents(self):
        return self.array.tobytes()

    def changed(self):
        now = self.array.tobytes()
        if now == self.snapshot:
            return False
        self.snapshot = now
        return True

    def replace(self, data):
        if len(data) != self.nbytes:
            raise WireError("memory of another size")
        if data == self.snapshot:
            return
        if not self.array.flags.writeable:
            raise WireError("this array is read-only")
        new = np.frombuffer(data, self.array.dtype)
        self.array[...] = new.reshape(self.array.shape)
        self.snapshot = bytes(data)

    def is_ours_alone(self):
        if self.root.base is not None:
            return False  # part of something that others may hold
        return sys.getrefcount(self.root) <= 3

    def view(self, dtype, shape, strides, offset):
        """The array of that layout in this memory. Raises WireError where it would leave it.

        An array with gaps crossed in C order: a part of it comes back as a copy, the whole as itself.
        """
        try:
            if self.is_dense:
                return np.ndarray(shape, dtype, self.array, offset, strides)
            copy = np.frombuffer(bytearray(self.contents()), np.uint8)
            found = np.ndarray(shape, dtype, copy, offset, strides)
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise WireError(f"not a view of that memory: {error}") from None
        same = (found.shape, found.dtype) == (self.array.shape, self.array.dtype)
        return self.array if same and found.flags.c_contiguous and offset == 0 else found


def extent(array):
    """(low, high): the addresses between which the elements of an array lie."""
    low = high = array.__array_interface__["data"][0]
    for count, step in zip(array.shape, array.strides, strict=True):
        if step < 0:
            low += (count - 1) * step
        else:
            high += (count - 1) * step
    return low, high + array.itemsize


def in_bytes(array):
    """The memory of an array without gaps as bytes, in its own order; None where it has gaps or repeats."""
    ordered = array.transpose(np.argsort([-step for step in array.strides], kind="stable")) if array.ndim else array
    if not ordered.flags.c_contiguous:
        return None
    return ordered.reshape(-1).view(np.uint8)
