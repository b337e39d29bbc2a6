"""Pipeline parallelism: every rank has some of the layers, and micro-batches follow each other through them.

GPipe (Huang et al. 2018, 1811.06965) without its way back: in generation the last stage sends a token to the first.
"""

import torch
from torch import nn

from mini_engine.device import argmax
from mini_engine.model import Llama
from mini_engine.parallel.split import stage_part


class Stage(Llama):
    """Consecutive layers of a decoder. The first stage embeds, the others receive; all but the last send on."""

    def __init__(self, config, weights, links):
        super().__init__(*stage_part(config, weights, links.rank, links.size))
        self.links = links
        self.is_first, self.is_last = links.rank == 0, links.rank == links.size - 1
        if not self.is_last:
            self.final_norm = nn.Identity()

    def embed(self, token_ids):
        """What the layers before have made of the tokens; only the shape of token_ids is used behind the first."""
        if self.is_first:
            return super().embed(token_ids)
        like = torch.empty(*token_ids.shape, self.config.hidden_size, dtype=self.dtype)
        return self.links.recv(like, self.links.rank - 1)

    def hidden_states(self, token_ids, cache=None):
        """As Llama's, after this stage's layers."""
        x = super().hidden_states(token_ids, cache)
        if not self.is_last:
            self.links.send(x, self.links.rank + 1)
        return x


@torch.inference_mode()
def pipeline_tokens(config, weights, links, prompts, num_new):
    """The greedy continuations, each prompt a micro-batch: a list of lists of ids, empty but on the last rank.

    While a stage works on one prompt the next stage has the one before it.
    """
    stage, last = Stage(config, weights, links), links.size - 1
    caches = [stage.new_cache(len(ids) + num_new) for ids in prompts]
    new, found = [torch.tensor([ids]) for ids in prompts], [[] for _ in prompts]
    for step in range(num_new):
        for i, cache in enumerate(caches):
            if step and links.size > 1:
                token = torch.zeros(1, 1, dtype=torch.int64)
                new[i] = links.recv(token, last) if stage.is_first else token
            hidden = stage.hidden_states(new[i], cache)
            if stage.is_last:
                new[i] = argmax(stage.lm_head(hidden[:, -1])).view(1, 1)
                found[i].append(int(new[i]))
                if links.size > 1 and step < num_new - 1:
                    links.send(new[i], 0)
    links.flush()
    return found
