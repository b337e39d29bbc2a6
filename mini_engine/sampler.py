"""From logits to the next token, for a batch whose rows have different settings.

Order, as in transformers' generate: temperature, top-k, top-p, min-p. Each filter looks at what the ones before left.
"""

import numpy as np
import torch

from mini_engine.device import argmax

NUM_LIKELY = 1024  # among so many tokens top-p looks first


def new_generator(params):
    """A request's own source of randomness: repeatable with a seed, whatever else is in the batch."""
    return np.random.default_rng(params.seed)


class Sampler:
    """Draws one token per row by inverting the cumulative distribution at one uniform number of the row's generator.

    The engine accepts any callable with the same arguments instead; `probabilities` is needed only together with
    speculative decoding.
    """

    def __call__(self, logits, params, generators):
        """One token id per row. logits: [B, V]; params: B SamplingParams; generators: B numpy Generators."""
        tokens = argmax(logits)
        rows = [i for i, p in enumerate(params) if p.temperature > 0]
        if rows:
            probabilities = self.probabilities(logits[rows], [params[i] for i in rows])
            cumulative = probabilities.cumsum(-1, dtype=torch.float64)
            total = cumulative[:, -1:].contiguous()
            u = torch.tensor([[generators[i].random()] for i in rows], dtype=torch.float64, device=logits.device)
            drawn = torch.searchsorted(cumulative, u * total, right=True)
            last = torch.searchsorted(cumulative, total)  # rounding must not lead past the last possible token
            tokens[rows] = torch.minimum(drawn, last)[:, 0]
        return tokens.tolist()

    def probabilities(self, logits, params):
        """Each row's distribution: [B, V], float32 at least. A row of temperature 0 has one 1, at its argmax."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        is_greedy = [p.temperature == 0 for p in params]
        best = torch.zeros_like(logits).scatter_(-1, argmax(logits)[:, None], 1.0) if any(is_greedy) else None
        if all(is_greedy):
            return best
        temperature = _column(logits, [p.temperature for p in params])
        scaled = logits / temperature.where(temperature > 0, 1.0)
        scaled = filter_top_k(scaled, [p.top_k for p in params])
        scaled = filter_top_p(scaled, [p.top_p for p in params])
        scaled = filter_min_p(scaled, [p.min_p for p in params])
        return torch.where(temperature > 0, scaled.softmax(-1), best) if any(is_greedy) else scaled.softmax(-1)


def filter_top_k(logits, top_k):
    """Rows [B, V] with all but the top_k[b] largest at -inf; ties with the smallest of them stay. 0 means all."""
    vocab_size = logits.shape[-1]
    largest = max(min(k, vocab_size) for k in top_k)
    if largest == 0 or all(k == 0 or k >= vocab_size for k in top_k):
        return logits
    best = logits.topk(largest, dim=-1).values
    rank = torch.tensor([[min(k or vocab_size, largest) - 1] for k in top_k], device=logits.device)
    threshold = best.gather(-1, rank)
    is_off = torch.tensor([[k == 0] for k in top_k], device=logits.device)
    return logits.where((logits >= threshold) | is_off, -torch.inf)


def filter_top_p(logits, top_p):
    """Rows [B, V] cut to the fewest most likely tokens whose probabilities reach top_p[b] (Holtzman et al. 2020).

    The token that crosses top_p stays; 1 means all. Which of equal logits stay is not specified.
    """
    rows = [i for i, p in enumerate(top_p) if p < 1]
    if not rows:
        return logits
    part, limit = logits[rows], _column(logits, [top_p[i] for i in rows])
    for num_likely in (NUM_LIKELY, None):  # sorting the whole vocabulary can cost more than a decode step
        is_part = num_likely is not None and num_likely < part.shape[-1]
        ordered, order = part.topk(num_likely) if is_part else part.sort(dim=-1, descending=True)
        probabilities = (ordered - part.logsumexp(-1, keepdim=True)).exp()
        cumulative = probabilities.cumsum(-1)
        if (cumulative[:, -1:] >= limit).all():
            break
    ordered = ordered.masked_fill(cumulative - probabilities >= limit, -torch.inf)
    ordered[:, 0] = part.amax(-1)
    filtered = logits.clone()
    filtered[rows] = torch.full_like(part, -torch.inf).scatter_(-1, order, ordered)
    return filtered


def filter_min_p(logits, min_p):
    """Rows [B, V] without tokens less likely than min_p[b] times the likeliest (Nguyen et al. 2024, 2407.01082)."""
    if not any(min_p):
        return logits
    threshold = logits.amax(-1, keepdim=True) + _column(logits, min_p).log()
    return logits.masked_fill(logits < threshold, -torch.inf)


def _column(like, values):
    return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None]


def top_logprobs(logits, token_ids, num_top):
    """For each token its log-probability, and the num_top likeliest in its place as (token id, log-probability).

    logits: [at least one row a token, V], as the model gave them: before temperature, filters and grammar.
    """
    logprobs = logits[: len(token_ids)].float().log_softmax(-1)
    best = logprobs.topk(num_top)
    own = logprobs[range(len(token_ids)), token_ids].tolist()
    tops = [list(zip(*row, strict=True)) for row in zip(best.indices.tolist(), best.values.tolist(), strict=True)]
    return list(zip(own, tops, strict=True))
