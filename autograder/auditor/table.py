"""The audit's table: as text, and as the saved counts that the instructor guide shows."""

import json

from autograder.assignment.cells import split_cells

from .audit import Row

NOT_SUMMED = ("topic", "exercise", "stamp", "is_sampled", "faults", "detail")
PLACE = "autograder/audit_table.json"
COUNTS = ("wrong_caught", "wrong", "mutants_killed", "mutants", "right_kept", "right", "equivalent")


def table(rows):
    """The table as text, one line per exercise and a last one with the sums."""
    width = max([len(f"{row.topic}/{row.exercise}") for row in rows] + [8])
    lines = [f"{'exercise':{width}}  wrong caught  mutants killed  right kept  equivalent  CPU s  "]
    for row in rows:
        lines.append(
            f"{row.topic + '/' + row.exercise:{width}}  {f'{row.wrong_caught}/{row.wrong}':>12}"
            f"  {f'{row.mutants_killed}/{row.mutants}':>14}  {f'{row.right_kept}/{row.right}':>10}"
            f"  {row.equivalent:>10}  {row.cpu_s:5.2f}  {'' if not row.faults else f'{len(row.faults)} missed'}"
        )
    total = {key: sum(getattr(row, key) for row in rows) for key in Row.__annotations__ if key not in NOT_SUMMED}
    lines.append(
        f"{'all':{width}}  {'{wrong_caught}/{wrong}'.format(**total):>12}"
        f"  {'{mutants_killed}/{mutants}'.format(**total):>14}  {'{right_kept}/{right}'.format(**total):>10}"
        f"  {total['equivalent']:>10}  {total['cpu_s']:5.2f}  "
    )
    return "\n".join(line.rstrip() for line in lines)


def saved_lines(root):
    """The saved counts, a dict for each exercise; none where nothing was saved."""
    place = root / PLACE
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else []


def save(rows, root):
    """Puts the rows' counts into the saved ones, one line each; exercises that are gone drop out.

    A row with a fault, or of which only a sample was scored, has no counts to save and leaves its line as it is.
    """
    kept = {(line["topic"], line["exercise"]): line for line in saved_lines(root)}
    for row in rows:
        if not (row.faults or row.is_sampled):
            kept[row.topic, row.exercise] = {key: getattr(row, key) for key in ("topic", "exercise", *COUNTS, "stamp")}
    lines = [json.dumps(kept[key]) for key in exercises_of(root) if key in kept]
    (root / PLACE).write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def exercises_of(root):
    """(topic, exercise) of every exercise of the course, in order."""
    for path in sorted((root / "solutions").glob("*/*.py")):
        if path.stem == path.parent.name:
            for cell in split_cells(path.read_text(encoding="utf-8"))[0]:
                if cell.kind == "solution":
                    yield path.stem, cell.name
