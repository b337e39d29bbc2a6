"""What the tester must not be able to do, tried by test cells in a real one: for `python -m autograder doctor`."""

import json

from autograder.assignment.cells import Cell
from autograder.auditor.children import score_all
from autograder.auditor.pairs import Pair
from autograder.sandbox import attempts
from autograder.scoring import Topic

BY_ATTEMPTS = """
def probe():
    import json

    from autograder.sandbox import attempts

    found = list(attempts.PROMISES[{promise!r}](json.loads({targets!r})))
    assert not found, "; ".join(found)


probe()
"""
STARTS = """
def probe():
    import os
    import socket

    def fork():
        if os.fork() == 0:
            os._exit(0)

    tried = {
        "forked": fork,
        "started a program": lambda: os.posix_spawn("/bin/true", ["true"], {}),
        "became a program": lambda: os.execv("/bin/true", ["true"]),
        "made a socket": lambda: socket.socket(socket.AF_UNIX),
        "made two sockets": socket.socketpair,
    }
    for what, attempt in tried.items():
        try:
            attempt()
        except OSError:
            continue
        raise AssertionError(what)


probe()
"""
WRITES = """
def probe():
    import json
    import os

    for folder in [*json.loads({targets!r})["read_only"], "/tmp", "/var/tmp", "/dev/shm", os.getcwd()]:
        path = os.path.join(folder, "left-by-the-doctor")
        for attempt in (lambda: open(path, "w"), lambda: os.mkfifo(path), lambda: os.symlink("/", path)):
            try:
                attempt()
            except OSError:
                continue
            os.unlink(path)
            raise AssertionError("wrote into " + folder)


probe()
"""
LIMITS = """
def probe():
    import resource

    for name in ("CPU", "AS", "NOFILE"):
        assert resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] != resource.RLIM_INFINITY, name
    try:
        bytearray(3 << 30)
    except MemoryError:
        return
    raise AssertionError("got 3 GiB")


probe()
"""
LENDS = """
class Toy:
    lends = ("given",)

    def __init__(self):
        self.given, self.other, self._private = 1, 2, 3

    def method(self):
        return 4


def probe():
    found = lent(Toy())
    assert found == ["given"], f"a lent object also answered {found}"


probe()
"""
ASKS_FOR_MORE = """
def lent(toy):
    fields, found = object.__getattribute__(toy, "__dict__"), []
    for name in ("given", "other", "method", "_private", "__class__", "__init__", "__dict__", "__reduce__", "lends"):
        for way in ("get", "invoke"):
            try:
                fields["hub"].peer().ask({"op": way, "on": fields["number"], "name": name})
            except AttributeError:
                continue
            except TypeError:
                pass
            found += [name] if name not in found else []
    return found
"""


def results(targets):
    """{promise: what could be done after all, "" where nothing}. targets: see doctor.py."""
    told = json.dumps(targets)
    sources = {
        f"tester: {promise}": BY_ATTEMPTS.format(promise=promise, targets=told)
        for promise in attempts.PROMISES
        if promise != "exchange"  # it has a socket there already, and makes none
    }
    sources |= {"tester: programs": STARTS, "tester: writes": WRITES.format(targets=told)}
    sources |= {"tester: limits": LIMITS, "tester: lent objects": LENDS}
    found = {}
    for promise, source in sources.items():
        cells = [Cell("task", 0, "lent"), Cell("solution", 0, "lent", {}, ASKS_FOR_MORE)]
        topic = Topic("doctor", [*cells, Cell("test", 0, "lent", {"points": 1}, source)])
        [(_, run)] = score_all(topic, 1, [("probe", {}, ["lent"], 10, False)], start=Pair)
        found[promise] = run.reasons["test_lent"]
    return found
