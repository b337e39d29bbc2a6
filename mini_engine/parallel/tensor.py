"""Tensor parallelism: every rank computes a part of every layer (Megatron-LM, Shoeybi et al. 2019, 1909.08053)."""

import torch
from torch import nn

from mini_engine.device import argmax
from mini_engine.model import Llama
from mini_engine.parallel.links import all_gather, all_reduce
from mini_engine.parallel.split import share, tensor_part


class SummedLinear(nn.Module):
    """The end of a block: x and the weight are parts of the sum, so the ranks' products are added up."""

    def __init__(self, linear, links):
        super().__init__()
        self.linear, self.links = linear, links

    def forward(self, x):
        return all_reduce(self.links, self.linear(x))


class TensorParallelLlama(Llama):
    """One rank's part of a decoder. Each pass does one all-reduce for the embedding and two for each layer."""

    def __init__(self, config, weights, links):
        super().__init__(*tensor_part(config, weights, links.rank, links.size))
        self.links, self.ids = links, share(config.vocab_size, links.rank, links.size)
        for layer in self.layers:
            layer.attn.out = SummedLinear(layer.attn.out, links)
            layer.mlp.down = SummedLinear(layer.mlp.down, links)

    def embed(self, token_ids):
        """One rank has a token's row, the others add zeros."""
        row = token_ids - self.ids.start
        is_here = (row >= 0) & (row < len(self.ids))
        x = nn.functional.embedding(row.clamp(0, len(self.ids) - 1), self.embedding)
        return all_reduce(self.links, x * is_here.unsqueeze(-1))

    def next_token(self, hidden):
        """The id of the largest logit of hidden [d], the lowest where several are equal: one pair from each rank."""
        logits = self.lm_head(hidden)
        best = int(argmax(logits))
        # float64 holds a float32 and any id exactly, so that one message carries both
        pair = torch.tensor([float(logits[best]), best + self.ids.start], dtype=torch.float64)
        pairs = torch.stack(all_gather(self.links, pair))
        return int(pairs[int(argmax(pairs[:, 0])), 1])


@torch.inference_mode()
def tensor_tokens(config, weights, links, prompts, num_new):
    """The greedy continuations of the prompts, one after the other: a list of lists of num_new ids, on every rank."""
    model = TensorParallelLlama(config, weights, links)
    found = []
    for ids in prompts:
        cache, new, tokens = model.new_cache(len(ids) + num_new), ids, []
        while len(tokens) < num_new:
            tokens.append(model.next_token(model.hidden_states(torch.tensor([new]), cache)[0, -1]))
            links.flush()
            new = tokens[-1:]
        found.append(tokens)
    return found
