"""Messages between ranks over torch.distributed, counted, and the collectives made of them.

all_reduce and all_gather need only rank, size, send(x, to) and recv(like, source), so they also run over anything else
that has these: tests/test_parallel.py joins them by queues.
"""

import torch
import torch.distributed as dist


class Links:
    """What this rank has sent to others of a process group that stands: num_messages, num_bytes (payload only)."""

    def __init__(self):
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        self.num_messages = self.num_bytes = 0
        self._on_the_way = []

    def send(self, x, to):
        """Send a tensor and go on; x must not be changed before flush()."""
        x = x.contiguous()
        self.num_messages += 1
        self.num_bytes += x.nbytes
        self._on_the_way.append((dist.isend(x, to), x))

    def recv(self, like, source):
        """Wait for a tensor of the shape and dtype of `like`. Raises RuntimeError when the rank is gone or too slow."""
        x = torch.empty_like(like, memory_format=torch.contiguous_format)
        dist.recv(x, source)
        return x

    def flush(self):
        """Wait until everything that was sent has been taken."""
        for work, _ in self._on_the_way:
            work.wait()
        self._on_the_way.clear()


def all_reduce(links, x):
    """The sum of every rank's x, with the same bits on each: a ring of reduce-scatter, then all-gather.

    Each rank sends 2(n - 1) messages to the next one, each an n-th of x (nccl-tests, doc/PERFORMANCE.md: the fewest
    transfers there can be). x itself is not changed.
    """
    rank, size = links.rank, links.size
    after, before = (rank + 1) % size, (rank - 1) % size
    parts = list(x.reshape(-1).tensor_split(size))
    for step in range(size - 1):
        links.send(parts[(rank - step) % size], after)
        part = (rank - step - 1) % size
        parts[part] = parts[part] + links.recv(parts[part], before)
    # now part rank + 1 is whole here: hand the whole ones around
    for step in range(size - 1):
        links.send(parts[(rank + 1 - step) % size], after)
        part = (rank - step) % size
        parts[part] = links.recv(parts[part], before)
    return torch.cat(parts).view(x.shape)


def all_gather(links, x):
    """Every rank's x in the order of the ranks, a list: n - 1 messages from each rank, each of x's size."""
    rank, size = links.rank, links.size
    found = [x] * size
    for step in range(size - 1):
        links.send(found[(rank - step) % size], (rank + 1) % size)
        found[(rank - step - 1) % size] = links.recv(x, (rank - 1) % size)
    return found
