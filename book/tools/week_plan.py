"""A plan of the course over the weeks of a term: `python book/tools/week_plan.py 10 [--start 2026-09-07] [--csv FILE]`.

Chapters come from _toc.yml, exercises with their minutes, stars and points from the assignments, minutes of reading
from the heads of the built pages (without a built book they are left out, and a line says so).
"""

import argparse
import functools
import re
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from autograder.grading.spreadsheet import as_csv  # noqa: E402 (the script may be started from anywhere)
from autograder.grading.tables import markdown  # noqa: E402
from book._ext.assignment import exercise_efforts  # noqa: E402
from book._ext.chapter_head import difficulty  # noqa: E402
from book._ext.chapter_pages import topic_of  # noqa: E402
from book.tools.build_book import toc_pages  # noqa: E402

HEADER = ("week", "chapters", "exercises", "difficulty", "points", "hours")


@dataclass(frozen=True)
class Chapter:
    """A chapter and what it takes. efforts: those of its exercises; reading: minutes to read, None where not known."""

    topic: str
    title: str
    efforts: tuple
    reading: int | None

    @property
    def minutes(self):
        return sum(effort.get("minutes", 0) for effort in self.efforts) + (self.reading or 0)


def chapters(root=ROOT, html=ROOT / "_build" / "html"):
    """The Chapters of the course, in the order of _toc.yml."""
    pages = toc_pages(yaml.safe_load((root / "_toc.yml").read_text(encoding="utf-8")))
    found = []
    for topic in dict.fromkeys(filter(None, map(topic_of, pages))):
        source = (root / "book" / f"{topic}.md").read_text(encoding="utf-8")
        title = re.search(r"^# (.+)$", source, re.M)[1]
        efforts = tuple(exercise_efforts(root, topic))
        found.append(Chapter(topic, title, efforts, reading_minutes(html, topic) if html else None))
    return found


def reading_minutes(html, topic):
    """What the heads of a chapter's built pages say together, None where there is no such page."""
    built = [page.read_text(encoding="utf-8") for page in Path(html, "book").glob(f"{topic}*.html")]
    said = [int(found[1]) for page in built if (found := re.search(r"(\d+) minutes to read", page))]
    return sum(said) if said else None


def split(loads, num_weeks):
    """Cut a list into num_weeks runs, none empty: the fullest as light as can be, then the others as even as can be.

    Returns [(start, end)]. Raises ValueError where there are fewer loads than weeks, or no week.
    """
    if not 1 <= num_weeks <= len(loads):
        raise ValueError(f"{len(loads)} chapters go into 1 to {len(loads)} weeks, not into {num_weeks}")

    @functools.cache
    def best(start, weeks):
        """(fullest week, sum of squares, cuts) of the loads from start on."""
        if weeks == 1:
            load = sum(loads[start:])
            return load, load * load, ((start, len(loads)),)
        tried = []
        for end in range(start + 1, len(loads) - weeks + 2):
            load, (fullest, squares, cuts) = sum(loads[start:end]), best(end, weeks - 1)
            tried.append((max(load, fullest), load * load + squares, ((start, end), *cuts)))
        return min(tried)

    return list(best(0, num_weeks)[2])


def plan_rows(course, num_weeks, start=None):
    """The rows of a plan, one a week, below HEADER; start: the first day of the first week. Raises ValueError."""
    rows = []
    for week, (first, end) in enumerate(split([chapter.minutes for chapter in course], num_weeks)):
        some = course[first:end]
        efforts = [effort for chapter in some for effort in chapter.efforts]
        name = f"{week + 1}" if start is None else f"{week + 1}, from {start + timedelta(weeks=week)}"
        titles = "; ".join(f"{int(chapter.topic[:2])} {chapter.title}" for chapter in some)
        points = sum(effort.get("points", 0) for effort in efforts)
        hours = sum(chapter.minutes for chapter in some) / 60
        stars = difficulty(efforts).replace(" ", "\N{NO-BREAK SPACE}")
        rows.append([name, titles, len(efforts), stars, points, f"{hours:.1f}"])
    total = sum(chapter.minutes for chapter in course) / 60
    counts = [sum(row[column] for row in rows) for column in (2, 4)]
    return [*rows, ["all", f"{len(course)} chapters", counts[0], "", counts[1], f"{total:.1f}"]]


def plan_table(num_weeks, root=ROOT, html=None, start=None):
    """The plan as Markdown. html: the built book, of which the time to read is counted too. Raises ValueError."""
    return as_table(plan_rows(chapters(root, html), num_weeks, start))


def as_table(rows):
    return markdown(HEADER, rows).replace("| --- | --: |", "| --- | --- |", 1)  # titles are no numbers: to the left


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weeks", type=int, help="for example 10 or 14")
    parser.add_argument("--start", type=date.fromisoformat, help="first day of the first week, 2026-09-07")
    parser.add_argument("--csv", type=Path, help="write the plan there as well")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the built book")
    args = parser.parse_args(argv)
    course = chapters(ROOT, args.html)
    try:
        rows = plan_rows(course, args.weeks, args.start)
    except ValueError as error:
        print(f"week plan: {error}", file=sys.stderr)
        return 1
    unread = any(chapter.reading is None for chapter in course)
    print(as_table(rows))
    what = "only: for the time to read, make book" if unread else "and to read"
    print(f"\nHours are those of the exercises {what}.")
    if args.csv:
        args.csv.write_text(as_csv(HEADER, rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
