"""Collecting from an LMS by `nbgrader zip_collect`: file names of the common systems, archives that cannot do harm."""

import re
import tarfile
import zipfile
from pathlib import Path, PurePosixPath

from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin

MAX_ARCHIVE_BYTES = 1 << 30
MAX_DEPTH = 3

# How systems name what a student handed in; tried in this order on the path below extracted/.
NAMES = (
    # Blackboard: 04_kv_cache_ada_attempt_2026-11-21-10-00-00_04_kv_cache.ipynb
    r"_(?P<student_id>[A-Za-z0-9.-]+)_attempt_(?P<timestamp>\d{4}(?:-\d\d){5})_[^/]*$",
    # Moodle: Ada Lovelace_1234567_assignsubmission_file_/04_kv_cache.ipynb
    r"_(?P<student_id>\d+)_assignsubmission_file_?/[^/]+$",
    # Canvas: lovelaceada_LATE_4711_815_04_kv_cache-1.ipynb
    r"(?:^|/)[a-z0-9]+(?:_LATE)?_(?P<student_id>\d+)_\d+_[^/]+$",
    # by hand: ada_04_kv_cache.ipynb, or a folder or archive named after the student
    r"(?:^|/)(?P<student_id>[A-Za-z0-9.-]+)_{assignment}[^/]*$",
    r"(?:^|/)(?P<student_id>[A-Za-z0-9.-]+)/[^/]+$",
)


def who(path, assignment):
    """{"student_id", "file_id", maybe "timestamp"} from a path below extracted/, None where no name fits."""
    for pattern in NAMES:
        found = re.search(pattern.replace("{assignment}", re.escape(assignment)), path)
        if found:
            info = {"file_id": f"{assignment}.ipynb", "student_id": found["student_id"]}
            if "timestamp" in found.groupdict():
                info["timestamp"] = re.sub(r"^(.{10})-(\d\d)-(\d\d)-(\d\d)$", r"\1 \2:\3:\4", found["timestamp"])
            return info
    return None


class CourseCollector(FileNameCollectorPlugin):
    """Names a submission's student; a second file without a time stamp is left where it is (nbgrader would stop)."""

    def collect(self, submitted_file):
        if not submitted_file.endswith(".ipynb"):
            return None
        path = submitted_file.rpartition("/extracted/")[2]
        info = who(path, self.parent.coursedir.assignment_id)
        if info is None:
            self.log.warning("No student's name in %s", path)
            return None
        taken = self.__dict__.setdefault("_taken", {})
        if info["student_id"] in taken and not (info.get("timestamp") and taken[info["student_id"]]):
            self.log.warning(
                "%s: %s has another file already and nothing tells which is newer", path, info["student_id"]
            )
            return None
        taken[info["student_id"]] = info.get("timestamp")
        return info


class CourseExtractor(ExtractorPlugin):
    """Unpacks only notebooks, never outside of the folder; an archive that cannot be read stops nobody else's."""

    def extract(self, archive_path, extracted_path):
        for path in sorted(Path(archive_path).rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            place = Path(extracted_path) / path.relative_to(archive_path)
            try:
                unpack(path, place, MAX_DEPTH)
            except (OSError, ValueError, RuntimeError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
                self.log.error("%s cannot be unpacked and is left out: %s", path, error)


def unpack(path, place, depth):
    """Copies a notebook to `place`, or unpacks an archive into the folder of its name; other files are left out.

    Raises ValueError for an archive with more than MAX_ARCHIVE_BYTES inside or nested deeper than `depth`.
    """
    if path.suffix == ".ipynb":
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(path.read_bytes())
        return
    if path.suffix not in (".zip", ".gz", ".tar", ".tgz"):
        return
    if depth == 0:
        raise ValueError("archives within archives, too deep")
    folder = place.with_name(place.name.removesuffix(".gz").removesuffix(path.suffix).removesuffix(".tar"))
    for name, content in members(path):
        relative = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
        target = folder.joinpath(*relative)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if target.suffix != ".ipynb":
            unpack(target, target, depth - 1)
            target.unlink()


def members(path):
    """(name, bytes) of the notebooks and archives in an archive."""
    wanted = (".ipynb", ".zip", ".gz", ".tar", ".tgz")
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(wanted)]
            check_size(sum(entry.file_size for entry in entries))
            for entry in entries:
                yield entry.filename, archive.read(entry)
        return
    with tarfile.open(path) as archive:
        entries = [entry for entry in archive if entry.isfile() and entry.name.endswith(wanted)]
        check_size(sum(entry.size for entry in entries))
        for entry in entries:
            yield entry.name, archive.extractfile(entry).read()


def check_size(size):
    if size > MAX_ARCHIVE_BYTES:
        raise ValueError(f"it would unpack to {size} bytes, {MAX_ARCHIVE_BYTES} are allowed")
