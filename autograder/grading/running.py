"""Which cells of a submission need not run, nor which tests, and which of its tests run together."""

import re
import symtable
import unicodedata

from nbgrader import utils

PART_OF = re.compile(r"(test|hidden)_(\w+)")
# what can give a function its name without the name standing in the cell
UNSEEN_NAMES = re.compile(
    r"import\s*\*|^[ \t]*[%!]|\b(?:exec|eval|compile|globals|locals|vars|setattr|get_ipython|runpy|import_module|"
    r"__(?:main|dict|import|builtins|globals|getattr|getattribute|setattr|setitem)__)\b",
    re.M,
)


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


def tests_together(cells, idle):
    """{grade_id of a test: parts ("test", "hidden") of its exercise that stand together, nothing running between}."""
    groups, last = {}, None
    for index, cell in enumerate(cells):
        if cell.cell_type != "code" or not cell.source.strip() or index in idle:
            continue
        found = PART_OF.fullmatch(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if not (found and utils.is_grade(cell) and not utils.is_solution(cell)):
            last = None
            continue
        group = groups[last] if last and PART_OF.fullmatch(last)[2] == found[2] else []
        group.append(found[1])
        last = cell.metadata.nbgrader.grade_id
        groups[last] = group
    return groups


def unwritten(cells, given):
    """Exercises whose cell is as it was released, and that no other cell of the student's names or could name unseen.

    given: {exercise: names that its cell defines}. Their tests get nothing (the audit holds every starter to that), so
    they need not run.
    """
    own = [
        cell.source
        for cell in cells
        if cell.cell_type == "code"
        and not utils.is_locked(cell)
        and not cell.metadata.keys() & {"as_released", "unwritten"}
    ]
    text = unicodedata.normalize("NFKC", "\n".join(own))  # as Python reads names
    if UNSEEN_NAMES.search(text):
        return set()
    words = set(re.findall(r"\w+", text))
    starters = {cell.metadata.nbgrader.grade_id for cell in cells if cell.metadata.get("unwritten")}
    return {name for name in starters if name in given and not words & {name, *given[name]}}


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
