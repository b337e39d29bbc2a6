"""Runs a submission's cells; a process that dies, hangs or floods costs that student's points, not the class."""

import json
import re
import symtable

from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbclient.util import run_sync
from nbformat.v4 import new_output
from nbgrader import utils
from nbgrader.preprocessors import Execute

MAX_OUTPUT_CHARS = 100_000
DEAD = "The notebook's process ended while it ran (exit, crash or out of memory); later cells did not run."


class CourseExecute(Execute):
    """nbgrader's Execute that goes on after a dead kernel, ignores tags, and lets warnings cost nothing."""

    def preprocess(self, nb, resources=None, km=None):
        self._dead = False
        for cell in nb.cells:
            cell.metadata.pop("tags", None)  # skip-execution on a test cell would give full marks
        self._idle = idle_cells(nb.cells)
        return super().preprocess(nb, resources, km)

    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type != "code" or not cell.source.strip() or index in self._idle:
            return cell, resources
        if self._dead:
            cell.outputs = [error_output("DeadKernelError", DEAD)]
            return cell, resources
        try:
            cell, resources = super().preprocess_cell(cell, resources, index)
        except (DeadKernelError, CellTimeoutError, RuntimeError) as error:
            self._dead = isinstance(error, DeadKernelError) or not run_sync(self._alive)()
            message = DEAD if self._dead else "This cell ran too long or wrote too much."
            cell.outputs = [*cell.get("outputs", []), error_output(type(error).__name__, message)]
        if utils.is_grade(cell):
            cell.outputs = [output for output in cell.outputs if not is_stderr(output)]
        cell.outputs = trim(cell.outputs)
        return cell, resources

    async def _alive(self):
        return await self.km.is_alive()


def idle_cells(cells):
    """Indices of the course's own try-it cells that the student left as they were: they print or plot, and cost time.

    A cell that binds a name which a later cell of the student's reads is run all the same.
    """
    idle, used = set(), set()
    for index in range(len(cells) - 1, -1, -1):
        if cells[index].cell_type != "code":
            continue
        bound, read = names_of(cells[index].source)
        if cells[index].metadata.get("as_released") and not bound & used:
            idle.add(index)
        else:
            used |= read
    return idle


def names_of(source):
    """(bound, read): the module-level names that a cell binds, and those that it reads there or in its functions."""
    try:
        tables = [symtable.symtable(source, "<cell>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set(), set(re.findall(r"\w+", source))
    symbols = tables[0].get_symbols()
    bound = {s.get_name() for s in symbols if s.is_assigned() or s.is_imported() or s.is_namespace()}
    read = {s.get_name() for s in symbols if s.is_referenced()}
    while tables:
        table = tables.pop()
        tables += table.get_children()
        read |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_global()}
    return bound, read


def is_stderr(output):
    """nbgrader gives zero for anything on stderr, so for every warning; an error is another kind of output."""
    return output.output_type == "stream" and output.name == "stderr"


def error_output(name, message):
    return new_output("error", ename=name, evalue=message, traceback=[f"{name}: {message}"])


def trim(outputs):
    """The outputs without what exceeds MAX_OUTPUT_CHARS; errors always stay."""
    kept, size = [], 0
    for output in outputs:
        size += len(json.dumps(output, default=str))
        if size <= MAX_OUTPUT_CHARS or output.output_type == "error":
            kept.append(output)
    if len(kept) < len(outputs):
        kept.insert(0, new_output("stream", name="stdout", text="... output dropped: too much of it ...\n"))
    return kept
