"""Collecting: from an LMS by `nbgrader zip_collect`, from nbgrader's exchange by `nbgrader collect`.

File names of the common systems are understood, archives cannot do harm, and the time at which something was handed in
is kept where no submission can write (autograder/received.py).
"""

import json
import os
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.exchange.default import ExchangeCollect
from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin

from autograder import received

MAX_TOTAL_BYTES = 8 << 30  # out of one archive that you put there, with all that is packed in it
MAX_ENTRY_BYTES = 64 << 20  # out of each thing in it, which is one student's
MAX_DEPTH = 3
ARCHIVES = (".zip", ".gz", ".tar", ".tgz")
BAD_ARCHIVE = (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, tarfile.TarError, zlib.error)
EXCHANGE_SLACK = timedelta(hours=1)
PROBLEM_KEY = "course_intake_problem"  # as in autograder/intake.py

# How systems name what a student handed in. The outermost folder or file that fits counts: those inside an archive that
# a student made are the student's own words.
NAMES = (
    # Blackboard: 03_kv_cache_ada_attempt_2026-11-21-10-00-00_03_kv_cache.ipynb
    r"_(?P<student_id>[A-Za-z0-9.-]+)_attempt_(?P<timestamp>\d{4}(?:-\d\d){5})(?:_|$)",
    # Moodle: Ada Lovelace_1234567_assignsubmission_file_/03_kv_cache.ipynb
    r"_(?P<student_id>\d+)_assignsubmission_file(?:_|$)",
    # Canvas: lovelaceada_LATE_4711_815_03_kv_cache-1.ipynb
    r"^[a-z0-9]+(?P<late>_LATE)?_(?P<student_id>\d+)_\d+_",
    # by hand: ada_03_kv_cache.ipynb
    r"^(?P<student_id>[A-Za-z0-9.-]+)_{assignment}",
)


def who(path, assignment, known=()):
    """{"student_id", "file_id", maybe "timestamp" and "late"} from a path below extracted/, None where no name fits.

    known: the ids of the class; a folder, archive or file that bears one of them is that student's.
    """
    parts, info = path.split("/"), {"file_id": f"{assignment}.ipynb"}
    for part in parts:
        for student in sorted(known, key=len, reverse=True):
            if part == student or part.startswith((f"{student}_{assignment}", f"{student}.")):
                return info | {"student_id": student}
        for pattern in NAMES:
            found = re.search(pattern.replace("{assignment}", re.escape(assignment)), part)
            if found:
                groups = {name: text for name, text in found.groupdict().items() if text}
                if "timestamp" in groups:
                    groups["timestamp"] = re.sub(r"-(\d\d)-(\d\d)-(\d\d)$", r" \1:\2:\3", groups["timestamp"])
                return info | groups
    if len(parts) > 1 and re.fullmatch(r"[A-Za-z0-9.-]+", parts[-2]):  # a folder or archive named after the student
        return info | {"student_id": parts[-2]}
    return None


class CourseCollector(FileNameCollectorPlugin):
    """Names each submission's student, chooses one file for each, and records when it came."""

    def collect(self, submitted_file):
        root, _, path = submitted_file.rpartition("/extracted/")
        if "_chosen" not in self.__dict__:
            self._chosen = self.choose(Path(root, "extracted"))
        info = self._chosen.get(path)
        if info:
            received.record(
                received.beside_submitted(self.parent.coursedir, "received") / self.parent.coursedir.assignment_id,
                info["student_id"],
                received.utc(info["timestamp"]) if "timestamp" in info else None,
                "zip_collect",
                notebook=submitted_file,
                note=info.pop("note", ""),
                late=bool(info.pop("late", False)),
            )
        return info

    def choose(self, root):
        """{path: info} of the file to take of each student: the newest notebook, or what says why there is none."""
        coursedir, found = self.parent.coursedir, {}
        known = students(coursedir.db_url)
        for file in sorted(root.rglob("*.ipynb")):
            path = str(file.relative_to(root))
            info = who(path, coursedir.assignment_id, known)
            if info is None:
                self.log.warning("No student's name in %s", path)
                continue
            real = PROBLEM_KEY not in file.read_bytes()[:100].decode("utf-8", "replace")
            rank = (real, info.get("timestamp", ""), file.name == info["file_id"])
            found.setdefault(info["student_id"], []).append((rank, path, info))
        chosen = {}
        for student, files in found.items():
            best = max(rank for rank, _, _ in files)
            path, info = next((path, info) for rank, path, info in files if rank == best)
            others = [other for rank, other, _ in files if other != path and rank[0]]
            if others:
                info["note"] = (
                    f"Taken is {Path(path).name}; there was also {', '.join(Path(p).name for p in others[:3])}."
                )
                self.log.warning("%s: %s is taken, not %s", student, path, ", ".join(others))
            chosen[path] = info
        return chosen


def students(db_url):
    """The ids of the class, as far as a gradebook is there."""
    if db_url.startswith("sqlite:///") and not os.path.exists(db_url.removeprefix("sqlite:///")):
        return []
    with Gradebook(db_url) as gradebook:
        return [student.id for student in gradebook.students]


class CourseExtractor(ExtractorPlugin):
    """Unpacks only notebooks, never outside of the folder; an archive that cannot be read stops nobody else's."""

    def extract(self, archive_path, extracted_path):
        for path in sorted(Path(archive_path).rglob("*")):
            relative = path.relative_to(archive_path)
            if not path.is_symlink() and path.is_file() and not is_litter(relative.parts):
                unpack(path, Path(extracted_path) / relative, MAX_DEPTH, self.log, Room(MAX_TOTAL_BYTES))


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
            leave_problem(place, f"{place.name} is not a notebook")
    except (
        OSError,
        ValueError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        tarfile.TarError,
        zipfile.zlib.error,
    ) as error:
        log.error("%s cannot be unpacked: %s", place, error)
        leave_problem(place, f"{place.name} cannot be unpacked: {error}")


def leave_problem(place, why):
    folder = place.with_name(place.name.partition(".")[0]) if place.suffix in ARCHIVES else place.parent
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{place.name}.ipynb").write_text(json.dumps({PROBLEM_KEY: why[:300]}))


def unpack_members(path, folder, depth, log, room):
    """Raises ValueError for an archive that unpacks to too much, or is nested too deeply."""
    if depth == 0:
        raise ValueError("archives within archives, too deep")
    for name, size, read in members(path):
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
            leave_problem(target, f"{target.name} cannot be unpacked: {error}")
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


class CourseCollect(ExchangeCollect):
    """The exchange's collect: links stay links, pipes and sockets are left out, and a forged time does not count.

    A student can name the folder in the exchange as he likes. When its files came to be there he cannot.
    """

    def _path_to_record(self, path):
        try:
            return super()._path_to_record(path)
        except Exception as error:  # what dateutil raises for nonsense, and nbgrader for a name with too few parts
            self.log.warning("%s is passed over: %s", path, error)
            return {"username": "", "filename": Path(path).name, "timestamp": datetime.min}

    def copy_files(self):
        self.src_records = [record for record in self.src_records if record["username"]]
        self._records = {os.path.join(self.inbound_path, r["filename"]): r for r in self.src_records}
        super().copy_files()

    def do_copy(self, src, dest, log=None):
        try:
            self.copy_safely(src, dest)
        except (OSError, shutil.Error, RuntimeError) as error:
            self.log.error("%s cannot be collected whole: %s", src, error)
            os.makedirs(dest, exist_ok=True)
        claimed, came = self._records[src]["timestamp"], changed(src)
        forged = came - claimed > EXCHANGE_SLACK or claimed > came + EXCHANGE_SLACK
        note = f"It says it was handed in at {claimed}; its files came at {came} (UTC), which counts." if forged else ""
        received.record(
            received.beside_submitted(self.coursedir, "received") / self.coursedir.assignment_id,
            self._records[src]["username"],
            came if forged else claimed,
            "exchange",
            notebook=Path(dest, f"{self.coursedir.assignment_id}.ipynb"),
            note=note,
        )

    def copy_safely(self, src, dest):
        if self.get_size(src) > 1000 * self.coursedir.max_dir_size:
            raise RuntimeError("the folder is too big")
        skip = utils.ignore_patterns(
            exclude=self.coursedir.ignore, include=self.coursedir.include, max_file_size=self.coursedir.max_file_size
        )

        def ignore(folder, names):
            odd = [name for name in names if not is_plain(os.path.join(folder, name))]
            return set(odd) | set(skip(folder, [name for name in names if name not in odd]))

        shutil.copytree(src, dest, symlinks=True, ignore=ignore)


def is_plain(path):
    mode = os.lstat(path).st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def changed(folder):
    """When a folder or a file in it was last written or renamed, UTC, by the clock of the machine it is on."""
    paths = [folder, *(os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names)]
    last = max(os.lstat(path).st_ctime for path in paths)
    return datetime.fromtimestamp(int(last), UTC).replace(tzinfo=None)
