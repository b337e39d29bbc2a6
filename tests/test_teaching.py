"""What an instructor makes of the book by one command each: a week plan, questions with a key, slides."""

import csv
from datetime import date
from itertools import combinations

import pytest

from autograder.grading import tables
from book.tools import week_plan


def every_split(loads, num_weeks):
    for cuts in combinations(range(1, len(loads)), num_weeks - 1):
        ends = (0, *cuts, len(loads))
        yield [sum(loads[a:b]) for a, b in zip(ends, ends[1:], strict=False)]


@pytest.mark.parametrize("loads", [(5, 1, 1, 9, 2, 2, 3), (1,) * 6, (9, 0, 0, 1), (3, 3, 3, 50, 1, 1, 1, 1)])
def test_no_other_plan_has_a_lighter_busiest_week(loads):
    for num_weeks in range(1, len(loads) + 1):
        cuts = week_plan.split(loads, num_weeks)
        assert [start for start, _ in cuts] == [0, *[end for _, end in cuts[:-1]]] and cuts[-1][1] == len(loads)
        weeks = [sum(loads[start:end]) for start, end in cuts]
        wanted = min((max(each), sum(load * load for load in each)) for each in every_split(loads, num_weeks))
        assert (max(weeks), sum(load * load for load in weeks)) == wanted and len(weeks) == num_weeks
    for num_weeks in (0, len(loads) + 1):
        with pytest.raises(ValueError, match=f"not into {num_weeks}"):
            week_plan.split(loads, num_weeks)


def test_a_plan_has_every_exercise_once_and_its_hours_add_up():
    minutes = sum(row["minutes"] for row in tables.exercises())
    course = week_plan.chapters(html=None)
    for num_weeks in (10, 14):
        *weeks, total = week_plan.plan_rows(course, num_weeks, date(2026, 9, 7))
        assert len(weeks) == num_weeks and weeks[-1][0] == f"{num_weeks}, from {weeks_on(num_weeks - 1)}"
        assert total[-1] == f"{minutes / 60:.1f}" and sum(float(row[-1]) for row in weeks) == pytest.approx(
            minutes / 60, abs=0.05 * num_weeks
        )
        named = "; ".join(row[1] for row in weeks).split("; ")
        assert [int(name.split()[0]) for name in named] == [int(chapter.topic[:2]) for chapter in course]


def weeks_on(weeks):
    return date.fromordinal(date(2026, 9, 7).toordinal() + 7 * weeks)


def test_reading_counts_where_the_book_is_built(tmp_path):
    assert week_plan.reading_minutes(tmp_path, "03_x") is None
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "03_x.html").write_text("<p>20 minutes to read · 12 exercises</p>")
    (tmp_path / "book" / "03_x_part_2.html").write_text("<p>5 minutes to read</p>")
    assert week_plan.reading_minutes(tmp_path, "03_x") == 25
    chapter = week_plan.Chapter("03_x", "X", ({"minutes": 10}, {"points": 2}), 25)
    assert chapter.minutes == 35


def test_the_plan_command(tmp_path, capsys):
    assert week_plan.main(["10", "--csv", str(tmp_path / "plan.csv"), "--html", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "| 2 | 3 The KV cache |" in printed and "exercises only: for the time to read, make book" in printed
    with open(tmp_path / "plan.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 11 and rows[-1]["week"] == "all"
    assert week_plan.main(["99"]) == 1 and "18 weeks" in capsys.readouterr().err
