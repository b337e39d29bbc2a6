"""A page shows this machine's measurement, or the recorded one where the model is missing, and says which."""

import json
import re
from pathlib import Path

import pytest

from book.tools import build_book
from mini_engine.bench import recorded
from mini_engine.files.fetch import ModelUnavailable

ROOT = Path(__file__).parents[1]


def test_without_the_model_the_recorded_result_is_shown(tmp_path, monkeypatch):
    path = tmp_path / "pages.json"
    monkeypatch.setattr(recorded, "smollm2_is_cached", lambda: True)
    monkeypatch.setenv(recorded.RECORD, "1")
    result, note = recorded.measured("ttft", lambda: {"ms": (1, 2)}, path)
    assert result == {"ms": [1, 2]} and note.startswith("Measured")
    monkeypatch.delenv(recorded.RECORD)
    recorded.measured("other", lambda: 3, path)
    assert set(json.loads(path.read_text())) == {"ttft"}, "written only when asked"
    monkeypatch.setattr(recorded, "smollm2_is_cached", lambda: False)
    result, note = recorded.measured("ttft", lambda: pytest.fail("measured without the model"), path)
    assert result == {"ms": [1, 2]} and note.startswith("Recorded") and "was not on the machine" in note


def test_the_build_goes_on_without_the_model_and_says_so_in_one_line(monkeypatch, capsys):
    def unavailable():
        raise ModelUnavailable("no network")

    monkeypatch.setattr(build_book, "fetch_gguf", unavailable)
    build_book.fetch_model()
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "recorded figures" in said and "no network" in said


def test_no_page_waits_for_a_recording_or_times_the_small_test_model():
    for page in sorted((ROOT / "book").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        for words in ("has been recorded yet", "2-layer test model", "read no speed"):
            assert words not in text, f"{page.name} says {words!r}: show a recorded run or leave it out"


def test_every_page_that_measures_has_a_recording():
    recordings = json.loads(recorded.PAGES.read_text(encoding="utf-8"))
    for page in sorted((ROOT / "book").glob("*.md")):
        for name in re.findall(r"measured\(\"([^\"]+)\"", page.read_text(encoding="utf-8")):
            assert name in recordings, f"{page.name} measures {name!r}: build it once with {recorded.RECORD}=1"
