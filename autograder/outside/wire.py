"""Frames: two lengths, a JSON header, then raw bytes (those of arrays). The same code on both sides."""

import json
import struct

MAX_HEADER_BYTES = 32 << 20
MAX_BODY_BYTES = 256 << 20
MAX_BLOBS = 60_000  # the byte strings of a vocabulary are one each
MAX_FRAMES = 2_000_000  # of one connection, and their bytes: a call of an honest answer is two frames
MAX_RECEIVED_BYTES = 16 << 30
CHUNK = 1 << 16
LENGTHS = struct.Struct("!II")


class WireError(Exception):
    """What arrived breaks the rules of the exchange, or cannot be sent by them."""


class Closed(WireError):
    """The other side is gone."""


class Channel:
    """A connected socket that carries frames."""

    def __init__(self, sock):
        self.sock = sock
        self.waiting = bytearray()
        self.num_frames = self.num_bytes = 0

    def send(self, header, blobs=()):
        """Sends a header (a dict that JSON can hold) and the blobs (bytes-like). Raises WireError when too large."""
        sizes = [len(blob) for blob in blobs]
        text = json.dumps({**header, "blobs": sizes} if sizes else header).encode("ascii")
        body = sum(sizes)
        if len(text) > MAX_HEADER_BYTES or body > MAX_BODY_BYTES or len(sizes) > MAX_BLOBS:
            raise WireError(f"a value of {(len(text) + body) >> 20} MiB in {len(sizes)} pieces is too large to cross")
        try:
            self.sock.sendall(b"".join([LENGTHS.pack(len(text), body), text, *blobs]))
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self):
        """(header, blobs) of the next frame; blobs are memoryviews. Raises Closed at the end, WireError on nonsense."""
        header_bytes, body_bytes = LENGTHS.unpack(self.read(LENGTHS.size))
        if header_bytes > MAX_HEADER_BYTES or body_bytes > MAX_BODY_BYTES:
            raise WireError("a frame is too large")
        self.num_frames, self.num_bytes = self.num_frames + 1, self.num_bytes + header_bytes + body_bytes
        if self.num_frames > MAX_FRAMES or self.num_bytes > MAX_RECEIVED_BYTES:
            raise WireError("too much was sent over one connection")
        text, body = self.read(header_bytes), memoryview(self.read(body_bytes))
        try:
            header = json.loads(text)
        except (ValueError, RecursionError, MemoryError) as error:
            raise WireError(f"a header is not JSON: {type(error).__name__}") from None
        if not isinstance(header, dict):
            raise WireError("a header is not an object")
        sizes = header.pop("blobs", [])
        whole = isinstance(sizes, list) and len(sizes) <= MAX_BLOBS and all(type(n) is int and n >= 0 for n in sizes)
        if not whole or sum(sizes) != body_bytes:
            raise WireError("the blobs of a frame do not have the sizes that its header says")
        blobs, start = [], 0
        for size in sizes:
            blobs.append(body[start : start + size])
            start += size
        return header, blobs

    def read(self, count):
        """The next bytes; what comes with them is kept for the next call."""
        while len(self.waiting) < count <= CHUNK:
            self.waiting += self.receive_some()
        data = bytearray(self.waiting[:count])
        del self.waiting[:count]
        if count > len(data):
            start = len(data)
            data.extend(bytes(count - start))
            with memoryview(data) as view:
                while start < count:
                    start += self.receive_into(view[start:])
        return data

    def receive_into(self, view):
        try:
            received = self.sock.recv_into(view)
        except OSError as error:
            raise Closed(str(error)) from None
        if not received:
            raise Closed("the other side closed the connection")
        return received

    def receive_some(self):
        try:
            found = self.sock.recv(CHUNK)
        except OSError as error:
            raise Closed(str(error)) from None
        if not found:
            raise Closed("the other side closed the connection")
        return found

    def close(self):
        self.sock.close()
