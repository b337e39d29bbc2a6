"""What a run did so far, kept so that it can go on after it was killed, and the page that closes it."""

import contextlib
import json
import re
from collections import Counter
from datetime import UTC, datetime

STOPPED = "stopped by Ctrl-C"
LINES = 40  # of each list in the summary


class Journal:
    """What a run did so far, one JSON line per submission, so that a killed run can go on and still sum up."""

    def __init__(self, folder, header):
        self.path, self.entries = folder / "journal.jsonl", {}
        self.goes_on = False
        if self.path.exists():
            lines = []
            for line in self.path.read_text(encoding="utf-8").splitlines():
                with contextlib.suppress(ValueError):  # the line that was being written when the run was killed
                    lines.append(json.loads(line))
            if lines and lines[0] == header and "ended" not in lines[-1]:
                self.goes_on = True
                self.entries = {line["student"]: line for line in lines[1:] if "student" in line}
        self.file = open(self.path, "a" if self.goes_on else "w", encoding="utf-8")
        self.write({} if self.goes_on else header)

    def write(self, line):
        self.file.write(json.dumps(line) + "\n")
        self.file.flush()

    def add(self, entry):
        self.entries[entry["student"]] = entry
        self.write(entry)

    def close(self, own_s, ended):
        """own_s: seconds that this process itself worked, rather than waited for the graders."""
        self.write({"own_s": own_s} | ({"ended": now()} if ended else {}))
        self.file.close()


def now():
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def last_line(log):
    """The error that nbgrader logged, as one line without colours and paths."""
    lines = re.findall(r"^[\w.]*(?:Error|Exception)\b.*", re.sub(r"\x1b\[[0-9;]*m", "", log), re.M)
    return f"nbgrader could not grade it: {lines[-1] if lines else 'no reason given'}"[:200]


def summary(assignment, entries, seconds, pool, left, trouble, logs):
    """The page that closes a run."""
    zeros = [entry for entry in entries if entry["notes"] and not entry["score"]]
    noted = [entry for entry in entries if entry["notes"] and entry["score"]]
    by_hand = [entry for entry in entries if entry["waiting"]]
    mean = sum(entry["seconds"] for entry in entries) / max(1, len(entries))
    lines = [
        f"{assignment}, {now()}",
        f"graded               {len(entries):>6}   in {clock(seconds)} with {pool}, {mean:.1f} s each in its process",
        f"recorded zeros       {len(zeros):>6}   with the reason on the student's page",
        f"graded with a note   {len(noted):>6}",
        f"waiting for a person {len(by_hand):>6}   {sum(e['waiting'] for e in by_hand)} answers, in the formgrader",
        f"not graded           {len(left):>6}   give the same command again",
    ]
    if trouble:
        lines += ["", trouble]
    for title, some in (("recorded zeros", zeros), ("notes", noted)):
        lines += ["", f"{title}:"] if some else []
        lines += [f"  {entry['student']}: {' '.join(entry['notes'])}" for entry in some[:LINES]]
        lines += [f"  and {len(some) - LINES} more in journal.jsonl"] if len(some) > LINES else []
    failed = sorted(path for path in logs.glob("*.log"))
    if failed:
        lines += ["", "logs of submissions that were tried more than once:"]
        lines += [f"  {path}" for path in failed[:LINES]]
    tries = Counter(entry["attempt"] for entry in entries)
    if set(tries) - {1}:
        lines += ["", "attempts: " + ", ".join(f"{count} after {number}" for number, count in sorted(tries.items()))]
    return "\n".join(lines) + "\n"


def clock(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def opening(num_students, num_todo, goes_on, force):
    done = num_students - num_todo
    if goes_on and done:
        return f"going on: {done} of {num_students} submissions are graded"
    if done and not force:
        return f"{done} of {num_students} submissions are graded already (--force grades them again)"
    return f"{num_students} submissions to grade"
