"""Compiling the kernels: options, the on-disk cache of compiled code, the progress bar, threads."""

import functools
import hashlib
import os
import shutil
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import numba
import torch
from numba.core import event
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from tqdm import tqdm

from mini_engine.files.fetch import cache_folder

# no fastmath: without it LLVM neither reorders a sum nor leaves anything out
OPTIONS = {"boundscheck": False, "error_model": "numpy", "nogil": True}
# Numba's workqueue layer ends the process when two threads enter compiled code, so only one may
ONE_AT_A_TIME = threading.Lock()
KEEP_S = 30 * 24 * 3600
NUM_PASSES = 2400  # of the compiler for one whole forward pass, about: the bar's length


def kernel(function):
    """A function that other kernels call; it is compiled with the entry that uses it."""
    return numba.njit(**OPTIONS)(function)


def parallel(function):
    """A kernel whose loops over numba.prange are shared among the threads."""
    return numba.njit(parallel=True, **OPTIONS)(function)


def entry(function):
    """A function that Python calls: compiled once for each machine and number format, with a bar, and kept on disk.

    Its last argument is the number of parts that its products are split into, each for a thread.
    """
    compiled = numba.njit(**OPTIONS)(function)
    compiled._cache = EngineCache(function)

    @functools.wraps(function)
    def call(*args):
        with ONE_AT_A_TIME, ANNOUNCER:
            numba.set_num_threads(min(args[-1], numba.config.NUMBA_NUM_THREADS))
            return compiled(*args)

    call.compiled = compiled
    return call


def max_threads():
    """Threads that a product is split over at most: torch's number, as far as Numba has so many."""
    return max(1, min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


def num_threads():
    """Threads for the next pass: as many as there are cores that nobody else has used of late.

    All threads meet after every product, so each waits for the one that has no core: with a single busy neighbour on
    two cores a step on two threads takes ten times as long as on one. No bit of a result depends on it.
    """
    return max(1, min(max_threads(), round(NUM_CORES - NEIGHBOURS.busy_cores())))


NUM_CORES = os.cpu_count() or 1


class Neighbours:
    """How many cores other processes keep busy: the machine's processor time without our own, between two looks.

    Counting who runs at one moment would count our own threads, which wait for the next product by turning in a loop.
    """

    def __init__(self, every_s=0.1):
        self.every_s, self.last_look, self.busy = every_s, None, 0.0

    def busy_cores(self):
        """The average since the look before, at most every_s old; 0 where the system does not say."""
        now = time.monotonic()
        if self.last_look is None or now - self.last_look[0] >= self.every_s:
            look = now, others_seconds()
            if self.last_look is not None:
                self.busy = (look[1] - self.last_look[1]) / (now - self.last_look[0])
            self.last_look = look
        return self.busy


def others_seconds():
    """Processor seconds that all other processes have used since the machine started; 0 where it does not say."""
    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, interrupts, soft, stolen = map(int, file.readline().split()[1:9])
        ticks = user + nice + system + interrupts + soft + stolen
        return ticks / os.sysconf("SC_CLK_TCK") - time.process_time()
    except (OSError, ValueError):
        return 0.0


NEIGHBOURS = Neighbours()


class Announcer(event.Listener):
    """Says once what takes so long when the compiler starts inside it, and moves a bar with each of its passes."""

    def __init__(self):
        self.is_on, self.bar = False, None
        event.register("numba:compile", self)
        event.register("numba:run_pass", self)

    def __enter__(self):
        self.is_on = True

    def __exit__(self, *error):
        self.is_on = False
        if self.bar is not None:
            self.bar.close()
            self.bar = None

    def on_start(self, happened):
        """A function is about to be compiled: it was not found on disk."""
        if self.is_on and happened.kind == "numba:compile" and self.bar is None:
            say("compiling the kernels for this processor: once, about half a minute")
            # disable=None: no bar where stderr is no terminal
            self.bar = tqdm(total=NUM_PASSES, leave=False, bar_format="{bar} {elapsed}", disable=None)

    def on_end(self, happened):
        """A pass has ended."""
        if happened.kind == "numba:run_pass" and self.bar is not None:
            self.bar.update()


ANNOUNCER = Announcer()


@functools.cache
def say(line):
    """Print a line on stderr, once in a process."""
    print(line, file=sys.stderr)


@functools.cache
def source_stamp():
    """A checksum of everything in this folder: an entry holds the code of kernels from several files."""
    sources = b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
    return hashlib.sha256(sources).hexdigest()


class EngineFolder(_CacheLocator):
    """Numba's cache of one function lies in the engine's own cache folder, and nowhere else."""

    @classmethod
    def from_function(cls, function, path):
        return cls()

    def get_cache_path(self):
        return str(cache_folder() / "compiled" / source_stamp()[:16])

    def get_source_stamp(self):
        return source_stamp()

    def get_disambiguator(self):
        return "cpu"


class EngineCacheImpl(CompileResultCacheImpl):
    """Numba's own way to keep compiled code, in our folder."""

    _locator_classes = (EngineFolder,)


class EngineCache(FunctionCache):
    """Compiled code on disk. A folder that cannot be written is no error: what it holds is used all the same."""

    _impl_class = EngineCacheImpl

    def load_overload(self, signature, target):
        """The compiled code, or None where there is none that could be used."""
        with suppress(OSError):
            os.utime(self.cache_path)  # still in use: see forget_old_code
        try:
            return super().load_overload(signature, target)
        except Exception as error:  # a damaged file can raise anything
            say(f"cannot use the compiled code in {self.cache_path}, compiling again: {error!r}")
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, signature, data):
        """Keep the compiled code, or say in one line that the next start will have to compile again."""
        try:
            super().save_overload(signature, data)
            forget_old_code(Path(self.cache_path).parent)
        except OSError as error:
            say(f"cannot keep compiled code, so the next start compiles again: {error}")


def forget_old_code(folder):
    """Remove the code of versions of the engine that nobody has started for KEEP_S."""
    for version in folder.iterdir():
        if time.time() - version.stat().st_mtime > KEEP_S:
            shutil.rmtree(version, ignore_errors=True)
