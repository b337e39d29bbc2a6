"""tools/record_gpu.sh and what decides whether a run may stand in the book."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
spec = importlib.util.spec_from_file_location("keep_gpu_run", ROOT / "tools" / "keep_gpu_run.py")
keep = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keep)


def whole_run():
    machine = {"device": "cuda", "name": "Some GPU", "driver": "580.1", "torch": "2.11", "date": "2027-01-02"}
    row = {"how": "graph", "same_text": True, "measured_s": {"min": 1e-3, "median": 2e-3, "max": 3e-3}}
    parts = {part: {"rows": [], "wall_s": 1.0} for part in keep.PARTS}
    return {"machine": machine, "quick": False} | parts | {"road": {"float32": {"rows": [row]}}}


def test_a_whole_run_is_kept(tmp_path, monkeypatch, capsys):
    target = tmp_path / "a" / "b" / "gpu_run.json"
    target.parent.mkdir(parents=True)
    monkeypatch.setattr(keep, "TARGET", target)
    (tmp_path / "run.json").write_text(json.dumps(whole_run()))
    assert keep.main([str(tmp_path / "run.json")]) == 0
    assert json.loads(target.read_text()) == whole_run()
    assert "kept as a/b/gpu_run.json" in capsys.readouterr().out


OTHER_TEXT = {"float32": {"rows": [whole_run()["road"]["float32"]["rows"][0] | {"same_text": False}]}}


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"machine": whole_run()["machine"] | {"device": "cpu"}}, "made on cpu, not on a GPU"),
        ({"machine": whole_run()["machine"] | {"driver": None}}, "does not say its driver"),
        ({"quick": True}, "--quick"),
        ({"stack": {"missing": "CUDA out of memory"}}, "part stack is missing: CUDA out of memory"),
        (
            {"road": {"float32": {"rows": [whole_run()["road"]["float32"]["rows"][0] | {"same_text": False}]}}},
            "another text",
        ),
    ],
)
def test_other_runs_are_not(tmp_path, monkeypatch, capsys, change, reason):
    monkeypatch.setattr(keep, "TARGET", tmp_path / "gpu_run.json")
    (tmp_path / "run.json").write_text(json.dumps(whole_run() | change))
    assert keep.main([str(tmp_path / "run.json")]) == 1
    assert reason in capsys.readouterr().err and not keep.TARGET.exists()
    forced = keep.main([str(tmp_path / "run.json"), "--force"])
    assert forced == (0 if reason.startswith("part") else 1), "only missing parts can be waived"


def test_what_the_book_shows_is_such_a_run():
    if keep.TARGET.exists():
        run = json.loads(keep.TARGET.read_text())
        assert [line for line in keep.problems(run) if not line.startswith("part ")] == []


def run_script(*arguments, **environment):
    command = ["sh", str(ROOT / "tools" / "record_gpu.sh"), *arguments]
    environment = os.environ | {"PYTHON": sys.executable} | environment
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_without_a_gpu_nothing_is_recorded(tmp_path):
    done = run_script("record", str(tmp_path / "run"), CUDA_VISIBLE_DEVICES="")
    assert done.returncode == 1 and "no usable CUDA device" in done.stderr
    assert not (tmp_path / "run" / "gpu_run.json").exists()
    usage = run_script()
    assert usage.returncode == 2 and "record_gpu.sh keep FOLDER" in usage.stderr and "set -eu" not in usage.stderr
