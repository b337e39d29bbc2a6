"""The rows of the gradebook that belong to one assignment and one student, as plain data."""

import nbformat
from nbgrader.api import Base, Gradebook
from sqlalchemy import create_engine, select

from autograder.intake.graft import notes_of

TABLES = {table.name: table for table in Base.metadata.sorted_tables}
OF_STUDENT = ("course", "student", "submitted_assignment", "submitted_notebook", "comment", "grade")
BUSY_SECONDS = 120  # how long to wait for another program that writes the same SQLite file


def connect(url):
    return create_engine(url, connect_args={"timeout": BUSY_SECONDS} if url.startswith("sqlite") else {})


def read(connection, name, column, values):
    """The rows of a table whose `column` is one of `values`, as {id: {column: value}}."""
    table = TABLES[name]
    found = connection.execute(select(table).where(table.c[column].in_(list(values)))).mappings()
    return {row["id"]: dict(row) for row in found}


def rows_of_assignment(connection, name):
    """{table: rows} of an assignment and its cells."""
    rows = {"assignment": read(connection, "assignment", "name", [name])}
    rows["course"] = read(connection, "course", "id", [row["course_id"] for row in rows["assignment"].values()])
    rows["notebook"] = read(connection, "notebook", "assignment_id", rows["assignment"])
    for table in ("base_cell", "source_cell"):
        rows[table] = read(connection, table, "notebook_id", rows["notebook"])
    for table in ("grade_cells", "solution_cells", "task_cells"):
        rows[table] = read(connection, table, "id", rows["base_cell"])
    return rows


def rows_of_student(connection, assignments, student):
    """{table: rows} of a student and of what was recorded for the assignments before: marks by hand, an extension."""
    rows = {"student": read(connection, "student", "id", [student])}
    submitted = read(connection, "submitted_assignment", "student_id", [student])
    rows["submitted_assignment"] = {key: row for key, row in submitted.items() if row["assignment_id"] in assignments}
    rows["submitted_notebook"] = read(connection, "submitted_notebook", "assignment_id", rows["submitted_assignment"])
    for table in ("comment", "grade"):
        rows[table] = read(connection, table, "notebook_id", rows["submitted_notebook"])
    return rows


def fill(path, rows):
    """Makes a gradebook in a file of its own, with these rows and no others."""
    path.unlink(missing_ok=True)
    engine = create_engine(f"sqlite:///{path}")
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        for name, table in TABLES.items():
            if rows.get(name):
                connection.execute(table.insert(), list(rows[name].values()))
    engine.dispose()


def outcome(path, before, student, assignment, folder):
    """What grading changed: rows, files, and for the summary the score, what waits for a person, and notes."""
    engine = create_engine(f"sqlite:///{path}")
    changes = []
    with engine.connect() as connection:
        for name in OF_STUDENT:
            for row in connection.execute(select(TABLES[name])).mappings():
                old = before.get(name, {}).get(row["id"])
                new = {column: value for column, value in row.items() if old is None or old[column] != value}
                if new:
                    changes.append((name, row["id"], old is None, new))
    engine.dispose()
    with Gradebook(f"sqlite:///{path}") as gradebook:
        found = gradebook.find_submission(assignment, student)
        score = found.score
        waiting = sum(grade.needs_manual_grade for notebook in found.notebooks for grade in notebook.grades)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    notes = [note for path in sorted(folder.glob("*.ipynb")) for note in notes_of(nbformat.read(path, 4).cells)]
    return {"changes": changes, "files": files, "score": score, "waiting": waiting, "notes": notes}
