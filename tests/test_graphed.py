"""Static cache, recorded steps, ceilings and what is said where something is missing; all on the CPU."""

import json
from types import SimpleNamespace

import pytest
import torch

from mini_engine import device
from mini_engine.bench import ceilings, machine, timing
from mini_engine.engine import Engine
from mini_engine.generate import ROAD, greedy
from mini_engine.gpu import graphs as graphed
from mini_engine.gpu.static_cache import StaticKVCache
from mini_engine.kv_cache import KVCache
from mini_engine.model import Llama
from mini_engine.sequence import SamplingParams
from mini_engine.speed import step_seconds
from mini_engine.weights import load_tiny, load_tiny_expected

PROMPT = [3, 1, 4, 1, 5, 9, 2, 6]


@pytest.fixture(scope="module")
def model():
    return Llama(*load_tiny(), torch.float64)


@pytest.mark.parametrize("how", [how for how in ROAD if how != "compile"])
def test_every_step_of_the_road_writes_what_transformers_wrote(model, how):
    for case in load_tiny_expected():
        expected = [int(token) for token in case["greedy"]]
        assert greedy(model, case["ids"], len(expected), how) == expected
    assert greedy(model, PROMPT, 1, how) == greedy(model, PROMPT, 3, "cache")[:1]


def test_road_refuses(model):
    with pytest.raises(ValueError, match="'magic'"):
        greedy(model, PROMPT, 4, "magic")
    with pytest.raises(ValueError, match="the prompt is empty"):
        greedy(model, [], 4, "graph")
    with pytest.raises(ValueError, match="how must be one of"):
        graphed.GraphedDecoder(model, StaticKVCache(model.config, 8), how="static cache")


def test_static_cache_equals_the_growing_one(model):
    """Chunks, single tokens and a truncation in between, for two sequences; unused rows hold NaN-free rubbish."""
    ids = torch.randint(512, (2, 20), generator=torch.Generator().manual_seed(3))
    grown = KVCache(model.config, 32, 2, torch.float64)
    static = StaticKVCache(model.config, 32, 2, torch.float64)
    static.k.normal_(std=50)
    static.v.normal_(std=50)
    for start, end, keep in ((0, 7, 7), (7, 12, 9), (9, 10, 10), (10, 20, 20)):
        a, b = model(ids[:, start:end], grown), model(ids[:, start:end], static)
        torch.testing.assert_close(b, a, rtol=0, atol=1e-10)
        grown.truncate(keep)
        static.truncate(keep)
        assert static.length == int(static.position) == keep
    with pytest.raises(ValueError, match="cache is full: 20 of 32"):
        model(torch.zeros(2, 13, dtype=torch.long), static)


def test_static_cache_keeps_shapes_and_addresses(model):
    cache = StaticKVCache(model.config, 16, 1, torch.float64)
    seen = set()
    for token in PROMPT:
        model(torch.tensor([[token]]), cache)
        k, v, mask = cache.k[1], cache.v[1], cache.mask
        seen.add((k.data_ptr(), v.data_ptr(), tuple(k.shape), tuple(mask.shape), cache.position.data_ptr()))
    assert len(seen) == 1
    assert mask.shape == (1, 1, 1, 16) and int((mask == 0).sum()) == len(PROMPT)


def test_decoder_verifies_several_tokens_in_one_step(model):
    """A step of four tokens gives the logits of four steps of one."""
    drafts, room = torch.tensor([[7, 8, 9, 10]]), 32
    one = graphed.GraphedDecoder(model, StaticKVCache(model.config, room, 1, torch.float64))
    four = graphed.GraphedDecoder(model, StaticKVCache(model.config, room, 1, torch.float64), num_new=4)
    prompt = torch.tensor([PROMPT])
    torch.testing.assert_close(one.prefill(prompt), four.prefill(prompt))
    singles = torch.cat([one.step(drafts[:, i : i + 1]).clone() for i in range(4)], dim=1)
    torch.testing.assert_close(four.step(drafts), singles, rtol=0, atol=1e-10)
    assert four.cache.length == len(PROMPT) + 4
    assert "no CUDA here" in one.note
    with pytest.raises(ValueError, match=r"takes ids \(1, 4\), got \(1, 1\)"):
        four.step(drafts[:, :1])
    with pytest.raises(ValueError, match="cache is full"):
        for _ in range(9):
            four.step(drafts)


class FakeCuda:
    """Stands in for CUDA's graphs: a recording changes no memory, a replay changes memory and nothing in Python."""

    def __init__(self, monkeypatch, cache, fails=False):
        self.cache, self.fails, self.num_runs, self.num_replays = cache, fails, 0, 0
        stream = SimpleNamespace(wait_stream=lambda other: None)
        for name in ("current_stream", "Stream"):
            monkeypatch.setattr(torch.cuda, name, lambda device=None: stream)
        monkeypatch.setattr(torch.cuda, "stream", lambda stream: torch.no_grad())
        monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: None)
        monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: self)
        monkeypatch.setattr(torch.cuda, "graph", lambda graph, pool=None, stream=None: self)
        monkeypatch.setattr(graphed, "capture", self.capture)
        self.real_capture = capture

    def capture(self, function, device, **options):
        def counted():
            self.num_runs += 1
            return function()

        self.function = function
        return self.real_capture(counted, "cuda", **options)

    def __enter__(self):
        if self.fails:
            raise RuntimeError("operation not permitted when stream is capturing\nmore lines")
        self.before = [tensor.clone() for tensor in self.memory()]

    def __exit__(self, *_):
        for tensor, value in zip(self.memory(), self.before, strict=True):
            tensor.copy_(value)

    def memory(self):
        return self.cache.k, self.cache.v, self.cache.position

    def replay(self):
        self.num_replays += 1
        length = self.cache.length
        self.cache.length = int(self.cache.position)
        self.output.copy_(self.function())
        self.cache.length = length


capture = graphed.capture


def test_a_recorded_step_leaves_no_trace_and_counts_on(model, monkeypatch):
    ids = [int(i) for i in load_tiny_expected()[3]["greedy"]]
    cache = StaticKVCache(model.config, 64, 1, torch.float64)
    fake = FakeCuda(monkeypatch, cache)
    decoder = graphed.GraphedDecoder(model, cache)
    token = decoder.prefill(torch.from_numpy(load_tiny_expected()[3]["ids"]).long()[None]).argmax(-1, keepdim=True)
    start, written = cache.length, []
    for _ in ids:
        written.append(int(token))
        if decoder._replay is None:  # what a recording returns is written by each replay
            decoder._record()
            assert fake.num_runs == 4 and cache.length == int(cache.position) == start
            fake.output = decoder._replay.output
        token = decoder.step(token)[:, -1].argmax(-1, keepdim=True)
    assert written == ids
    assert decoder.note == "CUDA graph" and fake.num_replays == len(ids)
    assert cache.length == int(cache.position) == start + len(ids)


def test_a_step_that_cannot_be_recorded_says_so(model, monkeypatch):
    cache = StaticKVCache(model.config, 8, 1, torch.float64)
    FakeCuda(monkeypatch, cache, fails=True)
    with pytest.raises(RuntimeError, match="cannot be recorded as a CUDA graph: operation not permitted") as caught:
        graphed.GraphedDecoder(model, cache).step(torch.tensor([[1]]))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("block_size", [4, 16])
def test_the_engine_writes_the_same_with_recorded_passes(model, block_size):
    """Requests of many lengths that come, grow over blocks and end: other buckets at almost every step."""
    prompts = [[(7 * i + j) % 512 for j in range(3 + 5 * i)] for i in range(7)]
    params = [SamplingParams(max_tokens=5 + 4 * i) for i in range(7)]
    options = {"num_blocks": 200, "block_size": block_size, "max_num_seqs": 5, "max_num_batched_tokens": 24}
    plain = Engine(model, **options).generate(prompts, params)
    engine = Engine(model, graphs=True, **options)
    recorded = engine.generate(prompts, params)
    assert [seq.output_token_ids for seq in recorded] == [seq.output_token_ids for seq in plain]
    keys = set(engine.runner.graphs._recorded)
    assert len(keys) > 3 and all(size & (size - 1) == 0 for key in keys for size in key)
    engine.check_invariants()


def test_buckets():
    assert [graphed.bucket(n) for n in (1, 2, 3, 4, 5, 8, 9, 64, 65)] == [1, 2, 4, 4, 8, 8, 16, 64, 128]


def test_what_was_recorded_at_the_start_serves_every_request(model):
    options = {"num_blocks": 40, "block_size": 4, "max_num_seqs": 3}
    prompts, params = [PROMPT, PROMPT[:3], PROMPT[2:]], SamplingParams(max_tokens=9)
    plain = Engine(model, **options).generate(prompts, params)
    engine = Engine(model, graphs=True, **options)
    with torch.inference_mode():
        assert engine.runner.graphs.record(3, 40) == 3 * 5  # 1, 2 and 4 rows; 1 to 16 blocks
    before = set(engine.runner.graphs._recorded)
    recorded = engine.generate(prompts, params)
    assert [seq.output_token_ids for seq in recorded] == [seq.output_token_ids for seq in plain]
    assert set(engine.runner.graphs._recorded) == before
    engine.check_invariants()


def test_recorded_inputs_keep_their_addresses(model):
    engine = Engine(model, graphs=True, num_blocks=50)
    engine.generate([PROMPT, PROMPT[:3]], SamplingParams(max_tokens=4))
    (inputs, _) = engine.runner.graphs._recorded[2, 1]
    before = [tensor.data_ptr() for tensor in inputs]
    engine.generate([PROMPT[2:], PROMPT[:4]], SamplingParams(max_tokens=4))
    assert [tensor.data_ptr() for tensor in engine.runner.graphs._recorded[2, 1][0]] == before
    assert engine.cache._positions is inputs[1]


def test_step_seconds_is_the_slower_of_host_and_device():
    assert step_seconds(269e6, 4.3e12) == pytest.approx(62.6e-6, rel=1e-3)
    assert step_seconds(269e6, 4.3e12, 600, 7e-6) == pytest.approx(4.2e-3), "launches overlap the reading"
    assert step_seconds(269e6, 4.3e12, 600, 1e-8) == pytest.approx(62.6e-6, rel=1e-3)
    assert step_seconds(269e6, 4.3e12, 600, gap_s=1e-6) == pytest.approx(662.6e-6, rel=1e-3), "gaps do not"
    assert step_seconds(1e6, 1e12, flops=1e12, peak_flops=1e14) == pytest.approx(1e-2)
    with pytest.raises(ValueError, match="launch_s"):
        step_seconds(1, 1, 1, -1)


def test_ceilings_are_rates_of_this_machine():
    found = ceilings.measure_ceilings("cpu", quick=True)
    assert found.bandwidth > 1e8 and found.matmul_flops["float32"] > 1e8 and 1e-8 < found.launch_s < 1e-2
    assert found.graph_launch_s == found.launch_s, "a CPU records nothing"
    assert json.loads(json.dumps(found.as_dict()))["matmul_flops"] == found.matmul_flops


def test_rates_are_computed_from_times(monkeypatch):
    monkeypatch.setattr(ceilings, "time_calls", lambda function, device, num_rounds: [0.5, 0.25, 4.0])
    assert ceilings.copy_bandwidth("cpu", 1 << 20) == pytest.approx(2 * (1 << 20) / 0.5)
    assert ceilings.read_bandwidth("cpu", 1 << 20) == pytest.approx((1 << 20) / 0.5)
    assert ceilings.matmul_flops("cpu", torch.float32, 64) == pytest.approx(2 * 64**3 / 0.5)
    assert ceilings.launch_cost("cpu", 10) == {"eager_s": 0.05, "graph_s": None}
    assert timing.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_count_kernels():
    a, b = torch.ones(4, 4), torch.ones(4, 4)
    assert ceilings.count_kernels(lambda: a.add_(b), "cpu") == 1
    assert ceilings.count_kernels(lambda: a.add_(b).mul_(b).view(2, 8).t(), "cpu") == 2, "a view computes nothing"
    assert ceilings.count_kernels(lambda: torch.softmax(a @ b, -1), "cpu") == 2


def fake_gpu(monkeypatch, version="13.0", available=True, capability=(9, 0), archs=("sm_90",), bf16=True):
    monkeypatch.setattr(torch.version, "cuda", version)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: available)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Some GPU")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: list(archs))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *_, **__: bf16)
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize(
    "gpu, reason",
    [
        ({"version": None}, "built without CUDA"),
        ({"available": False}, "no GPU or a driver that is too old"),
        ({"capability": (6, 1), "archs": ["sm_61"]}, "compute capability 6.1, at least 7.0"),
        ({"capability": (7, 0)}, r"no code for Some GPU \(sm_70\), only for sm_90"),
    ],
)
def test_a_gpu_that_cannot_be_used(monkeypatch, gpu, reason):
    fake_gpu(monkeypatch, **gpu)
    choice = device.choose_device()
    assert choice.device.type == "cpu" and choice.dtype == torch.float32
    assert len(choice.notes) == 1 and "on the CPU" in choice.notes[0] and "\n" not in choice.notes[0]
    with pytest.raises(ValueError, match=reason + ".*--device cpu"):
        device.choose_device("cuda")


def test_a_gpu_that_can_be_used_in_part(monkeypatch):
    fake_gpu(monkeypatch)
    choice = device.choose_device("cuda")
    assert (choice.device.type, choice.dtype, choice.notes) == ("cuda", torch.bfloat16, [])
    fake_gpu(monkeypatch, capability=(8, 9), archs=["sm_80", "sm_90"])
    assert device.choose_device().device.type == "cuda", "code for sm_80 runs on sm_89"
    fake_gpu(monkeypatch, capability=(7, 5), archs=["sm_75"])
    choice = device.choose_device()
    assert choice.dtype == torch.float16 and "float16 is used instead" in choice.notes[0]
    monkeypatch.setattr(device.importlib.util, "find_spec", lambda name: None)
    assert "Triton is not installed" in device.choose_device().notes[1]
    with pytest.raises(ValueError, match="cpu or cuda, got tpu"):
        device.choose_device("tpu")


def test_too_little_memory(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (3_100_000_000, 8_000_000_000))
    with pytest.raises(ValueError, match=r"the 7B stack needs 13.5 GB, 3.1 GB are free on cuda: take fewer layers"):
        device.require_memory(13.5e9, "cuda", "the 7B stack")
    device.require_memory(3e9, "cuda")
    monkeypatch.setattr(device, "free_bytes", lambda _: 0)
    device.require_memory(1e15, "cpu")  # unknown: no reason to refuse


def test_one_description_of_the_machine():
    record = machine.machine("cpu")
    assert record["name"] == record["processor"] and record["num_cores"] >= 1 and record["num_threads"] >= 1
    assert set(record["flags"]) <= set(machine.FLAGS) and json.loads(json.dumps(record)) == record
    assert record["device"] == "cpu" and record["torch"] == torch.__version__ and len(record["date"]) == 10
    assert machine.version_of("no such package") is None


def test_a_compiled_step_is_the_same_step(model, monkeypatch):
    """The pass as torch.compile traces it into one graph, which is then run as it is: compiling takes minutes."""
    seen, trace = [], torch.compile

    def traced(function, mode, fullgraph):
        seen.append({"mode": mode})
        return trace(function, backend="eager", fullgraph=fullgraph)

    monkeypatch.setattr(torch, "compile", traced)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)  # with one thread nothing asks further
    case = load_tiny_expected()[2]
    assert greedy(model, case["ids"], 12, "compile") == [int(token) for token in case["greedy"][:12]]
    assert seen[0]["mode"] == "reduce-overhead"
