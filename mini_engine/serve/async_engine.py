"""The engine in a thread of its own, with an asyncio face: submit, stream, cancel, drain."""

import asyncio
import queue
import threading
import traceback

from mini_engine.device import give_up_threads

IDLE_WAIT_S = 0.2


class QueueFullError(RuntimeError):
    """As many requests as allowed are unfinished; the client may come back later."""


class EngineDeadError(RuntimeError):
    """The engine thread has stopped, on purpose or by an error."""


class RequestStream:
    """One submitted request: an asynchronous iterator over its StepOutputs, the last with a finish_reason.

    Raises what the engine raised for it: ValueError when it was rejected, EngineDeadError when the thread ended.
    """

    def __init__(self, prompt, params):
        self.prompt, self.params = prompt, params
        self.seq = None
        self.is_done = False
        self.outputs = asyncio.Queue()

    def __aiter__(self):
        return self

    async def __anext__(self):
        if self.is_done:
            raise StopAsyncIteration
        output = await self.outputs.get()
        if isinstance(output, Exception):
            self.is_done = True
            raise output
        self.is_done = output.finish_reason is not None
        return output


class AsyncEngine:
    """Runs Engine.step in a thread and carries results to the event loop that called `start`.

    max_requests: unfinished requests at once, waiting ones included. Only the thread touches the engine; what others
    may know is in `snapshot`, renewed after every step.
    """

    def __init__(self, engine, max_requests=128, on_finish=lambda seq: None):
        self.engine, self.max_requests, self.on_finish = engine, max_requests, on_finish
        self.num_open = 0
        self.error = None
        self._commands = queue.SimpleQueue()
        self._streams = {}  # seq_id -> RequestStream, of the thread
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self.snapshot = self._measure()

    def start(self):
        """Start the thread; results go to the running event loop."""
        give_up_threads()  # of loading the model, where this thread did it: the engine's thread makes its own
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    @property
    def is_alive(self):
        """Whether requests are being served."""
        return self._thread.is_alive() and not self._is_stopping and self.error is None

    def submit(self, prompt, params):
        """Queue a request and return its RequestStream. Raises QueueFullError or EngineDeadError at once."""
        if not self.is_alive:
            raise EngineDeadError("the engine is not running")
        if self.num_open >= self.max_requests:
            raise QueueFullError(f"{self.num_open} requests are unfinished, the limit is {self.max_requests}")
        stream = RequestStream(prompt, params)
        self.num_open += 1
        self._commands.put(("add", stream))
        return stream

    def cancel(self, stream):
        """The client is gone (or has all): free what the request holds. Must be called once for each stream."""
        self.num_open -= 1
        self._commands.put(("cancel", stream))

    async def stop(self):
        """Refuse new requests, finish the queued ones, end the thread."""
        self._is_stopping = True
        self._commands.put(("wake", None))
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    def _run(self):
        try:
            while not self._is_stopping or self.engine.has_unfinished or not self._commands.empty():
                self._take_commands(wait=not self.engine.has_unfinished and not self._is_stopping)
                deliveries = [(self._streams[o.seq.seq_id], o) for o in self.engine.step() if o.new_token_ids]
                for _, output in deliveries:
                    if output.finish_reason:
                        self._streams.pop(output.seq.seq_id)
                        self.on_finish(output.seq)
                self.snapshot = self._measure()
                self._deliver(deliveries)
        except Exception as error:
            traceback.print_exc()
            self.error = error
        dead = EngineDeadError("the engine has stopped" if self.error is None else f"the engine failed: {self.error}")
        left = list(self._streams.values())
        while not self._commands.empty():
            kind, stream = self._commands.get()
            left += [stream] if kind == "add" else []
        self._deliver([(stream, dead) for stream in left])

    def _take_commands(self, wait):
        """Carry out what the event loop asked for; with wait, pause until there is something or a moment passed."""
        try:
            command = self._commands.get(timeout=IDLE_WAIT_S) if wait else self._commands.get_nowait()
            while True:
                self._do(*command)
                command = self._commands.get_nowait()
        except queue.Empty:
            return

    def _do(self, kind, stream):
        if kind == "add":
            try:
                stream.seq = self.engine.add_request(stream.prompt, stream.params)
                self._streams[stream.seq.seq_id] = stream
            except ValueError as error:
                self._deliver([(stream, error)])
        elif kind == "cancel" and stream.seq is not None:
            self.engine.abort(stream.seq.seq_id)
            self._streams.pop(stream.seq.seq_id, None)

    def _deliver(self, deliveries):
        """Hand (stream, output) pairs to the event loop; it may be gone at shutdown."""

        def put():
            for stream, output in deliveries:
                stream.outputs.put_nowait(output)

        if deliveries and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(put)

    def _measure(self):
        scheduler, stats, runner = self.engine.scheduler, self.engine.stats, self.engine.runner
        prefix_cache = getattr(scheduler, "prefix_cache", None)
        num_free_blocks = self.engine.block_manager.num_free_blocks
        return {
            "num_running": len(scheduler.running),
            "num_waiting": len(scheduler.waiting),
            "num_blocks": self.engine.block_manager.num_blocks,
            "num_available_blocks": getattr(scheduler, "num_available_blocks", num_free_blocks),
            "num_steps": stats.num_steps,
            "num_generated_tokens": stats.num_generated_tokens,
            "num_computed_tokens": stats.num_computed_tokens,
            "num_preemptions": stats.num_preemptions,
            "num_draft_tokens": runner.num_draft_tokens,
            "num_accepted_tokens": runner.num_accepted_tokens,
            "num_queried_tokens": prefix_cache.num_queried_tokens if prefix_cache else 0,
            "num_hit_tokens": prefix_cache.num_hit_tokens if prefix_cache else 0,
        }
