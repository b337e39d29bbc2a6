"""The tester's end of a connection: what it lends to a stranger, and what the stranger may do with it."""

import collections
import dataclasses
import functools
import threading
import types
import warnings

import numpy as np

from .peer import Peer
from .remote import Hub
from .wire import Channel, WireError

TEST_MODULES = {"__test__", "__main__"}  # test cells and set-up cells
FUNCTIONS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, types.MethodWrapperType)
ITERATORS = tuple(
    {type(iter(made)) for made in ([], (), {}, {}.items(), {}.values(), set(), "", b"", range(0), bytearray())}
    | {types.GeneratorType, zip, map, filter, enumerate, reversed}
)
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))
GENERATOR_METHODS = {"close", "send"}
USUAL_ERRORS = np.geterr()
MAX_THREADS = 64


def home(value):
    """The first part of the name of the module that a class or function is from."""
    return str(getattr(value, "__module__", "")).split(".")[0]


def is_course_code(value):
    return home(value) in TEST_MODULES or home(value) == "mini_engine"


def may_lend(value):
    """What a test may hand to a stranger: code of the course, its objects, and what iterates over plain things."""
    if isinstance(value, types.MethodType):
        return may_lend(value.__self__) if not isinstance(value.__self__, type) else is_course_code(value.__self__)
    if isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
        owner = getattr(value, "__self__", None)
        return isinstance(owner, list | dict | set | collections.deque | str | np.ndarray) or type(owner) in ITERATORS
    if isinstance(value, types.FunctionType | type):
        return is_course_code(value)
    if isinstance(value, functools.partial):
        return may_lend(value.func)
    if type(value) in ITERATORS + VIEWS or home(type(value)) == "itertools":
        return True
    return is_course_code(type(value)) or isinstance(value, types.SimpleNamespace) or is_tensor_module(value)


def is_tensor_module(value):
    return any(
        f"{cls.__module__}.{cls.__qualname__}" == "torch.nn.modules.module.Module" for cls in type(value).__mro__
    )


class TesterHub(Hub):
    """Lends only what `may_lend` allows."""

    def __init__(self, listener):
        super().__init__(is_trusted=True)
        self.listener = listener
        self.peers = []
        self.trace = False

    def check_lending(self, value):
        if not may_lend(value):
            raise WireError(f"a test may not pass a {type(value).__name__} to a student's function")

    def take_threads(self):
        """Accepts further connections, those of the student's threads, and serves each in a thread."""
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if len(self.peers) < MAX_THREADS:
                threading.Thread(target=self.serve_thread, args=(sock,), daemon=True).start()
            else:
                sock.close()

    def serve_thread(self, sock):
        peer = self.local.peer = TesterPeer(Channel(sock), self)
        self.peers.append(peer)
        try:
            peer.listen()
        except BaseException as error:  # the thread that called is lost with its connection
            peer.broken = str(error)
        finally:
            self.peers.remove(peer)
            sock.close()


class TesterPeer(Peer):
    """Public names of lent objects, no private ones; what a test cell defined keeps its attributes."""

    def setting(self):
        found = {}
        if np.geterr() != USUAL_ERRORS:
            found["np"] = np.geterr()
        if warnings.filters and warnings.filters[0][1:] == (None, Warning, None, 0):
            found["warn"] = warnings.filters[0][0]
        if self.hub.trace:
            found["trace"] = True
        return found

    def member(self, value, name):
        if not isinstance(name, str) or not name.isidentifier():
            raise WireError("a name that no attribute has")
        if name.startswith("_"):
            raise AttributeError(f"{type(value).__name__!r} object has no attribute {name!r}")
        if isinstance(value, FUNCTIONS + ITERATORS) and not (
            isinstance(value, types.GeneratorType) and name in GENERATOR_METHODS
        ):
            raise AttributeError(f"{type(value).__name__!r} object has no attribute {name!r}")
        return getattr(value, name)

    def get(self, value, name):
        found = super().get(value, name)
        is_toy = home(type(value)) in TEST_MODULES and not dataclasses.is_dataclass(value)
        if is_toy and isinstance(found, list | dict | set | collections.deque):
            return Copy(found)
        return found

    def set(self, value, name, new):
        old = self.member(value, name) if hasattr(value, name) else None
        if home(type(value)) != "mini_engine" or callable(old) or callable(new):
            raise AttributeError(f"{name!r} of this object cannot be set here")
        setattr(value, name, new)

    def coded_result(self, result):
        if isinstance(result, Copy):
            return {"v": self.encoder.copied(result.value)}
        return super().coded_result(result)


@dataclasses.dataclass
class Copy:
    """A list or dict of a toy object: the student gets a copy, so that what the test counts cannot be changed."""

    value: object
