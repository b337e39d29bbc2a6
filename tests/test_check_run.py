"""The checker of the vLLM lab accepts a sound file, names what is wrong with others, and marks made-up numbers."""

import json
from pathlib import Path

import pytest

import mini_engine
from mini_engine.__main__ import main
from mini_engine.commands import check_run

SAMPLE = Path(mini_engine.__file__).parent / "data" / "vllm_t4_made_up.json"


def sample():
    return [json.loads(line) for line in SAMPLE.read_text().splitlines()]


def check(tmp_path, runs, capsys):
    """(exit code, what was said) for a file with these runs."""
    path = tmp_path / "run.json"
    path.write_text("\n".join(json.dumps(run) for run in runs))
    code = main(["check-run", str(path)])
    return code, "".join(capsys.readouterr())


def test_the_sample_is_sound_and_says_that_it_is_made_up(tmp_path, capsys):
    code, said = check(tmp_path, sample(), capsys)
    assert code == 0 and said.startswith("MADE UP") and "can be compared" in said
    assert (tmp_path / "run.png").stat().st_size > 10_000
    honest = [{key: value for key, value in run.items() if key != "made_up"} for run in sample()]
    assert "MADE UP" not in check(tmp_path, honest, capsys)[1]


@pytest.mark.parametrize(
    ("place", "change", "says"),
    [
        (0, {"median_tpot_ms": 5.0}, "not possible"),
        (1, {"completed": 200}, "only 200 of 256"),
        (2, {"total_output_tokens": 1900, "output_throughput": 95.5}, "--ignore-eos"),
        (3, {"output_throughput": 4000.0}, "not tokens over seconds"),
        (3, {"max_concurrency": 1}, "two runs of awq"),
        (3, {"max_concurrency": 8}, "lacks awq at concurrency 32"),
        (0, {"duration": 0}, "above 0"),
        (0, {"median_tpot_ms": None}, "above 0"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, capsys, place, change, says):
    runs = sample()
    runs[place] |= change
    code, said = check(tmp_path, runs, capsys)
    assert code == 1 and says in said, said


def test_files_that_are_something_else(tmp_path, capsys):
    path = tmp_path / "run.json"
    for text, says in (("not json", "not JSON"), ("[1, 2]", "JSON objects"), ("{}", "vllm bench serve"), ("", "lacks")):
        path.write_text(text)
        assert main(["check-run", str(path)]) == 1
        assert says in capsys.readouterr().err
    assert main(["check-run", str(tmp_path / "absent.json")]) == 1


def test_the_floors_count_what_a_step_reads():
    floors = check_run.floors_ms()
    # 1.54 billion parameters of the model card, nearly all of them read, at 320 GB/s
    assert floors["fp16"] == pytest.approx(1e3 * 2 * 1.54e9 / 320e9, rel=0.01)
    assert 2.5 < floors["fp16"] / floors["awq"] < 4, "the head stays in 16 bits, so fewer than 4 times"
