"""Prefill in one process, decode in another: the full blocks of a prompt travel, under the names they have anyway.

The receiver puts them into its prefix cache and then serves the prompt like any other. So a block that is missing,
never sent or evicted in between, costs time and never the answer.
"""

import queue
import threading

import torch

from mini_engine.accounting import kv_bytes_per_token
from mini_engine.engine import Engine
from mini_engine.generate import check_request
from mini_engine.loading import load_parts
from mini_engine.model import Llama
from mini_engine.parallel.launch import run_ranks
from mini_engine.prefix_cache import block_hashes
from mini_engine.sequence import SamplingParams

BLOCK_SIZE = 16


def take_blocks(engine, token_ids, num_held=0):
    """K and V of the prompt's cached full blocks behind the first num_held, a copy [2 layers, n, H_kv, block_size, D].

    n is 0 where nothing more is cached. The engine needs a prefix cache.
    """
    blocks, _ = engine.scheduler.prefix_cache.match(token_ids)
    content = torch.stack([pool[blocks[num_held:]] for pool in (*engine.cache.keys, *engine.cache.values)])
    for block in blocks:
        engine.block_manager.free(block)
    return content


def put_blocks(engine, token_ids, content, num_held=0):
    """Store what take_blocks gave in another engine's prefix cache; returns how many blocks found room.

    num_held: blocks of this prompt in front of the content, which this engine is thought to have. Only blocks that no
    sequence uses make room. Raises ValueError for content of another shape than this engine's blocks.
    """
    cache, manager, prefix = engine.cache, engine.block_manager, engine.scheduler.prefix_cache
    pools = (*cache.keys, *cache.values)
    if len(content) != len(pools) or content.shape[2:] != pools[0].shape[1:]:
        raise ValueError(f"blocks of shape {list(content.shape)} do not fit pools of {list(pools[0].shape)}")
    hashes = block_hashes(token_ids, cache.block_size)
    kept, _ = prefix.match(token_ids, hashes[:num_held])  # an owner more: they are not evicted for what follows them
    wanted = hashes[num_held : num_held + content.shape[1]]
    prefix.evict(max(0, len(wanted) - manager.num_free_blocks))
    blocks = [manager.allocate() for _ in wanted[: manager.num_free_blocks]]
    for pool, new in zip(pools, content, strict=True):
        pool[blocks] = new[: len(blocks)].to(pool)
    positions = torch.arange(num_held * cache.block_size, (num_held + len(blocks)) * cache.block_size)
    cache.slot_positions[blocks] = positions.view(-1, cache.block_size).to(cache.slot_positions)
    prefix.insert(wanted[: len(blocks)], blocks)
    for block in (*blocks, *kept):
        manager.free(block)  # the prefix cache alone owns them now
    return len(blocks)


def num_known(hashes, known):
    """How many of the first hashes are known, without a gap."""
    return next((i for i, digest in enumerate(hashes) if digest not in known), len(hashes))


def handover_bytes(config, prompts, block_size=BLOCK_SIZE, bytes_per=4):
    """Payload of handing over prompts (lists of ids) one after the other: each full block once, and 16 bytes each."""
    sent = {digest for ids in prompts for digest in block_hashes(ids, block_size)}
    return len(sent) * block_size * kv_bytes_per_token(config, bytes_per) + 16 * len(prompts)


def generate_split(prompts, num_new, model="smollm2", timeout_s=60, started=None):
    """Continue prompts greedily: one process reads them, another writes the num_new tokens. Returns a launch.Answer.

    timeout_s, started: as launch.generate_on. Raises ValueError for a request that does not fit the model, before a
    process starts, and RankLost when one of the two dies or is silent.
    """
    config, _, _ = load_parts(model)
    if num_new < 2 or not prompts:
        raise ValueError(f"1 prompt and 2 tokens at least: the first comes with the prompt, got {num_new=}")
    for ids in prompts:
        check_request(config, ids, num_new)
    return run_ranks(split_tokens, 2, prompts, num_new, model, timeout_s, started)


def split_tokens(config, weights, links, prompts, num_new):
    """Rank 0 reads the prompts, rank 1 writes the texts: a list of lists of ids, empty on rank 0."""
    tokens = max(map(len, prompts)) + num_new
    num_blocks = len(prompts) * (tokens // BLOCK_SIZE + 2)
    engine = Engine(Llama(config, weights), num_blocks=num_blocks, block_size=BLOCK_SIZE)
    return (read_prompts, write_texts)[links.rank](engine, links, prompts, num_new)


def read_prompts(engine, links, prompts, num_new):
    """Compute each prompt, send its first token and the blocks that were not sent before."""
    sent = set()
    for ids in prompts:
        (seq,) = engine.generate([ids], SamplingParams(max_tokens=1, ignore_eos=True))
        hashes = block_hashes(ids, BLOCK_SIZE)
        content = take_blocks(engine, ids, num_known(hashes, sent))
        sent.update(hashes)
        links.send(torch.tensor([seq.output_token_ids[0], content.shape[1]]), 1)
        if content.shape[1]:
            links.send(content, 1)
    links.flush()
    return [[] for _ in prompts]


def write_texts(engine, links, prompts, num_new):
    """Decode all prompts that have arrived in one batch, while others are still on their way."""
    arrived = queue.SimpleQueue()
    threading.Thread(target=receive, args=(engine.cache, links, prompts, arrived), daemon=True).start()
    params = SamplingParams(max_tokens=num_new - 1, ignore_eos=True)
    sequences, firsts = [], []
    while len(sequences) < len(prompts) or engine.has_unfinished:
        while len(sequences) < len(prompts) and not (engine.has_unfinished and arrived.empty()):
            item = arrived.get()
            if isinstance(item, Exception):
                raise item
            first, content = item
            ids = prompts[len(sequences)]
            put_blocks(engine, ids, content, len(ids) // BLOCK_SIZE - content.shape[1])
            firsts.append(first)
            sequences.append(engine.add_request([*ids, first], params))
        engine.step()
    return [[first, *seq.output_token_ids] for first, seq in zip(firsts, sequences, strict=True)]


def receive(cache, links, prompts, arrived):
    """Put (first token, blocks) of each prompt into the queue, in order; an exception ends it."""
    try:
        for _ in prompts:
            first, num_blocks = links.recv(torch.zeros(2, dtype=torch.int64), 0).tolist()
            like = torch.empty(2 * len(cache.keys), num_blocks, *cache.keys[0].shape[1:])
            arrived.put((first, links.recv(like, 0) if num_blocks else like))
    except Exception as error:
        arrived.put(error)
