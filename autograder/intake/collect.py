"""Collecting: from an LMS by `nbgrader zip_collect`, from nbgrader's exchange by `nbgrader collect`.

File names of the common systems are understood, archives cannot do harm, and the time at which something was handed in
is kept where no submission can write (received.py).
"""

import os
import re
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.exchange.default import ExchangeCollect
from nbgrader.plugins import ExtractorPlugin, FileNameCollectorPlugin

from autograder.intake import received
from autograder.intake.reading import PROBLEM_KEY
from autograder.intake.unpack import unpack_folder

EXCHANGE_SLACK = timedelta(hours=1)
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
        unpack_folder(Path(archive_path), Path(extracted_path), self.log)


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
