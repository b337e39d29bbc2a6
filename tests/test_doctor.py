"""The jail's promises, each broken on purpose in both modes, and the doctor that tells of them."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from jailed import need_jail

from autograder.__main__ import main
from autograder.grading import course
from autograder.outside import lending
from autograder.outside import tester as outside
from autograder.sandbox import (
    confine,
    doctor,
    modes,
    probes,
)

OF_TESTER = ("network", "files of the course", "other processes", "rights", "programs", "writes", "limits")
PROMISES = ["jail", "network", "files of the course", "other processes", "rights", "exchange"]
PROMISES += [*(f"tester: {promise}" for promise in OF_TESTER), "tester: lent objects", *probes.PROBES]


@pytest.fixture(scope="module")
def findings(mode):
    return {finding.promise: finding for finding in doctor.examine(mode)}


@pytest.mark.parametrize("promise", PROMISES)
def test_promise_holds(findings, promise):
    assert findings[promise].holds, findings[promise].found


def test_no_promise_is_left_out(findings):
    assert list(findings) == PROMISES


def test_attempts_succeed_without_a_jail():
    """Else the probes would prove nothing."""
    if sys.platform != "linux":
        pytest.skip("the attempts are NOT tried here: they are written for Linux")
    cell = modes.new_cell()
    try:
        with doctor.targets(cell) as told:
            script = [sys.executable, "-I", "-S", str(modes.HERE / "attempts.py"), json.dumps(told)]
            environment = os.environ | {"NBGRADER_DB_URL": "secret"}
            done = subprocess.run(script, env=environment, cwd=cell.submission, capture_output=True, text=True)
            subprocess.run(["kill", "-CONT", str(told["victim"])], check=True)
    finally:
        shutil.rmtree(cell.run)
    broken = json.loads(done.stdout)
    for promise in ("network", "files of the course", "other processes", "rights", "exchange"):
        assert broken[promise], f"{promise}: nothing could be done even without a jail"
    assert {"read the grader's NBGRADER_DB_URL", "limited a process of the host"} <= set(broken["other processes"])
    assert len(broken["network"]) == 5


@pytest.mark.parametrize("holds", [True, False])
def test_doctor_says_whether_the_chosen_jail_holds(holds, monkeypatch, capsys):
    monkeypatch.setenv("COURSE_JAIL", "auto")
    monkeypatch.setattr(modes, "tried", lambda asked: "landlock" if asked == "auto" else asked)
    found = {"bubblewrap": not holds, "landlock": holds}  # only the one that grading would use decides
    monkeypatch.setattr(doctor, "examine", lambda mode: [doctor.Finding("jail", found[mode], "made up")])
    assert main(["doctor"]) == (0 if holds else 1)
    assert ("keeps its promises" in capsys.readouterr().out) == holds
    assert main(["doctor", "--json"]) == (0 if holds else 1)
    report = json.loads(capsys.readouterr().out)
    assert report["mode"] == "landlock" and report["holds"] == holds
    assert report["jails"]["bubblewrap"] == [{"promise": "jail", "holds": not holds, "found": "made up"}]


def test_doctor_without_any_jail_names_the_mend(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_JAIL", "bubblewrap")
    monkeypatch.setenv("PATH", "/nowhere")
    modes.tried.cache_clear()
    assert main(["doctor", "--mode", "bubblewrap"]) == 1
    assert capsys.readouterr().out.count("apt-get install bubblewrap") == 2  # in the table and as the last line
    modes.tried.cache_clear()


def findings_of_tester(monkeypatch, **patched):
    """What doctor finds of the tester with functions of confine.py replaced."""
    for name, value in patched.items():
        monkeypatch.setattr(confine, name, value)
    return {finding.promise.removeprefix("tester: "): finding for finding in doctor.try_tester("landlock")}


def test_every_promise_of_the_tester_can_be_broken(monkeypatch):
    """Else the probes would prove nothing."""
    need_jail("landlock")
    monkeypatch.setattr(lending, "answers_of", lambda value: frozenset({"given", "other", "method", "__call__"}))
    monkeypatch.setattr(outside, "limit_this_process", lambda *limits: None)
    found = findings_of_tester(monkeypatch, enter=lambda: None)
    assert not [promise for promise, finding in found.items() if finding.holds]


def test_an_ordinary_account_confines_its_tester_too(tmp_path):
    if os.getuid():
        pytest.skip("only root can try another account: the doctor tried this one")
    need_jail("landlock")
    code = (
        "import os\n"
        "from autograder.sandbox import cells, confine, places, rights\n"
        "everything = places.everyone_reads(confine.readable()[0])\n"
        "rights.become(54321, not everything)\n"
        "confine.readable.cache_clear()\n"
        "print(os.getuid(), cells.own_uid(), confine.objection() or 'confined')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=course.ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["54321", "None", "confined"], done.stderr + done.stdout
