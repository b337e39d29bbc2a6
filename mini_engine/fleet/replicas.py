"""Servers in processes of their own, watched: one that dies or falls silent is ended and started again."""

import asyncio
import contextlib
import sys
from dataclasses import dataclass, field

import httpx

# nothing is ever written to a replica's input: the system closes it when this process ends, however it ends
PIPES = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}


def serve_command(model="smollm2", *options):
    """The command line of one of our servers on a free port, which ends when its standard input is closed."""
    own = ["--port", "0", "--end-with-stdin"]
    return [sys.executable, "-m", "mini_engine", "serve", "--model", model, *own, *options]


@dataclass(frozen=True)
class Patience:
    """How long a fleet waits, in seconds.

    start_s: for a new process to say where it listens. check_s: between looks at its health, and for the answer; after
    num_checks looks without one it is ended. again_s: before a dead one is started again, doubled each time it dies
    before it has served for longer than that, up to longest_s.
    """

    start_s: float = 180.0
    check_s: float = 5.0
    num_checks: int = 3
    again_s: float = 1.0
    longest_s: float = 60.0


@dataclass
class Replica:
    """One server: url is None while it is not up. num_starts counts how often it came up."""

    name: str
    command: list
    patience: Patience
    url: str | None = None
    num_starts: int = 0
    process: asyncio.subprocess.Process | None = None
    is_up: asyncio.Event = field(default_factory=asyncio.Event)

    async def keep(self, on_up, on_down):
        """Start it, watch it, start it again, until cancelled; then it is ended. on_up and on_down get the replica."""
        pause_s, clock = self.patience.again_s, asyncio.get_running_loop().time
        while True:
            started = clock()
            try:
                self.process = await asyncio.create_subprocess_exec(*self.command, **PIPES)
                self.url = await asyncio.wait_for(self._address(), self.patience.start_s)
                if self.url is not None:
                    self.num_starts += 1
                    on_up(self)
                    self.is_up.set()
                    started = clock()
                    await self._watch()
            except (OSError, TimeoutError):
                pass
            finally:
                self.url = None
                self.is_up.clear()
                on_down(self)
                await self._end()
            has_served = clock() - started > self.patience.longest_s
            pause_s = self.patience.again_s if has_served else min(2 * pause_s, self.patience.longest_s)
            await asyncio.sleep(pause_s)

    async def _address(self):
        """Where it listens, from its first line; None when it ended without one."""
        line = (await self.process.stdout.readline()).decode()
        return next((word.removesuffix("/v1") for word in line.split() if word.startswith("http://")), None)

    async def _watch(self):
        """Return when the process has ended, or has not answered often enough."""
        silent, ended = 0, asyncio.ensure_future(self.process.wait())
        async with httpx.AsyncClient(timeout=self.patience.check_s) as client:
            while silent < self.patience.num_checks:
                await asyncio.wait([ended], timeout=self.patience.check_s)
                if ended.done():
                    return
                try:
                    await client.get(f"{self.url}/health")
                    silent = 0
                except httpx.HTTPError:
                    silent += 1
        ended.cancel()

    async def _end(self):
        """End the process for good, whatever it is doing."""
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()
        self.process = None


class Fleet:
    """Replicas of one command, and a router that is told who comes and goes.

    router: a Router. num_replicas: from 1, else ValueError.
    """

    def __init__(self, command, num_replicas, router, patience=None):
        if num_replicas < 1:
            raise ValueError(f"a fleet needs at least 1 replica, got {num_replicas}")
        self.router = router
        patience = Patience() if patience is None else patience
        self.replicas = {f"replica {i}": Replica(f"replica {i}", command, patience) for i in range(num_replicas)}
        self._tasks = []

    def start(self):
        """Begin to keep every replica running; returns at once, inside a running event loop."""
        for replica in self.replicas.values():
            up, down = lambda r: self.router.add(r.name), lambda r: self.router.remove(r.name)
            self._tasks.append(asyncio.create_task(replica.keep(up, down)))

    async def all_up(self):
        """Wait until every replica is up at the same time."""
        while not all(replica.is_up.is_set() for replica in self.replicas.values()):
            for replica in self.replicas.values():
                await replica.is_up.wait()

    async def stop(self):
        """End every replica."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
