"""A WebGPU device's ceilings, and a decode step on it beside the CPU engine in int8, in turns on the same text."""

import time

import numpy as np
import torch
from tqdm import tqdm

from mini_engine.bench.machine import machine, version_of
from mini_engine.bench.peers import stamps
from mini_engine.bench.timing import interleaved, spread, write_json
from mini_engine.cpu.model import CompiledLlama
from mini_engine.generate import generate
from mini_engine.gpu.webgpu.decoder import WebGPUDecoder
from mini_engine.gpu.webgpu.device import open_device
from mini_engine.loading import add_model_argument, load_parts
from mini_engine.plotting import figure

COPY_SIZES = [1 << power for power in range(14, 29, 2)]  # 16 KB to 256 MB
BYTES_A_ROUND = 1 << 28  # that a measurement of copies moves at least
NUM_LAUNCHES = 300  # about as many as a step of SmolLM2-135M has
EMPTY = "@compute @workgroup_size(1) fn main() {}"


def add_arguments(parser):
    add_model_argument(parser)
    parser.add_argument("--context", type=int, default=16, metavar="N", help="prompt tokens (default 16)")
    parser.add_argument("--new-tokens", type=int, default=16, metavar="N", help="tokens of a round (default 16)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="rounds of all in turn (default 5)")


def copies(device, sizes=COPY_SIZES, at_least=BYTES_A_ROUND):
    """[{num_bytes, bytes_per_s}] of copies within the device, read and written: 2 * num_bytes over the best of 5 times.

    A size that the device does not bind is left out.
    """
    most = min(device.limits["max-buffer-size"], device.limits["max-storage-buffer-binding-size"])
    found = []
    for num_bytes in (size for size in sizes if size <= most):
        source, target = device.buffer(num_bytes), device.buffer(num_bytes)
        times = max(1, at_least // num_bytes // 2)
        seconds = interleaved({"copy": lambda s=source, t=target, n=times: copy(device, s, t, n)}, 5)["copy"]
        found.append({"num_bytes": num_bytes, "bytes_per_s": 2 * num_bytes * times / min(seconds)})
    return found


def copy(device, source, target, times):
    """Copy one buffer into another that many times, and wait."""
    device.copy(source, target, times)
    device.read(target, np.uint8, num_bytes=16)


def transfers(device, num_bytes=1 << 26):
    """{"upload", "readback"}: bytes per second from the host's memory to the device and back."""
    data, buffer = np.ones(num_bytes, np.uint8), device.buffer(num_bytes)

    def upload():
        device.write(buffer, data)
        device.read(buffer, np.uint8, num_bytes=16)

    seconds = interleaved({"upload": upload, "readback": lambda: device.read(buffer, np.uint8)}, 3)
    return {name: num_bytes / min(each) for name, each in seconds.items()}


def launch_seconds(device, num_launches=NUM_LAUNCHES):
    """{"encoding_s", "start_s"}: what one empty kernel costs the host to record, and the device until it has run."""
    kernel = device.kernel(EMPTY, ())
    steps, flag = [(kernel, device.bind(kernel, []), (1,))] * num_launches, device.buffer(16)
    encoding, whole = [], []
    for _ in range(5):
        start = time.perf_counter()
        device.submit(steps)
        encoding.append(time.perf_counter() - start)
        device.read(flag, np.uint8)
        whole.append(time.perf_counter() - start)
    return {"encoding_s": min(encoding) / num_launches, "start_s": min(whole) / num_launches}


def ceilings(device):
    """What the device can do at best: copies, transfers, launches."""
    return {"copies": copies(device), **transfers(device), **launch_seconds(device)}


def race(decoder, cpu, ids, num_new, rounds):
    """Seconds per token of each way, in rounds that take turns, and whether the text and the logits were the same.

    queued: all steps are handed over before a token is read; streamed: each token is read as it comes.
    """
    seconds, texts, encoding = {"queued": [], "streamed": [], "cpu int8": []}, set(), []
    for _ in tqdm(range(rounds + 1), desc="rounds", leave=False):
        decoder.prefill(ids)
        decoder.step()
        decoder.tokens()
        start = time.perf_counter()
        for _ in range(num_new - 1):
            decoder.step()
        texts.add(tuple(decoder.tokens(len(ids))))
        seconds["queued"].append((time.perf_counter() - start) / (num_new - 1))
        seconds["streamed"].append(per_token(decoder.generate(ids, num_new)))
        encoding += decoder.encoding_s[1:]  # of idle moments: to hand over work to a full queue is to wait
        seconds["cpu int8"].append(per_token(generate(cpu, ids, num_new)))
    texts.add(written := tuple(generate(cpu, ids, num_new)))
    expected = cpu(torch.tensor([[*ids, *written[:-1]]]))[0, -1].numpy()
    return {
        "tpot_ms": {name: spread([1e3 * s for s in each[1:]]) for name, each in seconds.items()},
        "encoding_ms": spread([1e3 * s for s in encoding]),
        "same_text": len(texts) == 1,
        "max_logit_difference": float(np.abs(decoder.logits() - expected).max()),
    }


def per_token(tokens):
    """Seconds a token between the first and the last of an iterator."""
    times = stamps(tokens)
    return (times[-1] - times[0]) / (len(times) - 1)


def measure(args):
    """The whole record of a run, for JSON."""
    config, weights, _ = load_parts(args.model)
    device = open_device()
    results = {"bench": "webgpu", "machine": machine(), "adapter": device.name, "is_software": device.is_software}
    results |= {"wgpu": version_of("wgpu"), "model": config.name, "context": args.context}
    results |= {"new_tokens": args.new_tokens, "rounds": args.rounds, "ceilings": ceilings(device)}
    decoder = WebGPUDecoder(config, weights, args.context + args.new_tokens, device)
    ids = [(7919 * i + 311) % config.vocab_size for i in range(args.context)]
    results |= race(decoder, CompiledLlama(config, weights, "int8"), ids, args.new_tokens, args.rounds)
    bandwidth = results["ceilings"]["copies"][-1]["bytes_per_s"]
    floor_ms = 1e3 * decoder.plan.weight_bytes / bandwidth
    results |= {"num_kernels": decoder.num_kernels, "weight_bytes": decoder.plan.weight_bytes, "floor_ms": floor_ms}
    results["share_of_bandwidth"] = floor_ms / min(results["tpot_ms"][how]["median"] for how in ("queued", "streamed"))
    return results


def lines(results):
    """A record as lines of text."""
    tops, step = results["ceilings"], results["tpot_ms"]
    yield f"{results['adapter']}{', a device in software' if results['is_software'] else ''}; wgpu {results['wgpu']}"
    for each in tops["copies"]:
        yield f"copy of {each['num_bytes'] / 1e6:10.3f} MB {each['bytes_per_s'] / 1e9:10.2f} GB/s"
    yield f"to the device {tops['upload'] / 1e9:.2f} GB/s, back {tops['readback'] / 1e9:.2f} GB/s"
    record_us, start_us = 1e6 * tops["encoding_s"], 1e6 * tops["start_s"]
    yield f"an empty kernel: {record_us:.1f} µs to record, {start_us:.1f} µs until it has run"
    yield f"{results['model']}, int8: {results['num_kernels']} kernels a step, {results['weight_bytes'] / 1e6:.0f} MB"
    for name, each in step.items():
        yield f"{name:10} {each['median']:9.2f} ms a token, {each['min']:.2f} to {each['max']:.2f}"
    yield f"recording a step and handing it over: {results['encoding_ms']['median']:.2f} ms"
    share = f"{results['share_of_bandwidth']:.1%} of the copy bandwidth"
    yield f"reading alone: {results['floor_ms']:.2f} ms, so a step uses {share}"
    same = "the same text" if results["same_text"] else "ANOTHER TEXT"
    yield f"{same} as the CPU engine, logits at most {results['max_logit_difference']:.1e} apart"


def copy_plot(results):
    """The copies' bandwidth against their size, as (figure, axes)."""
    fig, ax = figure()
    sizes, rates = zip(*((c["num_bytes"], c["bytes_per_s"] / 1e9) for c in results["ceilings"]["copies"]), strict=True)
    ax.plot(sizes, rates, "o-")
    ax.set(xscale="log", xlabel="bytes copied", ylabel="read and written (GB/s)", ylim=(0, None))
    return fig, ax


def run(args):
    """Print the table, write JSON and plot if asked. Returns 0, or 1 where text or logits differ."""
    if args.context < 1 or args.new_tokens < 2 or args.rounds < 1:
        raise ValueError("context and rounds must be at least 1, new tokens at least 2")
    results = measure(args)
    print("\n".join(lines(results)))
    write_json(args.json, results)
    if args.plot:
        copy_plot(results)[0].savefig(args.plot, bbox_inches="tight", facecolor="white")
    return 0 if results["same_text"] and results["max_logit_difference"] < 1e-3 else 1
