"""Unpacks what an LMS gives: only notebooks, never outside of the folder, never more than fits."""

import shutil
import tarfile
import zipfile
import zlib
from pathlib import PurePosixPath

from autograder.intake.reading import leave_problem

MAX_TOTAL_BYTES = 8 << 30  # out of one archive that you put there, with all that is packed in it
MAX_ENTRY_BYTES = 256 << 20  # out of each thing in it, which is one student's
MAX_DEPTH = 3
MAX_FILES = (50_000, 1_000)  # in an archive that you put there, in one of a student's
ARCHIVES = (".zip", ".gz", ".tar", ".tgz")
BAD_ARCHIVE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error)


class Room:
    """How many bytes may still be unpacked, here and in the room around it."""

    def __init__(self, left, around=None):
        self.left, self.around = left, around

    def take(self, size):
        """Raises ValueError where it does not fit."""
        if size > self.left:
            raise ValueError("it unpacks to too much")
        if self.around:
            self.around.take(size)
        self.left -= size


def unpack_folder(source, target, log):
    """Puts what lies in the folder `source` into `target`, each archive into a folder of its name."""
    for path in sorted(source.rglob("*")):
        relative = path.relative_to(source)
        if not path.is_symlink() and path.is_file() and not is_litter(relative.parts):
            unpack(path, target / relative, MAX_DEPTH, log, Room(MAX_TOTAL_BYTES))


def unpack(path, place, depth, log, room):
    """Copies a notebook to `place`, or unpacks an archive into the folder of its name.

    What is no notebook, or cannot be unpacked, leaves a notebook that says so: it is graded with zero and that reason.
    """
    try:
        if path.suffix == ".ipynb":
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
        elif path.suffix in ARCHIVES:
            folder = place.with_name(place.name.removesuffix(".gz").removesuffix(path.suffix).removesuffix(".tar"))
            unpack_members(path, folder, depth, log, room)
        else:
            say_why_not(place, f"{place.name} is not a notebook")
    except BAD_ARCHIVE as error:
        log.error("%s cannot be unpacked: %s", place, error)
        say_why_not(place, f"{place.name} cannot be unpacked: {error}")


def say_why_not(place, why):
    """Leaves a notebook with the reason where the archive or file would have been unpacked."""
    folder = place.with_name(place.name.partition(".")[0]) if place.suffix in ARCHIVES else place.parent
    folder.mkdir(parents=True, exist_ok=True)
    leave_problem(folder / f"{place.name}.ipynb", why[:300])


def unpack_members(path, folder, depth, log, room):
    """Raises ValueError for an archive that unpacks to too much or is nested too deeply.

    Also for one that holds too many files; then nothing of it is left.
    """
    if depth == 0:
        raise ValueError("archives within archives, too deep")
    most = MAX_FILES[0 if depth == MAX_DEPTH else 1]
    for count, (name, size, read) in enumerate(members(path)):
        if count == most:
            shutil.rmtree(folder, ignore_errors=True)
            raise ValueError(f"it holds more than {most:,} files")
        parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part not in ("/", "..")]
        if not parts or is_litter(parts):
            continue
        target = folder.joinpath(*parts)
        wanted = target.suffix in (".ipynb", *ARCHIVES)
        packed = target.with_name(f".packed{target.suffix}")
        inner = Room(MAX_ENTRY_BYTES, room) if depth == MAX_DEPTH else room
        try:
            inner.take(size if wanted else 0)
            packed.parent.mkdir(parents=True, exist_ok=True)
            packed.write_bytes(read() if wanted else b"")
        except BAD_ARCHIVE as error:
            log.error("%s in %s cannot be unpacked: %s", name, path, error)
            say_why_not(target, f"{target.name} cannot be unpacked: {error}")
            continue
        unpack(packed, target, depth - 1, log, inner)
        packed.unlink()


def is_litter(parts):
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def members(path):
    """(name, size, function that reads it) of the files in an archive."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                if not entry.is_dir():
                    yield entry.filename, entry.file_size, lambda entry=entry: archive.read(entry)
        return
    whole = Room(MAX_TOTAL_BYTES)
    with tarfile.open(path) as archive:
        for entry in archive:
            whole.take(entry.size)  # to pass over it costs as much time as to read it
            if entry.isfile():
                yield entry.name, entry.size, lambda entry=entry: archive.extractfile(entry).read()
