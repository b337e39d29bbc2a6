"""The tables of the instructor guide as Markdown: made from the scripts and the saved audit, never typed."""

import json
import statistics
from pathlib import Path

from autograder.assignment.cells import split_cells
from autograder.hostile.bank import FAMILIES

ROOT = Path(__file__).resolve().parents[2]


def exercises(root=ROOT):
    """One dict per exercise of the course, in order: topic, exercise, stars, minutes, points, the audit's counts.

    The counts come from autograder/audit_table.json (`python -m autograder audit --save`) and are absent where it has
    no line for the exercise.
    """
    saved = json.loads((root / "autograder" / "audit_table.json").read_text(encoding="utf-8"))
    audited = {(line["topic"], line["exercise"]): line for line in saved}
    found = []
    for path in sorted((root / "solutions").glob("*/*.py")):
        if path.stem != path.parent.name:
            continue
        cells, _ = split_cells(path.read_text(encoding="utf-8"))
        for task in (cell for cell in cells if cell.kind == "task"):
            points = sum(c.options["points"] for c in cells if c.kind in ("test", "hidden") and c.name == task.name)
            own = {"topic": path.stem, "exercise": task.name, **task.options, "points": points}
            found.append(audited.get((path.stem, task.name), {}) | own)
    return found


def counts(rows):
    """The three columns of the audit over some rows, as `part/all`."""
    known = [row for row in rows if "wrong" in row]
    if not known:
        return ["not audited"] * 3
    sums = {key: sum(row[key] for row in known) for key in known[0] if isinstance(known[0][key], int)}
    pairs = (("wrong_caught", "wrong"), ("mutants_killed", "mutants"), ("right_kept", "right"))
    return [f"{sums[part]:,}/{sums[whole]:,}" for part, whole in pairs]


def markdown(header, rows):
    marks = ["---", *["--:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (header, marks, *rows))


def topic_table(root=ROOT):
    """One line per topic and one for the course."""
    rows = exercises(root)
    topics = dict.fromkeys(row["topic"] for row in rows)
    groups = {topic: [row for row in rows if row["topic"] == topic] for topic in topics} | {"**all**": rows}
    lines = [
        [name, len(group), sum(row["minutes"] for row in group), sum(row["points"] for row in group), *counts(group)]
        for name, group in groups.items()
    ]
    return markdown(["topic", "exercises", "minutes", "points", "wrong caught", "mutants killed", "right kept"], lines)


def exercise_table(topic, root=ROOT):
    """One line per exercise of a topic."""
    rows = [row for row in exercises(root) if row["topic"] == topic]
    lines = [
        [f"`{row['exercise']}`", "★" * row["stars"], row["minutes"], row["points"], *counts([row])] for row in rows
    ]
    return markdown(
        ["exercise", "difficulty", "minutes", "points", "wrong caught", "mutants killed", "right kept"], lines
    )


def spread(values):
    """The median, and the extremes where there is more than one run."""
    middle = f"{statistics.median(values):.2f}"
    return middle if len(values) == 1 else f"{middle} ({min(values):.2f} to {max(values):.2f})"


def seconds_each(saved, jobs, jail):
    """[wall seconds per submission] of each run of one way."""
    return [run["wall_s"] / saved["students"] for run in saved["runs"] if (run["jobs"], run["jail"]) == (jobs, jail)]


def speedup(saved, jail):
    """[serial time over sharded time] of each round: the two runs of a round stood side by side."""
    return [a / b for a, b in zip(seconds_each(saved, 0, jail), seconds_each(saved, saved["jobs"], jail), strict=True)]


def cost_table(saved):
    """Seconds per submission in each way of autograder/grading/costs.json, and what sharding gains."""
    lines = []
    for jail, name in ((saved["jail"], f"jail ({saved['jail']})"), ("trusted", "no jail (`COURSE_JAIL=trusted`)")):
        serial, sharded = seconds_each(saved, 0, jail), seconds_each(saved, saved["jobs"], jail)
        lines.append([name, spread(serial), spread(sharded), spread(speedup(saved, jail))])
    jobs = f"`grade --jobs {saved['jobs']}`, s"
    return markdown(["per submission", "`nbgrader autograde`, s", jobs, "times the pace"], lines)


MACHINES = ((1, 2), (1, 16), (1, 64), (8, 16), (32, 16))


def plan_table(saved, num_submissions=10_000):
    """How long so many submissions take on more processes, if each keeps the measured pace."""
    pace = statistics.median(seconds_each(saved, saved["jobs"], saved["jail"])) * saved["jobs"]
    lines = []
    for machines, cores in MACHINES:
        hours = num_submissions * max(pace / (machines * cores), saved["own_s"]) / 3600
        how = f"`--jobs {cores}`" if machines == 1 else "`--dask`"
        lines.append([f"{machines} of {cores} cores", how, f"{hours:.1f} h" if hours >= 1 else f"{hours * 60:.0f} min"])
    return markdown([f"machines, for {num_submissions:,} submissions", "command", "time"], lines)


def cost_words(saved):
    """The measurement in a sentence: where, when, how, and how busy the machine was."""
    loads, rounds = [run["load"] for run in saved["runs"]], len(speedup(saved, saved["jail"]))
    times = "one round" if rounds == 1 else f"{rounds} rounds"
    return (
        f"Wall time with its spread, over {times} of {saved['students']} submissions from the "
        f"start of the command to its end, on {saved['date']} on a machine of {saved['machine']['cores']} cores "
        f"({saved['machine']['system']}) with a load of {min(loads):.1f} to {max(loads):.1f} from other work."
    )


def more_cost_words(saved):
    """What else was measured, a sentence each: stock nbgrader, a whole class, a function that never ends."""
    words = []
    if stock := saved.get("stock"):
        ours, theirs = ([run["wall_s"] / stock["students"] for run in stock["runs"][i::2]] for i in (0, 1))
        words.append(
            f"Stock nbgrader, measured in turn with the course's on {stock['date']} with {stock['students']} "
            f"submissions, takes {spread(theirs)} s a submission where the course's `nbgrader autograde` takes "
            f"{spread(ours)} s."
        )
    if whole := saved.get("class"):
        words.append(
            f"A class of {whole['students']} took `grade --jobs {whole['jobs']}` {whole['wall_s'] / 60:.1f} minutes "
            f"({whole['date']}, load {whole['load']:.1f} before)."
        )
    if loop := saved.get("loop"):
        words.append(
            f"A function that never ends costs {loop['loop_s'] - loop['honest_s']:.0f} s more than an honest one "
            f"({loop['date']}, load {loop['load']:.1f} before)."
        )
    return " ".join(words)


def plan_words(saved, num_submissions=10_000):
    """What else so many submissions need: disk, and how many processes one coordinator keeps at work."""
    pace = statistics.median(seconds_each(saved, saved["jobs"], saved["jail"])) * saved["jobs"]
    return (
        f"The process that gives out the work and writes the gradebook spends {saved['own_s'] * 1e3:.0f} ms on a "
        f"submission, so it keeps about {pace / saved['own_s']:,.0f} graders at work. "
        f"{num_submissions:,} submissions take {num_submissions * saved['graded_bytes'] / 1e9:.1f} GB of graded "
        f"notebooks and {num_submissions * saved['gradebook_bytes'] / 1e9:.2f} GB of gradebook."
    )


def audit_words(root=ROOT):
    """False accepts and false rejects over the audit bank."""
    known = [row for row in exercises(root) if "wrong" in row]
    sums = {key: sum(row[key] for row in known) for key in ("wrong", "wrong_caught", "right", "right_kept")}
    return (
        f"Of {sums['wrong']:,} wrong answers {sums['wrong'] - sums['wrong_caught']:,} keep all points (false accepts); "
        f"of {sums['right']:,} right ones {sums['right'] - sums['right_kept']:,} lose any (false rejects)."
    )


def hostile_table(root=ROOT):
    """One line per family of the hostile bank, of the last run that was saved."""
    path = root / "autograder" / "hostile_table.json"
    if not path.exists():
        return "No run of it has been recorded."
    outcomes = json.loads(path.read_text(encoding="utf-8"))["outcomes"]
    lines = []
    for family, title in (*FAMILIES.items(), ("", "**all**")):
        some = [outcome for outcome in outcomes if outcome["case"].startswith(family)]
        lines.append([title, len(some), sum(not outcome["misses"] for outcome in some)])
    return markdown(["hostile submissions", "cases", "as wanted"], lines)
