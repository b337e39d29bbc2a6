"""The hostile bank through real `nbgrader autograde`, in the jail; and proof that the bank can fail."""

import json
import re

import nbformat
import pytest

from autograder.grading import course
from autograder.hostile import bank, classes, command
from autograder.hostile.canaries import Canaries
from autograder.sandbox import modes

CASES = bank.read_bank()
RELEASE = bank.release()
REFERENCE = course.reference_answers(bank.TOPIC)
WORTH = {topic: classes.worth_of(bank.release(topic)) for topic in {case.topic for case in CASES}}
# Each of these wins or loses points, or reaches out, where the tests run in the student's process without a jail.
TELLING = (
    "patched_engine",
    "patched_oracle",
    "patched_shares_memory",
    "environment",
    "home_folder",
)


def why_no_jail():
    try:
        return modes.require() == "trusted" and "COURSE_JAIL=trusted"
    except modes.NoJail as error:
        return str(error)


needs_jail = pytest.mark.skipif(bool(why_no_jail()), reason=f"THE HOSTILE BANK IS NOT TRIED: {why_no_jail()}")


@pytest.fixture(scope="module")
def graded():
    """(outcomes by name, findings) of the whole bank, in as many classes as there are cores."""
    outcomes, findings = command.grade_bank(CASES, jobs=4)  # more than cores: most of them wait
    print(command.table(outcomes))
    print(command.figures(outcomes))
    return {outcome.case.name: outcome for outcome in outcomes}, findings


@needs_jail
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}/{case.name}")
def test_a_case_gets_its_score_and_its_note(graded, case):
    outcome = graded[0][case.name]
    assert not outcome.misses, "\n".join([case.what, *outcome.misses, outcome.text[:1500]])


@needs_jail
def test_nothing_is_left_of_the_whole_bank(graded):
    assert graded[1] == []


@needs_jail
def test_the_bank_can_fail():
    cases = [case for case in CASES if case.name in TELLING]
    assert len(cases) == len(TELLING)
    outcomes, _ = command.grade_bank(cases, jobs=1, stock=True)
    missed = {outcome.case.name for outcome in outcomes if outcome.misses}
    assert missed == set(TELLING), f"without jail and outside tests these are as wanted: {set(TELLING) - missed}"


def test_the_bank_is_large_and_says_what_it_wants():
    assert len(CASES) >= 80
    assert {case.family for case in CASES} == set(bank.FAMILIES)
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        worth = WORTH[case.topic]
        points = case.wanted(worth)
        assert set(points) == set(worth)
        assert all(0 <= points[name] <= worth[name] for name in worth), case.name
        assert case.what.endswith("."), f"{case.name}: the first line says what it tries"
        assert case.cells or case.options["answers"], f"{case.name} hands in nothing"


def test_a_case_that_breaks_the_format_is_named(tmp_path):
    (tmp_path / "marks").mkdir()
    path = tmp_path / "marks" / "broken.py"
    for text, reason in (
        ("x = 1\n", "no docstring"),
        ('"""What.\n\nscore: 0\n"""\n', "score and note are needed"),
        ('"""What.\n\nscore: 0\nnote: -\ncolour: red\n"""\n', "unknown key colour"),
    ):
        path.write_text(text)
        with pytest.raises(bank.CaseError, match=reason):
            bank.read_case(path)
    path.write_text('"""What.\n\nscore: no_such=3\nnote: -\n"""\n')
    with pytest.raises(bank.CaseError, match="no_such=3"):
        bank.read_case(path).wanted(WORTH[bank.TOPIC])


def test_cells_stand_where_the_case_says(tmp_path):
    path = tmp_path / "marks" / "placed.py"
    path.parent.mkdir()
    path.write_text(
        '"""What.\n\nanswers: kv_cache_bytes\nscore: 0\nnote: -\nbomb: yes\n"""\n'
        "# %%\nfirst = HOST_FILE\n# %% KVCache\nKVCache = 5\n# %%\nafter = 1\n# %% end\nlast = 1\n"
        "# %% build\ncell('kv_cache_bytes').metadata['seen'] = 1\nwrite()\n"
    )
    case = bank.read_case(path)
    with Canaries() as canaries:
        facts = canaries.facts("placed")
        bank.make_submission(case, tmp_path / "in", facts, RELEASE, REFERENCE)
    notebook = nbformat.read(tmp_path / "in" / f"{bank.TOPIC}.ipynb", as_version=4)
    sources = [cell.source for cell in notebook.cells]
    place = next(i for i, text in enumerate(sources) if text.endswith("KVCache = 5"))
    assert sources[place - 1].endswith(f"first = {facts['HOST_FILE']!r}") and sources[place + 1].endswith("after = 1")
    assert sources[-1].endswith("last = 1")
    assert all(bank.UNLIT in sources[i] for i in (place - 1, place, place + 1, -1)), "a bomb without its guard"
    honest = notebook.cells[bank.index_of(notebook, "kv_cache_bytes")]
    assert honest.source == REFERENCE["kv_cache_bytes"] and honest.metadata.seen == 1


def test_canaries_tell_what_was_touched():
    import socket

    with Canaries() as canaries:
        assert canaries.findings() == []
        facts = canaries.facts("eve")
        door = socket.create_connection(("127.0.0.1", facts["HOST_TCP"]))
        door.sendall(facts["HOST_KNOCK"])
        door.close()
        letter = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        letter.sendto(facts["HOST_KNOCK"], ("127.0.0.1", facts["HOST_UDP"]))
        letter.close()
        (canaries.writable / "new.txt").write_text("x")
        (canaries.temporary / "core").write_text("x")
        for _ in range(100):
            found = canaries.findings()
            if len(found) == 3:
                break
        assert [text.split(":")[0] for text in found] == [
            "a listener of the host got a knock",
            "open was changed",
            "left in the temporary folder",
        ]
        assert "eve was here" in found[0]
    assert not canaries.root.exists()


def test_a_grader_that_says_nothing_more_is_ended():
    import subprocess
    import sys

    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    classes.watch(process, ["a line"], patience_s=0.5)
    assert process.returncode == -9


def test_judge_is_strict():
    case = bank.Case(
        "marks",
        "made_up",
        "What.",
        {"score": "KVCache=6", "note": "too long", "answers": "", "bomb": "", "topic": ""},
        [],
    )
    wanted = case.wanted(WORTH[bank.TOPIC])
    good = classes.Outcome(case, wanted, {"KVCache": 6}, "test: this ran too long\n")
    assert classes.judge(good, "raw", "s3cret") == []
    for change, raw, reason in (
        ({"points": None}, "", "not graded"),
        ({"points": {"KVCache": 5}}, "", "KVCache got 5, wanted 6"),
        ({"points": {"KVCache": 6, "generate": 1}}, "", "generate got 1, wanted 0"),
        ({"text": "nothing"}, "", "no note"),
        ({"text": "too long, REACHED the host"}, "", "reached out"),
        ({"text": f"too long {bank.UNLIT}"}, "", "without a jail"),
        ({}, "holds s3cret", "read a secret"),
    ):
        outcome = classes.Outcome(**(vars(good) | {"misses": []} | change))
        outcome.misses = classes.judge(outcome, raw, "s3cret")
        assert any(re.search(reason, miss) for miss in outcome.misses), reason
        assert outcome.got_too_little == (reason in ("KVCache got 5, wanted 6", "no note"))


def test_command_prints_table_and_figures(monkeypatch, capsys, tmp_path):
    from autograder import __main__

    def grade(cases, jobs, stock):
        wanted = [case.wanted(WORTH[case.topic]) for case in cases]
        outcomes = [classes.Outcome(case, points, points, "a line") for case, points in zip(cases, wanted, strict=True)]
        outcomes[0].misses = ["made to miss"]
        return outcomes, []

    monkeypatch.setattr(command, "grade_bank", grade)
    assert __main__.main(["hostile", "--case", "marks/patched_*", "--json", str(tmp_path / "o.json")]) == 1
    said = capsys.readouterr().out
    count = len(bank.read_bank("marks/patched_*"))
    assert "NOT AS WANTED: made to miss" in said and f"{count - 1:>3} of {count:>3} as wanted" in said
    assert len(json.loads((tmp_path / "o.json").read_text())["outcomes"]) == count
    assert __main__.main(["hostile", "--case", "no_such_case"]) == 1
