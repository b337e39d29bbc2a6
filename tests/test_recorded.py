"""A page shows this machine's measurement, or the recorded one where the model is missing, and says which."""

import json

import pytest

from mini_engine.bench import recorded


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
