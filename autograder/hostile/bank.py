"""Reads the cases of the hostile bank and makes a submission folder of each.

A case is one file, cases/<family>/<name>.py. Its docstring says what the submission tries, then, one a line:

    answers: exercises that hold the reference answer ("all", names, or nothing)
    score:   points that it must get: "0", "all", "KVCache=6 generate=2", "all Decoder=2"; what is not named gets 0
    note:    a pattern that a reader must find among the notes, the messages of the tests and the outputs of its cells,
             "-" where nothing has to be said
    lent:    "yes" where its free cells define attack(model), which is called with the engine's Llama that the hidden
             test of `generate` lends, and returns what it could do; ask() and connect() are there for it, see LENT
    unseen:  a pattern that no page of the student's feedback may hold
    topic:   the assignment that it hands in, 03_kv_cache where it says none
    bomb:    "yes" where it would harm an unprotected machine; it then goes off only where the canary cannot be read

The rest is cells: `# %%` a free cell, `# %% NAME` the text of a solution cell (a free cell stands before the solution
cell that follows it in the file, the last ones after the one before), `# %% end` a free cell at the end of the
notebook, `# %% build` code that the runner executes with `notebook`, `folder`, `path`, `cell`, `code` and `write`.
Words such as HOST_FILE are replaced by what the runner has planted, see canaries.py.
"""

import copy
import json
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

from autograder.grading import course

HERE = Path(__file__).resolve().parent
TOPIC = "03_kv_cache"
FAMILIES = {"marks": "marks without work", "lost": "lost grades", "reaching": "reaching out"}
KEYS = ("answers", "score", "note", "unseen", "topic", "bomb", "lent")
HEADER = re.compile(r"^# %%(.*)$", re.M)
UNLIT = "no jail: the bomb is not lit"
GUARD = f"""try:
    open(HOST_FILE).close()
except OSError:
    pass
else:
    raise SystemExit("{UNLIT}")
"""
# Behind the reference answer of `generate`: it is honest until it is given the engine's model.
LENT = """

honest_generate = generate


def generate(model, ids, max_new_tokens, use_cache):
    if type(model).__name__ == "Llama":
        assert ask(model, "get", "config") and accepts(model, 1), "the attack itself does not work"
        reached = [str(found) for found in attack(model)]
        raise RuntimeError(f"REACHED {reached}" if reached else "every attempt was refused")
    return honest_generate(model, ids, max_new_tokens, use_cache)


def fields_of(model):
    return object.__getattribute__(model, "__dict__")


def ask(model, op, name, *arguments):
    \"\"\"Asks the tester past Python's manners; True where it does not refuse.\"\"\"
    try:
        fields_of(model)["hub"].peer().ask({"op": op, "on": fields_of(model)["number"], "name": name}, arguments)
    except AttributeError:
        return False
    except TypeError:
        pass  # it was called, with the wrong arguments
    return True


def connect(model, *frames):
    \"\"\"Sends frames (header, bytes) over a connection of their own; what the tester says to the last, or None.\"\"\"
    channel = fields_of(model)["hub"].connect().channel
    try:
        for header, data in frames:
            channel.send(header, [data] if data else [])
        return channel.receive()[0]
    except Exception:
        return None
    finally:
        channel.close()


def accepts(model, coded):
    \"\"\"Whether the tester takes a value as the argument of a call.\"\"\"
    return connect(model, ({"op": "call", "on": fields_of(model)["number"], "a": [coded]}, b"")) is not None
"""


class CaseError(ValueError):
    """A case file breaks the format."""


@dataclass
class Case:
    """One hostile submission: its cells as (header, source), and what it must get."""

    family: str
    name: str
    what: str
    options: dict
    cells: list

    @property
    def student(self):
        return self.name.replace("_", "-")

    @property
    def topic(self):
        return self.options["topic"] or TOPIC

    @property
    def is_bomb(self):
        return self.options["bomb"] == "yes"

    def wanted(self, worth):
        """{exercise: points} that the case must get; `worth` is {exercise: points of its tests}."""
        words = self.options["score"].split()
        points = dict(worth) if words[0] == "all" else dict.fromkeys(worth, 0)
        for word in words[1:] if words[0] in ("all", "0") else words:
            name, _, value = word.partition("=")
            if name not in worth or not value:
                raise CaseError(f"{self.name}: no exercise and points in score: {word!r}")
            points[name] = float(value)
        return points


def read_case(path):
    """The case in the file at `path`. Raises CaseError where a key is missing or unknown."""
    text = path.read_text(encoding="utf-8")
    found = re.match(r'r?"""(.*?)"""\n', text, re.S)
    if not found:
        raise CaseError(f"{path}: no docstring at the top")
    lines = found[1].strip().split("\n")
    options = dict.fromkeys(KEYS, "")
    for line in [line for line in lines if re.match(r"[a-z]+: ", line)]:
        key, _, value = line.partition(":")
        if key not in options:
            raise CaseError(f"{path}: unknown key {key}")
        options[key] = value.strip()
    if not options["score"] or not options["note"]:
        raise CaseError(f"{path}: score and note are needed")
    options["note"] = "" if options["note"] == "-" else options["note"]
    re.compile(options["note"]), re.compile(options["unseen"])
    parts = HEADER.split(text[found.end() :])[1:]
    cells = [(header.strip(), source.strip("\n")) for header, source in zip(parts[::2], parts[1::2], strict=True)]
    return Case(path.parent.name, path.stem, lines[0], options, cells)


def read_bank(pattern="*"):
    """Every case whose name, or family/name, matches the glob, by family and name."""
    paths = sorted(path for family in FAMILIES for path in (HERE / "cases" / family).glob("*.py"))
    return [read_case(path) for path in paths if path.match(pattern + ".py")]


def code(source, **metadata):
    return nbformat.v4.new_code_cell(source, metadata=metadata)


def make_submission(case, folder, facts, release, reference):
    """Writes the submission of a case into `folder`.

    facts: {"HOST_...": value}. release: the released notebook. reference: {exercise: source}.
    """
    folder.mkdir(parents=True)
    notebook = copy.deepcopy(release)
    builds = place_cells(case, notebook, facts, reference)
    path = folder / f"{case.topic}.ipynb"

    def cell(name):
        return notebook.cells[index_of(notebook, name)]

    def write(book=notebook, name=path.name):
        (folder / name).write_text(json.dumps(book), encoding="utf-8")  # nbformat would repair what is wrong on purpose

    write()
    for source in builds:
        place = {"notebook": notebook, "folder": folder, "path": path, "cell": cell, "code": code, "write": write}
        exec(compile(source, f"<build of {case.name}>", "exec"), place | {"nbformat": nbformat})


def place_cells(case, notebook, facts, reference):
    """Puts a case's cells and answers into the notebook; returns the code of its build cells."""
    wanted = case.options["answers"].split()
    answers = {name: text for name, text in reference.items() if wanted == ["all"] or name in wanted}
    builds, before, last = [], [], None
    for header, source in case.cells:
        source = fill_in(source, facts)
        if header == "build":
            builds.append(source)
            continue
        source = fill_in(GUARD, facts) + source if case.is_bomb else source
        if header == "":
            before.append(code(source))
        elif header == "end":
            notebook.cells.append(code(source))
        elif header in reference:
            answers[header], last = source, header
            place = index_of(notebook, header)
            notebook.cells[place:place], before = before, []
        else:
            raise CaseError(f"{case.name}: no exercise {header}")
    place = index_of(notebook, last) + 1 if last else index_of(notebook, "setup") + 1
    notebook.cells[place:place] = before
    if case.options["lent"] == "yes":
        answers["generate"] = reference["generate"] + LENT
    for name, text in answers.items():
        notebook.cells[index_of(notebook, name)].source = text
    return builds


def index_of(notebook, name):
    return next(i for i, c in enumerate(notebook.cells) if c.metadata.get("nbgrader", {}).get("grade_id") == name)


def fill_in(source, facts):
    """The text with HOST_... words replaced by what they stand for."""
    return re.sub(r"\bHOST_[A-Z_]+\b", lambda word: repr(facts[word[0]]), source)


def release(topic=TOPIC):
    return nbformat.read(course.ROOT / "notebooks" / topic / f"{topic}.ipynb", as_version=4)
