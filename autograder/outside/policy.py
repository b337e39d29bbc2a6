"""The tester's end of a connection: what it lends to a student's process, and what that may do with it."""

import collections
import dataclasses
import sys
import threading
import warnings

import numpy as np

from autograder.scoring import describe

from . import lending
from .peer import Peer
from .remote import SPECIAL, Hub
from .tried import Tried
from .wire import Channel, WireError

USUAL_ERRORS = np.geterr()
MAX_THREADS = 64


class TesterHub(Hub):
    """Lends only what has a list of names that it answers, see lending.py."""

    def __init__(self, listener):
        super().__init__(is_trusted=True)
        self.listener = listener
        self.peers = []
        self.trace = False
        self.tried = Tried()

    def check_lending(self, value):
        if lending.answers_of(value) is None:
            raise WireError(
                f"a test may not pass a {type(value).__name__} to a student's function: "
                "its class does not say what it lends, see autograder/outside/lending.py"
            )

    def specials(self, value):
        return [name for name in super().specials(value) if name in lending.answers_of(value)]

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
    """Answers what the list of a lent object names, never a private name."""

    def ask(self, question, arguments=(), named=None):
        """As Peer.ask; what the test itself asks, not a toy of its that was called back, is noted."""
        if self.depth or question["op"] not in ("call", "invoke", "get", "set", "special"):
            return super().ask(question, arguments, named)
        tried = self.hub.tried
        tried.asked(question, arguments, named)
        try:
            found = super().ask(question, arguments, named)
        except Exception as error:
            tried.error = describe(error)
            raise
        is_theirs = self.hub.is_remote(found)
        tried.answered(question, found, object.__getattribute__(found, "__dict__")["number"] if is_theirs else None)
        return found

    def setting(self):
        found = {}
        if np.geterr() != USUAL_ERRORS:
            found["np"] = np.geterr()
        if warnings.filters and warnings.filters[0][1:] == (None, Warning, None, 0):
            found["warn"] = warnings.filters[0][0]
        if self.hub.trace:
            found["trace"] = True
        return found

    def check(self, value, name):
        answers = lending.answers_of(value) or ()
        if not isinstance(name, str) or not name.isidentifier():
            raise WireError("a name that no attribute has")
        if name not in answers or (name.startswith("_") and name not in SPECIAL):
            shown = ", ".join(sorted(word for word in answers if not word.startswith("_")))
            raise AttributeError(
                f"{type(value).__name__!r} object has no attribute {name!r} in a test"
                + (f": it answers {shown}" if shown else "")
            )

    def get(self, value, name):
        found = super().get(value, name)
        torch = sys.modules.get("torch")
        if torch is not None and isinstance(value, torch.nn.Module) and isinstance(found, torch.Tensor):
            return found.detach().clone()  # else a student could change the weights that a test computes with
        is_toy = lending.home(type(value)) in lending.TEST_MODULES and not dataclasses.is_dataclass(value)
        if is_toy and isinstance(found, list | dict | set | collections.deque):
            return Copy(found)
        return found

    def set(self, value, name, new):
        old = getattr(value, name, None)
        if lending.home(type(value)) != "mini_engine" or callable(old) or callable(new):
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
