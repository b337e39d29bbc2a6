"""The measurements: what they compute must be equal and what they report must add up; times are never judged."""

import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mini_engine import loading
from mini_engine.__main__ import main
from mini_engine.bench import ablation as bench_ablation
from mini_engine.bench.timing import interleaved
from mini_engine.config import TINY
from mini_engine.paged_cache import PagedKVCache


class CountOps(TorchDispatchMode):
    """Names of the torch operations that ran."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_the_paged_read_has_no_loop_over_sequences_or_blocks():
    """One index_copy_ and one index_select for K, the same for V, however many sequences and blocks there are."""
    counts = []
    for batch, columns in ((1, 1), (4, 3), (16, 6)):
        cache = PagedKVCache(TINY, batch * columns, 4)
        tables = torch.arange(batch * columns).view(batch, columns).tolist()
        cache.begin(tables, [4 * columns - 1] * batch, [1] * batch)
        k = torch.zeros(batch, 2, 1, 16)
        with CountOps() as ops:
            cache.update(0, k, k)
        counts.append(sorted(ops.names))
    assert counts[0] == counts[1] == counts[2]
    assert counts[0].count("index_select") == counts[0].count("index_copy_") == 2


def test_interleaved_rounds_alternate():
    calls = []
    times = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, warmup=1)
    assert calls == ["a", "b"] * 4 and [len(t) for t in times.values()] == [3, 3]


def test_bench_paged_compares_equal_variants(tmp_path, capsys):
    report, picture = tmp_path / "paged.json", tmp_path / "paged.png"
    options = ["--shape", "tiny", "--batches", "2", "5", "--context", "21", "--block-size", "4", "--rounds", "2"]
    assert main(["bench", "paged", "--json", str(report), "--plot", str(picture), *options]) == 0
    rows = json.loads(report.read_text())["rows"]
    assert [row["batch"] for row in rows] == [2, 5] and all(row["loop_ms"] > 0 for row in rows)
    assert picture.read_bytes().startswith(b"\x89PNG") and "loop/paged" in capsys.readouterr().out


def test_bench_paged_would_notice_a_wrong_cache(monkeypatch):
    update = PagedKVCache.update

    def reads_other_blocks(self, layer, k, v):
        k, v, mask = update(self, layer, k, v)
        return k, v.roll(1, dims=0) + 1, mask

    monkeypatch.setattr(PagedKVCache, "update", reads_other_blocks)
    with pytest.raises(AssertionError, match="not close"):
        main(["bench", "paged", "--shape", "tiny", "--batches", "2", "--context", "21", "--rounds", "1"])


def test_ablation_keeps_the_text_and_reports_every_stage():
    models = {quant: loading.load("tiny", quant, dtype=torch.float32)[0] for quant in (None, "int8", "int4")}
    requests = bench_ablation.workload(loading.CharTokenizer(), 4, 6)
    assert len({len(prompt) for prompt, _ in requests}) > 1 and [n for _, n in requests] == [3, 6, 4, 3]
    rows = bench_ablation.ablation(bench_ablation.stages(models, requests, 4), num_rounds=1, progress=False)
    by_name = {row["stage"]: row for row in rows}
    assert list(by_name) == [
        *("naive", "+ cache", "+ batching", "+ paging", "+ prefix reuse", "+ int8", "+ int4", "+ speculation"),
    ]
    for name in ("+ cache", "+ batching", "+ paging", "+ prefix reuse"):
        assert by_name[name]["num_same_text"] == 4, name
    longest = max(len(prompt) + n for prompt, n in requests)
    token_bytes = 2 * TINY.num_hidden_layers * TINY.num_key_value_heads * TINY.head_dim * 4
    assert by_name["naive"]["peak_kv_bytes"] == 0
    assert by_name["+ cache"]["peak_kv_bytes"] == longest * token_bytes
    assert by_name["+ batching"]["peak_kv_bytes"] == 4 * longest * token_bytes
    assert by_name["+ prefix reuse"]["peak_kv_bytes"] < by_name["+ paging"]["peak_kv_bytes"]
    for row in rows:
        assert row["ttft_s"] > 0 and row["tokens_per_s"] == pytest.approx(16 / row["duration_s"])


def test_bench_ablation_command(tmp_path, capsys):
    report, picture = tmp_path / "a.json", tmp_path / "a.png"
    options = ["--model", "tiny", "--num-requests", "2", "--max-tokens", "4", "--rounds", "1"]
    assert main(["bench", "ablation", "--json", str(report), "--plot", str(picture), *options]) == 0
    results = json.loads(report.read_text())
    assert results["machine"]["torch"] == torch.__version__ and len(results["rows"]) == 8
    assert [row["num_same_text"] for row in results["single_rows"]] == [1, 1]
    assert picture.read_bytes().startswith(b"\x89PNG") and "peak KV MB" in capsys.readouterr().out


@pytest.mark.parametrize("options", [["paged", "--rounds", "0"], ["ablation", "--num-requests", "0"]])
def test_bad_sizes_are_one_line(options, capsys):
    assert main(["bench", *options]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
