"""How fast a model can go: intensity, roofline, bandwidth floors, latency and speculation. Imported by `accounting`.

Intensity is FLOPs per byte moved to or from memory, bandwidth bytes per second, times seconds unless the name says
`_ms`. Sizes that make no sense raise ValueError with the value.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """The two ceilings of one GPU and its memory: peak_flops in FLOP/s (dense bf16), bandwidth in bytes/s, bytes."""

    name: str
    peak_flops: float
    bandwidth: float
    memory_bytes: float


# NVIDIA's data sheets, SXM versions, dense (the sheets' larger figures are with 2:4 sparsity)
A100_80GB = Device("A100 80GB", 312e12, 2.039e12, 80e9)
H100_80GB = Device("H100 80GB", 989e12, 3.35e12, 80e9)
H200_141GB = Device("H200 141GB", 989e12, 4.8e12, 141e9)
DEVICES = {device.name: device for device in (A100_80GB, H100_80GB, H200_141GB)}


def need_positive(**values):
    """Raise ValueError, naming the value, unless each one is above zero."""
    for name, value in values.items():
        if not value > 0:
            raise ValueError(f"{name} must be positive, got {value}")


def need_not_negative(**values):
    """Raise ValueError, naming the value, if any one is below zero."""
    for name, value in values.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")


def attention_intensity_prefill(n, d, bytes_per=2):
    """FLOP per byte of standard attention over n tokens, one head of size d, scores and weights written to memory.

    4n²d FLOPs (QK and PV, nothing masked) over 4nd + 4n² numbers: Q, K, V, O once; S and P each written and read.
    Algorithm 0 of Dao et al. 2022 (2205.14135). Towards d / bytes_per as n grows.
    """
    need_positive(n=n, d=d, bytes_per=bytes_per)
    return 4 * n * n * d / ((4 * n * d + 4 * n * n) * bytes_per)


def attention_intensity_decode(n, d, bytes_per=2):
    """FLOP per byte of one query over n cached tokens: 4nd over 2nd + 2d + 4n numbers, about 1 in 16 bit."""
    need_positive(n=n, d=d, bytes_per=bytes_per)
    return 4 * n * d / ((2 * n * d + 2 * d + 4 * n) * bytes_per)


def linear_intensity(batch, d_in, d_out, bytes_per=2):
    """FLOP per byte of x @ W, x [batch, d_in]: the weights are read once for the whole batch."""
    need_positive(batch=batch, d_in=d_in, d_out=d_out, bytes_per=bytes_per)
    return 2 * batch * d_in * d_out / ((batch * d_in + d_in * d_out + batch * d_out) * bytes_per)


def ridge_point(peak_flops, bandwidth):
    """The intensity, FLOP per byte, from which compute and no longer bandwidth is the limit."""
    need_positive(peak_flops=peak_flops, bandwidth=bandwidth)
    return peak_flops / bandwidth


def roofline(intensity, peak_flops, bandwidth):
    """Attainable FLOP/s: min(peak_flops, intensity · bandwidth). Williams, Waterman and Patterson 2009."""
    need_not_negative(intensity=intensity)
    need_positive(peak_flops=peak_flops, bandwidth=bandwidth)
    return min(peak_flops, intensity * bandwidth)


def read_seconds(n_bytes, bandwidth):
    """Seconds to read n_bytes once at `bandwidth` bytes per second."""
    need_not_negative(n_bytes=n_bytes)
    need_positive(bandwidth=bandwidth)
    return n_bytes / bandwidth


def decode_floor_ms(weight_bytes, kv_bytes, bandwidth):
    """Milliseconds below which no decode step can go.

    The weights and the KV cache of the whole batch are each read once.
    """
    need_not_negative(weight_bytes=weight_bytes, kv_bytes=kv_bytes)
    return 1e3 * read_seconds(weight_bytes + kv_bytes, bandwidth)


def step_seconds(num_bytes, bandwidth, num_kernels=0, launch_s=0.0, gap_s=0.0, flops=0, peak_flops=float("inf")):
    """Predicted seconds of one pass: the slower of the host, which launches, and the device, which works.

    num_bytes: read and written once, at `bandwidth` bytes/s. launch_s: the host's seconds per kernel; they pass while
    earlier kernels run. gap_s: the device's idle seconds between two kernels; they add to its work.
    """
    need_not_negative(num_kernels=num_kernels, launch_s=launch_s, gap_s=gap_s, flops=flops)
    need_positive(peak_flops=peak_flops)
    work_s = max(read_seconds(num_bytes, bandwidth), flops / peak_flops)
    return max(num_kernels * launch_s, work_s + num_kernels * gap_s)


def tokens_per_second_ceiling(weight_bytes, kv_bytes, bandwidth, batch=1):
    """Tokens per second of `batch` sequences that decode together at the floor; kv_bytes is that of all of them."""
    need_positive(weight_bytes=weight_bytes, batch=batch)
    return batch / (decode_floor_ms(weight_bytes, kv_bytes, bandwidth) / 1e3)


def decode_speedup_bound(bytes_before, bytes_after):
    """The most a decode step can gain when the bytes it reads shrink; the gain measured is smaller."""
    need_positive(bytes_before=bytes_before, bytes_after=bytes_after)
    return bytes_before / bytes_after


def ttft_ms(queue, prefill, sample):
    """Time to first token in ms: waiting, prompt pass and the choice of the first token."""
    need_not_negative(queue=queue, prefill=prefill, sample=sample)
    return queue + prefill + sample


def total_latency_ms(ttft, tpot, output_tokens):
    """Milliseconds to the last token: the first one is inside TTFT, so n - 1 intervals of TPOT follow."""
    need_not_negative(ttft=ttft, tpot=tpot)
    need_positive(output_tokens=output_tokens)
    return ttft + (output_tokens - 1) * tpot


def littles_law(throughput, latency):
    """Things inside a system: those that enter per second times the seconds each one stays. Little 1961."""
    need_not_negative(throughput=throughput, latency=latency)
    return throughput * latency


def linear_speedup(k, a, c):
    """The back-of-envelope (1 + k·a) / (1 + k·c): as if each of k drafts were accepted on its own; too high."""
    need_not_negative(k=k, a=a, c=c)
    return (1 + k * a) / (1 + k * c)


def expected_tokens(alpha, k):
    """Tokens per verification of k drafts, each kept with probability alpha: 1 + α + … + α^k (2211.17192, eq. 1)."""
    need_not_negative(alpha=alpha, k=k)
    if alpha > 1:
        raise ValueError(f"alpha is a probability, got {alpha}")
    return sum(alpha**i for i in range(k + 1))


def expected_speedup(alpha, k, c):
    """Wall-time gain of speculation when a draft step costs c of a target step (2211.17192, theorem 3.8)."""
    need_not_negative(c=c)
    return expected_tokens(alpha, k) / (1 + k * c)


def best_draft_length(alpha, c, k_max):
    """The k in 1..k_max with the highest expected speedup; the smallest of equals."""
    need_positive(k_max=k_max)
    return max(range(1, k_max + 1), key=lambda k: expected_speedup(alpha, k, c))
