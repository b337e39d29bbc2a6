"""The conversation: one side asks and waits, and answers the other's questions while it waits."""

import contextlib
import operator
import types

from . import errors
from .decode import Decoder
from .encode import Encoder
from .remote import remote_method
from .shared import Shared
from .wire import Closed, WireError

MAX_NESTING = 40
MAX_NOTES = 100  # in a row: what could not be sent leaves a note of the changes, and then something else comes
KEPT = ("op", "v", "on")  # parts of a frame that count when they are 0 or empty too
OPERATIONS = {
    "__len__": len,
    "__iter__": iter,
    "__next__": next,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__contains__": operator.contains,
    "__bool__": bool,
    "__reversed__": reversed,
    "__index__": operator.index,
    "__float__": float,
    "__int__": int,
    "__enter__": lambda value: type(value).__enter__(value),
    "__exit__": lambda value, *_: type(value).__exit__(value, None, None, None),
}


class Peer:
    """One end of one connection; a thread has one. The sides take turns, so the last question is answered first."""

    def __init__(self, channel, hub):
        self.channel, self.hub, self.is_trusted = channel, hub, hub.is_trusted
        self.shared = Shared(hub.is_trusted)
        self.encoder, self.decoder = Encoder(self.shared, hub), Decoder(self.shared, hub)
        self.depth = 0
        self.broken = None

    def ask(self, question, arguments=(), named=None):
        """Sends a question, serves until the answer is there; returns it or raises what the other side raised."""
        if self.broken:
            raise Closed(self.broken)
        if self.depth > MAX_NESTING:
            raise RecursionError("calls back and forth are nested too deep")
        self.depth += 1
        try:
            question = {**self.setting(), **question}
            self.send(question, lambda: {"a": self.coded(arguments), "k": self.coded_names(named)})
            return self.listen()
        except WireError as error:
            if self.is_trusted:
                self.broken = str(error)
            raise
        finally:
            self.depth -= 1

    def setting(self):
        """What a call needs to know of the caller's surroundings; the tester's side fills it in."""
        return {}

    def attribute(self, remote, name):
        """An attribute of an object of the other side; a method is remembered."""
        fields = object.__getattribute__(remote, "__dict__")
        found = self.ask({"op": "get", "on": fields["number"], "name": name})
        if found is METHOD:
            fields["methods"].add(name)
            return remote_method(remote, name)
        return found

    def listen(self):
        """Reads frames and answers questions until an answer comes."""
        num_notes = 0
        while True:
            frame = self.receive()
            kind = frame.get("op")
            num_notes = num_notes + 1 if kind == "note" else 0
            if num_notes > MAX_NOTES:
                raise WireError("notes without end")
            if kind == "answer":
                return METHOD if frame.get("method") is True else self.decoder.decode(frame.get("v"))
            if kind == "raised":
                raise errors.decoded(self.hub, frame.get("v"))
            if kind == "end" and not self.is_trusted:
                raise Ended
            if kind != "note":
                self.answer(frame)

    def answer(self, frame):
        """Carries out one question and sends what came of it."""
        self.depth += 1
        try:
            result = self.perform(frame)
            header, make = {"op": "answer"}, lambda: self.coded_result(result)
        except (Ended, WireError):
            raise
        except BaseException as error:
            coded = errors.coded(self.hub, error)
            header, make = {"op": "raised"}, lambda: {"v": coded}
        finally:
            self.depth -= 1
        del frame
        try:
            self.send(header, make)
        except Closed:
            raise
        except WireError as error:
            told = [None, "TypeError", ["builtins.TypeError"], [str(error)]]
            self.send({"op": "raised"}, lambda: {"v": told})

    def perform(self, frame):
        """The result of a question; an object of ours is named by its number."""
        kind, name = frame.get("op"), frame.get("name")
        arguments = self.decoder.parts(frame.get("a", []), 0)
        named = {key: self.decoder.decode(value) for key, value in dict(frame.get("k") or {}).items()}
        if kind == "find":
            return self.find(name)
        value = self.hub.original(frame.get("on"))
        self.check(value, "__call__" if kind == "call" else name)
        if kind == "get":
            return self.get(value, name)
        with self.surroundings(frame):
            if kind == "call":
                return value(*arguments, **named)
            if kind == "invoke":
                return getattr(value, name)(*arguments, **named)
            if kind == "special" and name in OPERATIONS and hasattr(type(value), name):
                return OPERATIONS[name](value, *arguments)
            if kind == "set":
                return self.set(value, name, *arguments)
        raise WireError("an unknown question")

    def check(self, value, name):
        """Raises AttributeError where the other side must not ask that; the tester's side says what."""

    def find(self, name):
        raise WireError("names are looked up in the student's process only")

    def get(self, value, name):
        found = getattr(value, name)
        is_method = isinstance(found, types.MethodType) and found.__self__ is value
        return METHOD if is_method and not isinstance(value, type) else found

    def set(self, value, name, new):
        setattr(value, name, new)

    def surroundings(self, frame):
        return contextlib.nullcontext()

    # frames

    def coded_result(self, result):
        return {"method": True} if result is METHOD else {"v": self.encoder.encode(result)}

    def coded(self, values):
        return [self.encoder.encode(value) for value in values]

    def coded_names(self, named):
        return {key: self.encoder.encode(value) for key, value in (named or {}).items()}

    def send(self, header, make):
        """Sends what changed since the last hand-over, then what `make` codes; where that cannot be, the changes."""
        self.encoder.blobs, self.shared.new_regions = [], []
        entries, regions = self.shared.changes()
        header["u"] = [[key, self.encoder.parts(entry.contents(), 0)] for key, entry in entries]
        header["m"] = [[key, self.encoder.number_of_blob(region.snapshot)] for key, region in regions]
        header["d"] = self.shared.forget()
        mark, num_regions = self.shared.next_key, len(self.shared.new_regions)
        failure = None
        try:
            header.update(make())
        except Exception as error:
            failure = error if isinstance(error, WireError) else WireError(f"a value that cannot cross: {error}")
            header["op"] = "note"
            self.shared.undo(mark)
            del self.shared.new_regions[num_regions:]
        header["n"] = [[key, self.encoder.number_of_blob(data)] for key, data in self.shared.new_regions]
        header["f"], self.hub.released = self.hub.released, []
        self.channel.send({key: value for key, value in header.items() if value or key in KEPT}, self.encoder.blobs)
        if failure:
            raise failure

    def receive(self):
        """The next frame, after the changes that it brings were made here."""
        try:
            frame, self.decoder.blobs = self.channel.receive()
            for key, number in frame.pop("n", []):
                self.shared.add_region(key, self.decoder.bytes(0, number))
            for key, number in frame.pop("m", []):
                self.shared.region(key).replace(self.decoder.bytes(0, number))
            for key, coded in frame.pop("u", []):
                self.shared.get(key)
                self.shared.entries[key].replace(self.decoder.parts(coded, 0))
            for key in frame.pop("d", []):
                self.shared.drop(key)
            self.hub.take_back(frame.pop("f", []))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise WireError(f"a frame that cannot be read: {error}"[:300]) from None
        except MemoryError:
            raise WireError("more than the tester may hold") from None
        return frame


class Ended(BaseException):
    """The conversation is over."""


class Method:
    """What `get` gives for a method: it is called by name."""


METHOD = Method()
