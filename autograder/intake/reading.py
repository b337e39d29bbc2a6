"""Reads a file that claims to be a notebook, and never raises. Nothing here executes what arrived."""

import json
import os
import stat
from pathlib import Path

MAX_FILE_BYTES = 64 << 20  # JSON of this size takes about 1.5 GB to read at its worst
MAX_SOURCE_CHARS = 200_000
PROBLEM_KEY = "course_intake_problem"


def read_cells(path):
    """(cells, problem) of a file that claims to be a notebook; never raises.

    Cells are (type, source, grade_id or None, id or None). problem is "" or what kept the file from being read.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode):
            return [], "it is not a regular file"
        if status.st_size > MAX_FILE_BYTES:
            return [], f"it is too big, {status.st_size} bytes"
        if not status.st_size:
            return [], "the file is empty"
        content = Path(path).read_bytes()
        raw = json.loads(content.decode(json.detect_encoding(content), "replace"), parse_int=number)
    except RecursionError:
        return [], "its JSON is nested too deeply"
    except ValueError:
        return [], "it is not JSON"
    except OSError as error:
        return [], f"the file cannot be opened: {error.strerror}"
    except MemoryError:
        return [], "it does not fit into memory"
    if not isinstance(raw, dict):
        return [], "it is not a notebook"
    if PROBLEM_KEY in raw:
        return [], text_of(raw[PROBLEM_KEY])[:400]
    cells = raw.get("cells")
    if cells is None and isinstance(raw.get("worksheets"), list):  # nbformat 3
        sheets = [sheet.get("cells") for sheet in raw["worksheets"] if isinstance(sheet, dict)]
        cells = [cell for sheet in sheets if isinstance(sheet, list) for cell in sheet]
    if not isinstance(cells, list):
        return [], "it holds no cells"
    return [read_cell(cell) for cell in cells if isinstance(cell, dict)], ""


def number(digits):
    """A whole number of a file; of more digits than Python reads none, since no cell has one."""
    return int(digits) if len(digits) < 100 else 0


def read_cell(cell):
    metadata = cell.get("metadata")
    marks = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = marks.get("grade_id") if isinstance(marks, dict) else None
    names = [name if isinstance(name, str) else None for name in (grade_id, cell.get("id"))]
    return cell.get("cell_type"), text_of(cell.get("source", cell.get("input", ""))), *names


def text_of(source):
    """A cell's source as text, whatever it was."""
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    if not isinstance(source, str):
        return ""
    return source.encode("utf-8", "replace").decode("utf-8").replace("\x00", "")[:MAX_SOURCE_CHARS]


def leave_problem(path, why):
    path.write_text(json.dumps({PROBLEM_KEY: why}))
