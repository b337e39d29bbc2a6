"""Takes the saved outputs out of a notebook that is too big to be read with them: they are no part of an answer."""

import mmap
import re

MAX_TOKENS = 5_000_000  # about five seconds
TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["{}\[\]]', re.S)  # a string, or else what gives the JSON its shape
OF_A_CELL = (3, 5)  # how deep in brackets the keys of a cell are, in nbformat 4 and 3


def without_outputs(path, max_bytes):
    """The bytes of a notebook with `[]` for the outputs of each cell; None where more than `max_bytes` would be left.

    Nothing of the outputs comes into memory, and nothing is looked at but strings and brackets.
    """
    kept, left, start, depth, skipped = [], max_bytes, 0, 0, 0
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for count, found in enumerate(TOKEN.finditer(data)):
            token = data[found.start()]
            if count > MAX_TOKENS or found.end() - found.start() == 1 and token == ord('"'):  # a string without an end
                return None
            if token in b"[{":
                depth += 1
            elif token in b"]}":
                if depth == skipped:
                    start, skipped = found.start(), 0
                depth -= 1
            elif not skipped and depth in OF_A_CELL and (opening := opens_outputs(data, found)):
                kept.append(data[start:opening])
                left, skipped = left - len(kept[-1]), depth + 1
                if left < 0:
                    return None
        return b"".join([*kept, data[start:]]) if not skipped and len(data) - start <= left else None


def opens_outputs(data, found):
    """Where the list of a key "outputs" has just been opened, 0 where this string is no such key."""
    if found[0] != b'"outputs"':
        return 0
    after = re.match(rb"\s*:\s*\[", data[found.end() : found.end() + 100])
    return found.end() + after.end() if after else 0
