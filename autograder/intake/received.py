"""When a submission was handed in, as the one who collected it says, not the submission.

A file timestamp.txt in a submission is the student's own, and nbgrader believes it. Here each collector (zip_collect,
the exchange, `python -m autograder received`) writes what it knows into received/, beside submitted/. The intake puts
that into timestamp.txt and sets every other one aside: then the time is not known, and nothing counts as late.
"""

import csv
import hashlib
import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dateutil.parser

NOT_USED = "timestamp.txt is the submission's own word and is not used: when it was handed in is not known."
FUTURE = "Its time of handing in lies in the future and is not used."
SLACK = timedelta(days=1)  # systems name local times


def beside_submitted(course, name):
    """The folder `name` of the class: where submitted/, autograded/ and the gradebook are."""
    return Path(course.root, course.submitted_directory).parent / name


def digest(path):
    """What tells one notebook from another, "" where there is none to read."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


def record(folder, student, timestamp, by, notebook=None, note="", late=False):
    """Writes a record into `folder` (received/NN_topic). timestamp: UTC or None; notebook: the file it holds for."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = timestamp.isoformat(" ") if timestamp else None
    content = {"timestamp": stamp, "by": by, "sha256": digest(notebook) if notebook else "", "note": note, "late": late}
    (folder / f"{student}.json").write_text(json.dumps(content, indent=1))


def read(course, folder):
    """The record of the submission in `folder`, {} where there is none or it is about another file."""
    content = load(beside_submitted(course, "received") / folder.name / f"{folder.parent.name}.json")
    if not content:
        return {}
    digests = {digest(notebook) for notebook in folder.glob("*.ipynb")}
    return content if not content["sha256"] or content["sha256"] in digests else {}


def has_become(course, folder, before, notebook):
    """A record that holds for the notebook with the digest `before` holds for the one at `notebook` from now on."""
    path = beside_submitted(course, "received") / folder.name / f"{folder.parent.name}.json"
    content = load(path)
    if content and content["sha256"] == before:
        path.write_text(json.dumps(content | {"sha256": digest(notebook)}, indent=1))


def load(path):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return {}


def write_time(course, folder):
    """Puts the recorded time into timestamp.txt, or takes that file away. Returns notes for the student and for you."""
    known, place, notes = read(course, folder), folder / "timestamp.txt", []
    stamp = known.get("timestamp")
    if stamp and utc(stamp) > now() + SLACK:
        stamp, notes = None, [FUTURE]
    written = place.read_text(errors="replace").strip() if place.is_file() else None
    if written is not None and written != stamp:
        quarantine = beside_submitted(course, "quarantine").joinpath(*folder.parts[-2:])
        quarantine.mkdir(parents=True, exist_ok=True)
        os.replace(place, quarantine / "timestamp.txt")
        notes += [] if stamp else [NOT_USED]
    if stamp and written != stamp:
        place.write_text(stamp)
    return notes + ([known["note"]] if known.get("note") else [])


def utc(text):
    """A time as UTC without a zone; nbgrader's own parse_utc takes +0100 for a hundred seconds."""
    time = dateutil.parser.parse(text)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo else time


def now():
    return datetime.now(UTC).replace(tzinfo=None)


def add_arguments(parser):
    default = Path(os.environ.get("COURSE_WORK", Path(__file__).resolve().parents[1]))
    parser.add_argument("assignment", metavar="NN_topic")
    parser.add_argument("times", type=Path, help="CSV with the columns id and timestamp (UTC, or with a zone)")
    parser.add_argument("--work", type=Path, default=default, help="the folder of the class")


def run(options):
    """Exit code: 0, or 1 where a line cannot be read; then nothing is written."""
    try:
        with open(options.times, newline="", encoding="utf-8-sig") as file:
            rows = [(row["id"], utc(row["timestamp"])) for row in csv.DictReader(file)]
    except Exception as error:  # whatever dateutil raises for nonsense
        print(f"{options.times}: columns id and timestamp are needed, in every line ({error!r})", file=sys.stderr)
        return 1
    for student, timestamp in rows:
        record(options.work / "received" / options.assignment, student, timestamp, "you")
    print(f"{len(rows)} times recorded; `nbgrader autograde {options.assignment} --force` uses them")
    return 0
