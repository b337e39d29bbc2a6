"""What goes from one machine to another: the submission as an archive, and which version of the course grades it."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def fingerprint(assignment):
    """A digest of what decides the scores: the grader's code, its configuration, the assignment. All must agree."""
    digest = hashlib.sha256()
    wanted = ["nbgrader_config.py", "autograder/**/*.py", f"solutions/{assignment}/*", f"notebooks/{assignment}/*"]
    for pattern in wanted:
        for path in sorted(ROOT.glob(pattern)):
            relative = path.relative_to(ROOT).as_posix()
            if path.is_file() and not relative.startswith(("autograder/audit/", "autograder/demo/")):
                digest.update(relative.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def pack(base, parts, max_file_bytes):
    """Those paths below `base` which exist, as the bytes of a tar archive; a link goes in as a link.

    Files over `max_file_bytes` are left out: the intake would not take them either.
    """

    def small(member):
        return None if member.size > max_file_bytes else member

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for part in parts:
            if os.path.lexists(base / part):
                archive.add(base / part, arcname=part, filter=small)
    return buffer.getvalue()


def unpack(archive, base):
    """The reverse of `pack`; the archive is our own, so its members lie below `base`."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as members:
        members.extractall(base, filter="fully_trusted")
