"""The quality table: its numbers against torch's own formulas on the shipped checkpoint, and the recorded run."""

import numpy as np
import pytest
import torch

from mini_engine.bench import quality
from mini_engine.bench.quality_table import load_recorded, print_table
from mini_engine.model import Llama
from mini_engine.weights import load_tiny


@pytest.fixture(scope="module")
def measured():
    config, weights = load_tiny()
    rng = np.random.default_rng(8)
    before = weights["layers"][0]["w_down"].copy()
    windows = [rng.integers(0, config.vocab_size, n).tolist() for n in (40, 40, 9)]
    names = [
        "float32",
        "int8-g64",
        "int4-g32",
        "int4-g128-awq",
        "int4-g128-gptq",
        "engine-int8",
        "engine-int4",
        "kv-int8",
    ]
    rows = quality.measure(config, weights, windows, windows[:2], names, lambda names, desc: names)
    assert np.array_equal(weights["layers"][0]["w_down"], before), "measuring changed the weights it was given"
    return config, weights, windows, {row["name"]: row for row in rows}


def test_the_reference_differs_from_itself_by_nothing(measured):
    row = measured[3]["float32"]
    assert (row["kl"], row["agreement"], row["change_percent"], row["weight_error"]) == (0, 1, 0, 0)
    assert row["bits_per_weight"] == 32


def test_perplexity_is_torchs(measured):
    config, weights, windows, rows = measured
    model = Llama(config, weights, torch.float64)
    losses = []
    for ids in windows:
        logits = model(torch.tensor([ids]))[0]
        losses.append(torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]), reduction="none"))
    losses = torch.cat(losses)
    assert len(losses) == 40 + 40 + 9 - 3
    assert rows["float32"]["perplexity"] == pytest.approx(losses.mean().exp().item(), rel=1e-5)
    error = losses.std().item() / len(losses) ** 0.5
    assert rows["float32"]["perplexity_se"] == pytest.approx(losses.mean().exp().item() * error, rel=1e-4)


def test_kl_is_torchs(measured):
    config, weights, windows, rows = measured
    model, other = Llama(config, weights), quality.quantized_copy((config, weights), quality.ROWS["int4-g32"][1], {})[0]
    kl, same = [], []
    for ids in windows:
        p, q = (m(torch.tensor([ids]))[0, :-1].double().log_softmax(-1) for m in (model, other))
        kl.append(torch.nn.functional.kl_div(q, p, reduction="none", log_target=True).sum(-1))
        same.append(p.argmax(-1) == q.argmax(-1))
    assert rows["int4-g32"]["kl"] == pytest.approx(torch.cat(kl).mean().item(), rel=1e-3)
    assert rows["int4-g32"]["agreement"] == pytest.approx(torch.cat(same).double().mean().item())


def test_fewer_bits_lose_more(measured):
    rows = measured[3]
    kl = {name: row["kl"] for name, row in rows.items()}
    assert 0 < kl["int8-g64"] < 0.1 * kl["int4-g32"]
    assert 0 < kl["kv-int8"] < 0.1 * kl["int4-g32"]
    assert 0 < kl["engine-int8"] < 0.1 * kl["engine-int4"]
    assert kl["int4-g128-gptq"] > 0 and kl["int4-g128-awq"] > 0
    assert rows["int4-g32"]["bits_per_weight"] == 4.5
    assert 8 < rows["engine-int8"]["bits_per_weight"] < 9
    assert rows["engine-int4"]["bits_per_weight"] == 5


def test_bits_per_weight():
    assert quality.bits_per_weight(1536, 4, 128) == 4.125
    assert quality.bits_per_weight(576, 8, 128) == 8 + 5 * 16 / 576, "four groups of 128 and one of 64"
    assert quality.bits_per_weight(64, 4, 32, symmetric=False) == 5


def test_windows(tmp_path):
    class Words:
        def encode(self, text):
            return list(range(len(text.split())))

    path = tmp_path / "words.txt"
    path.write_text("word " * 2050)
    assert [len(ids) for ids in quality.read_windows(path, Words(), 2050)] == [1024, 1024, 2]
    assert [len(ids) for ids in quality.read_windows(path, Words(), 2049)] == [1024, 1024], "one id predicts nothing"
    for bad in (2051, 1, 0, -5):
        with pytest.raises(ValueError, match=str(bad)):
            quality.read_windows(path, Words(), bad)


def test_recorded_run(capsys):
    """The numbers that the book shows, against what must hold of them whatever the machine."""
    data = load_recorded()
    rows = {row["name"]: row for row in data["rows"]}
    assert set(rows) == set(quality.ROWS), (
        "record again: python -m mini_engine quality --output mini_engine/data/quality.json"
    )
    assert data["num_predictions"] >= 4000
    assert {"processor", "num_cores", "num_threads", "torch", "python", "numpy"} <= set(data["machine"])
    assert rows["int4-g32-asym"]["weight_error"] == 0 == rows["int4-g32-asym"]["kl"], "the file's own grid is lossless"
    for name in ("int8-g64", "int8-g128", "engine-int8", "kv-int8"):
        assert rows[name]["kl"] < 0.01 and rows[name]["agreement"] > 0.93, name
        assert abs(rows[name]["change_percent"]) < 1, name
    for form in ("int4-g128", "int4-g128-asym"):
        assert rows[f"{form}-awq"]["kl"] < 0.6 * rows[form]["kl"], form
        assert rows[f"{form}-gptq"]["kl"] < 0.9 * rows[form]["kl"], form
    assert rows["int4-g32"]["kl"] < rows["int4-g64"]["kl"] < rows["int4-g128"]["kl"]
    print_table(data)
    shown = capsys.readouterr().out
    assert all(row["label"] in shown for row in data["rows"]) and data["machine"]["date"] in shown
