"""Runs a submission: the student's cells in the kernel, the test cells outside of it (see autograder/outside).

A process that dies, hangs or floods costs that student's points, not the class. A kernel that was started through the
jail has a folder that both sides see (`provisioner.exchange`); without a jail a folder of our own serves.
"""

import asyncio
import contextlib
import json
import secrets
import select
import shutil
import tempfile
import time
from pathlib import Path
from queue import Empty

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import ensure_async, run_sync
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import Execute

from autograder.grading.running import PART_OF, idle_cells, tests_together, unwritten
from autograder.outside import master, package
from autograder.outside.tester import GONE, Tester
from autograder.sandbox import modes

MAX_OUTPUT_CHARS, MAX_ERROR_CHARS = 100_000, 20_000
CELL_S = 25  # for a cell of the student's; the course's own have Execute.timeout
TEST_S, AGAIN_S = 18, 5  # for a test, and for one after another of its exercise ran out of time
TESTS_S = 300  # for all tests of a notebook
AFTER = "Later cells did not run."
DEAD = f"The notebook's process ended while it ran (exit, crash or out of memory). {AFTER}"
HANGS = f"The notebook's process did not stop after a test had run too long. {AFTER}"
OUT_OF_TIME = f"The tests of this notebook took {TESTS_S} seconds together, which is all they have."
GARBLED = f"The notebook's process no longer answered as a notebook does. {AFTER}"
POLL_S, STOP_S = 0.005, 5  # between looks at the tester; for a kernel to end a call that was interrupted
MAX_SILENT = 3  # tests that a living kernel may leave without an answer: each costs the class time


class CourseExecute(Execute):
    """nbgrader's Execute that tests from outside, goes on after a dead kernel, ignores tags, and lets warnings pass."""

    def preprocess(self, nb, resources=None, km=None):
        self._dead, self._num_silent = "", 0
        self._slow, self._left_s, self._found = set(), TESTS_S, {}
        for cell in nb.cells:
            cell.metadata.pop("tags", None)  # skip-execution on a test cell would give full marks
        self.timeout_func = self.seconds_for_cell
        self._idle = idle_cells(nb.cells)
        self._together = tests_together(nb.cells, self._idle)
        order = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
        marks = resources["nbgrader"]
        self._topic = master.load_topic(marks["db_url"], marks["assignment"], marks["notebook"], order)
        self._unwritten = unwritten(nb.cells, self._topic.names)
        self._own_exchange = None
        try:
            return super().preprocess(nb, resources, km)
        finally:
            if self._own_exchange:
                shutil.rmtree(self._own_exchange, ignore_errors=True)

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code" or not cell.source.strip() or index in self._idle:
            return cell, resources
        if utils.is_grade(cell) and not utils.is_solution(cell):
            cell.outputs, cell.execution_count = self.examine(cell.metadata.nbgrader.grade_id), None
            return cell, resources
        if self._dead:
            cell.outputs = [error_output("DeadKernelError", self._dead)]
            return cell, resources
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except Exception as error:  # whatever a kernel sends that is no message of a notebook ends up here too
            run_sync(self.note_trouble)(error)
            message = self._dead or "This cell ran too long or wrote too much."
            cell.outputs = [*cell.get("outputs", []), error_output(type(error).__name__, message)]
        cell.outputs = trim(cell.outputs)
        return cell, resources

    def examine(self, grade_id):
        """The outputs of a test cell, which the tester runs: what it printed, and one error where it failed."""
        found = PART_OF.fullmatch(grade_id)
        cell = self._topic.exercises.get(found[2], {}).get(found[1]) if found else None
        if cell is None:
            return [error_output("KeyError", f"The gradebook has no test {grade_id}: generate the assignment again.")]
        if found[2] in self._unwritten:
            return [error_output("NotImplementedError", "")]
        if grade_id not in self._found:
            tests = self._topic.exercises[found[2]]
            self.run_tests(found[2], [tests[part] for part in self._together[grade_id] if part in tests])
        if grade_id not in self._found:
            return [
                error_output("DeadKernelError", self._dead) if self._dead else error_output("TimeoutError", OUT_OF_TIME)
            ]
        reason, printed, tried = self._found[grade_id]
        outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
        if reason:
            name, _, message = reason.partition(": ")
            message = self._dead if name == "StudentProcessError" and self._dead else message
            outputs.append(error_output(name, message, tried))
        return outputs

    def run_tests(self, exercise, cells):
        """Runs tests that stand together in one tester, and in another what is left after one of them ended it."""
        confined = modes.require() != "trusted"
        while cells and not self._dead and self._left_s > 0:
            path, start = self.exchange() / f"t{secrets.token_hex(8)}", time.monotonic()  # nobody could take that name
            tester = Tester(self._topic, cells, path, self.seconds_for(exercise), confined)
            run_sync(self.attend)(tester, self.kc.execute(package.request(path), silent=True, store_history=False))
            found = tester.result()
            self._left_s -= time.monotonic() - start
            if tester.was_late:
                self._slow.add(exercise)
            self._num_silent += sum(reason == f"StudentProcessError: {GONE}" for reason, *_ in found.values())
            if self._num_silent >= MAX_SILENT and not self._dead:
                run_sync(self.give_up)(GARBLED)
            self._found |= found
            cells = [cell for cell in cells if cell.grade_id not in found]

    def seconds_for_cell(self, cell):
        return self.timeout if utils.is_locked(cell) else min(self.timeout or CELL_S, CELL_S)

    def seconds_for(self, exercise):
        """How long a test may take: little after one of the same exercise ran out of time, never more than is left."""
        return min(AGAIN_S if exercise in self._slow else TEST_S, self.timeout or TEST_S, self._left_s)

    def exchange(self):
        """The folder in which the tester listens, seen under one path by both sides."""
        given = getattr(self.km.provisioner, "exchange", None)
        if given is None and self._own_exchange is None:
            self._own_exchange = tempfile.mkdtemp(prefix="exchange-")
        return Path(given or self._own_exchange)

    async def attend(self, tester, request):
        """Waits for the tester and then for the kernel, which is interrupted, and given up, where it does not end."""
        ended, alive_at = False, 0.0
        clock = asyncio.get_running_loop().time
        while True:
            while select.select([tester.read_end], [], [], 0)[0]:
                if not tester.read():
                    await self.wait_for_agent(request, ended)
                    return
            if tester.is_late():
                tester.kill()
            if not ended and clock() > alive_at:
                alive_at = clock() + 0.5
                ended = await self.has_ended(request, 0) or not await self._alive()
                if ended:  # the agent is gone; the tester sees that at once, unless it was never asked
                    alive_at = clock() + STOP_S
            elif ended and clock() > alive_at:
                tester.kill()
            await self.drain()
            await asyncio.sleep(POLL_S)

    async def wait_for_agent(self, request, ended):
        for interrupt in (False, True):
            if ended or await self.has_ended(request, STOP_S if interrupt else 1):
                break
            if not await self._alive():
                break
            await ensure_async(self.km.interrupt_kernel())
            if interrupt:
                return await self.give_up(HANGS)
        if not await self._alive():
            self._dead = self.why_dead()

    async def has_ended(self, request, seconds):
        """Whether the kernel has answered the request, waiting for it for some seconds."""
        end = asyncio.get_running_loop().time() + seconds
        while True:
            with contextlib.suppress(Empty, KeyError, ValueError):
                message = await ensure_async(self.kc.get_shell_msg(timeout=0.01))
                if message["parent_header"].get("msg_id") == request:
                    return True
                continue
            if asyncio.get_running_loop().time() >= end:
                return False
            await self.drain()

    async def drain(self):
        """Takes what the kernel says meanwhile; nothing of it is kept."""
        with contextlib.suppress(Empty, KeyError, ValueError):
            for _ in range(1000):
                await ensure_async(self.kc.get_iopub_msg(timeout=0))

    async def note_trouble(self, error):
        """After an error in a cell of the student's: is the kernel of any more use?"""
        if not await self._alive() or isinstance(error, DeadKernelError):
            self._dead = self.why_dead()
        elif not isinstance(error, CellTimeoutError | RuntimeError):
            await self.give_up(GARBLED)

    def why_dead(self):
        """What the student reads where the process has ended: the limit that ended it, where the jail knows one."""
        limit = getattr(self.km.provisioner, "why_ended", "")
        return f"{limit} {AFTER}" if limit else DEAD

    async def give_up(self, why):
        """Ends the kernel; the cells after this one get `why`."""
        self._dead = why
        await ensure_async(self.km.shutdown_kernel(now=True))

    async def _alive(self):
        return await ensure_async(self.km.is_alive())


def error_output(name, message, tried=""):
    """tried: what a test asked of the student's code last; the feedback finds it in the traceback's second line."""
    traceback = [f"{name}: {message}", *([tried] if tried else [])]
    return new_output("error", ename=name, evalue=message, traceback=traceback)


def trim(outputs):
    """The outputs without what exceeds MAX_OUTPUT_CHARS; errors always stay, with a message of MAX_ERROR_CHARS."""
    kept, size = [], 0
    for output in outputs:
        if output.output_type == "error" and len(json.dumps(output, default=str)) > MAX_OUTPUT_CHARS:
            output.ename, output.evalue = output.ename[:100], output.evalue[:MAX_ERROR_CHARS]
            output.traceback = ["\n".join(output.traceback)[-MAX_ERROR_CHARS:]]
        size += len(json.dumps(output, default=str))
        if size <= MAX_OUTPUT_CHARS or output.output_type == "error":
            kept.append(output)
    if len(kept) < len(outputs):
        kept.insert(0, new_output("stream", name="stdout", text="... output dropped: too much of it ...\n"))
    return kept
