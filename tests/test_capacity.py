"""The capacity command: its four rows, its rule for tensor parallelism, and what it refuses."""

import pytest

from mini_engine.commands.capacity import main

SHAPE = "--layers 32 --heads 32 --kv-heads 8 --hidden 4096 --inner 14336 --vocab 128256".split()


def rows(capsys, *argv):
    """Run the command and return its printed rows as a dict."""
    assert main(argv) == 0
    return {line[:18].strip(): line[18:] for line in capsys.readouterr().out.splitlines() if line}


@pytest.mark.parametrize("tp, batch", [(1, 59), (2, 134), (4, 283), (8, 581)])
def test_the_four_rows(capsys, tp, batch):
    got = rows(capsys, *SHAPE, "--gpu-gb", "80", "--context", "8192", "--tp", str(tp))
    assert got["parameters"] == "8,030,261,248"
    assert got["parameter memory"] == "16.06 GB (14.96 GiB)"
    assert got["KV per request"] == "1.074 GB (1.000 GiB) at 8192 tokens, 131072 bytes per token"
    assert got["max batch"] == str(batch)


def test_a_named_model_is_its_shape(capsys):
    named, by_flags = rows(capsys, "--model", "llama-3-8b"), rows(capsys, *SHAPE)
    named.pop("model"), by_flags.pop("model")
    assert named == by_flags


def test_a_flag_overrides_the_named_model(capsys):
    got = rows(capsys, "--model", "llama-3-8b", "--kv-heads", "32")
    weights = 2 * (8_030_261_248 + 2 * 32 * 4096 * 24 * 128)  # 24 more KV heads: K and V projections grow too
    assert got["max batch"] == str(int((80e9 - weights) // (4 * 2**30)))


def test_gib_fraction_and_precision(capsys):
    assert rows(capsys, "--model", "llama-3-8b", "--gpu-gib", "80")["max batch"] == "65"
    design = ["--model", "llama-3-70b", "--tp", "8"]
    assert rows(capsys, *design)["max batch"] == "185"
    assert rows(capsys, *design, "--memory-fraction", "0.9")["max batch"] == "162"
    assert rows(capsys, *design, "--kv-bytes", "1")["max batch"] == "371"
    assert rows(capsys, "--model", "smollm2-135m")["parameters"] == "134,515,008"


def test_a_model_that_does_not_fit_is_an_answer_not_an_error(capsys):
    got = rows(capsys, "--model", "llama-3-70b")
    assert got["max batch"] == "0" and got["why"] == "the weights alone need 141.11 GB per GPU, which has 80.00 GB"


def test_replicated_kv_heads_are_named(capsys):
    got = rows(capsys, "--model", "llama-3-8b", "--tp", "16", "--replicate-kv")
    assert got["note"].startswith("each KV head is kept 2 times")
    assert got["KV per request"].startswith("2.147 GB")


@pytest.mark.parametrize(
    "argv, words",
    [
        ("--model gpt-9", "unknown model gpt-9"),
        ("--layers 4 --heads 4", "--kv-heads --hidden --inner --vocab"),
        ("", "give --model"),
        ("--model llama-3-8b --gpu-gb 0", "got 0.0 GB"),
        ("--model llama-3-8b --gpu-gb nan", "nan"),
        ("--model llama-3-8b --gpu-gb 80 --gpu-gib 80", "not allowed with"),
        ("--model llama-3-8b --context 0", "context must be positive, got 0"),
        ("--model llama-3-8b --context many", "many"),
        ("--model llama-3-8b --tp 0", "tp must be positive, got 0"),
        ("--model llama-3-8b --tp 16", "real engines copy KV heads"),
        ("--model llama-3-8b --tp 3", "does not divide the 32 query heads"),
        ("--model llama-3-8b --kv-heads 5", "not a multiple of num_key_value_heads=5"),
        ("--model llama-3-8b --layers -1", "num_hidden_layers must be at least 1, got -1"),
        ("--model llama-3-8b --memory-fraction 1.5", "got 1.5"),
        ("--model llama-3-8b --kv-bytes 0", "0.0"),
        (" ".join(SHAPE).replace("--heads 32", "--heads 0"), "--heads 0"),
        (" ".join(SHAPE).replace("4096", "4097"), "--hidden 4097 is not a multiple"),
    ],
)
def test_nonsense_gets_one_line_and_exit_code_two(capsys, argv, words):
    try:
        code = main(argv.split())
    except SystemExit as end:  # a mistyped number ends in argparse
        code = end.code
    printed = capsys.readouterr()
    assert code == 2 and printed.out == ""
    assert printed.err.count("\n") == 1 and printed.err.startswith("capacity: ") and words in printed.err
