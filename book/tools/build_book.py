"""Build the HTML book, with every cell run and every warning an error.

    python book/tools/build_book.py                 the whole book, into _build/html
    python book/tools/build_book.py 03_kv_cache     quick: only these chapters, into _build/quick/NAME/_build/html
    python book/tools/build_book.py --student       without solutions, into _build/student/_build/html

A quick build may run beside others. References to chapters outside it stay unresolved there without a warning; the
whole build checks them.
"""

import argparse
import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from book.tools import vendor  # noqa: E402 (the script may be started from anywhere)
from mini_engine.files.fetch import ModelUnavailable, fetch_gguf  # noqa: E402

# what a reference to a chapter outside a quick build leads to
UNRESOLVED = ["myst.xref_missing", "ref.doc", "ref.ref", "ref.numref"]
ALWAYS = ["book/progress", "book/notation", "book/glossary", "book/references"]
SOURCES = ("_config.yml", "_toc.yml", "book", "mini_engine", "notebooks", "solutions")
SOURCES += ("autograder/nbgrader_config.py", "autograder/audit_table.json", "autograder/assignment")
SOURCES += ("autograder/grading/tables.py", "autograder/grading/costs.json", "autograder/hostile_table.json")


class BuildError(Exception):
    """The book cannot be built. The message is one line."""


def source_digest(root=ROOT):
    """sha256 over every file that the book is made from."""
    digest = hashlib.sha256()
    for name in SOURCES:
        path = root / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            kept = not any(part == "__pycache__" or part.startswith(".") for part in file.relative_to(root).parts)
            if file.is_file() and kept:
                digest.update(f"{file.relative_to(root)}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


def is_fresh(html):
    """True when the book in this folder was built from the sources as they are."""
    stamp = Path(html) / ".sources"
    return stamp.is_file() and stamp.read_text() == source_digest()


def reader_of_pages(description, folder):
    """The parser of a command that makes something of built pages: which ones, the built book, where to write."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", help="for example 03_kv_cache")
    parser.add_argument("--html", type=Path, default=ROOT / "_build" / "html", help="the built book")
    parser.add_argument("--folder", type=Path, default=ROOT / "_build" / folder)
    return parser


def require_pages(html, pages):
    """Raise BuildError for the first of the pages that the built book in this folder has not."""
    for page in pages:
        if not (html / f"{page}.html").is_file():
            raise BuildError(f"{html} has no {page}.html: run 'make book' first")


def toc_pages(toc):
    """Every page named in a table of contents, in order, the root first."""
    pages = [toc["root"]] if "root" in toc else []
    for part in [*toc.get("parts", []), *toc.get("chapters", []), *toc.get("sections", [])]:
        pages += [part["file"]] if "file" in part else []
        pages += toc_pages({key: part[key] for key in ("chapters", "sections") if key in part})
    return pages


def page_source(page):
    for suffix in (".md", ".ipynb"):
        if (ROOT / f"{page}{suffix}").is_file():
            return ROOT / f"{page}{suffix}"
    raise BuildError(f"_toc.yml names {page}, and there is no {page}.md or {page}.ipynb")


def check_header(path):
    """A MyST page with code cells needs the jupytext header: without it the cells are shown and never run."""
    if path.suffix != ".md":
        return
    source = path.read_text(encoding="utf-8")
    header = source.split("\n---", 1)[0] if source.startswith("---\n") else ""
    if "{code-cell}" in source and not ("text_representation" in header and "kernelspec" in header):
        raise BuildError(f"{path.relative_to(ROOT)} has code cells and no jupytext header, so they would not run")


def quick_toc(chapters):
    """A table of contents of the front page, the look-up pages, and the named chapters."""
    entries = [{"file": f"book/{chapter}"} for chapter in chapters]
    look_up = [{"file": page} for page in ALWAYS if page not in {entry["file"] for entry in entries}]
    return {"format": "jb-book", "root": "book/intro", "chapters": [*entries, *look_up]}


def write_quick_settings(folder, chapters, student):
    """Write the settings that differ from the repository's into folder. Returns the toc and the config path."""
    folder.mkdir(parents=True, exist_ok=True)
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["sphinx"]["local_extensions"] = {"book._ext": str(ROOT)}
    config["sphinx"]["config"]["exercise_solutions"] = not student
    config["bibtex_bibfiles"] = [str(ROOT / name) for name in config["bibtex_bibfiles"]]
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    if chapters:
        toc = quick_toc(chapters)
        config["sphinx"]["config"]["suppress_warnings"] += UNRESOLVED
    (folder / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False))
    (folder / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True))
    return folder / "_toc.yml", folder / "_config.yml"


def fetch_model():
    """Fetch the model that the pages run. Without it they show recorded figures, and say so."""
    try:
        fetch_gguf()
    except ModelUnavailable as error:
        print(f"note: the pages will show recorded figures instead of this machine's: {error}", file=sys.stderr)


def compile_beside():
    """Let a second process compile the kernels that chapters 3 to 14 run, while the first pages are made."""
    words = "from mini_engine.__main__ import main; main(['generate', 'Hi', '--max-tokens', '2', *{}])"
    code = "\n".join(words.format(quant) for quant in ([], ["--quant", "int8"], ["--quant", "int4"]))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, **quiet)


def run_jupyter_book(build_folder, toc, config):
    """Run jupyter-book on the repository. Returns its exit code."""
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        "-W",
        "-n",
        "--keep-going",
    ]
    command += ["--toc", str(toc), "--config", str(config), "--path-output", str(build_folder.parent), str(ROOT)]
    # the kernels import mini_engine from this checkout, whichever one is installed
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "COURSE_BOOK_BUILD": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment).returncode


def build(chapters=(), student=False, output=None):
    """Build, check that every page is there, and return the folder of the HTML. Raises BuildError."""
    name = "-".join(chapters) or ("student" if student else "")
    parent = Path(output) if output else ROOT / "_build" / "quick" / name if chapters else ROOT
    if student and not chapters and not output:
        parent = ROOT / "_build" / "student"
    build_folder = parent.resolve() / "_build"
    html = build_folder / "html"
    for stale in (html, build_folder / ".doctrees", build_folder / "jupyter_execute"):
        shutil.rmtree(stale, ignore_errors=True)
    toc, config = ROOT / "_toc.yml", ROOT / "_config.yml"
    if chapters or student:
        toc, config = write_quick_settings(build_folder / "settings", chapters, student)
    pages = toc_pages(yaml.safe_load(toc.read_text()))
    for page in pages:
        check_header(page_source(page))
    for problem in vendor.fetch_missing():
        print(f"note: {problem}; what is missing will be loaded from a public address", file=sys.stderr)
    fetch_model()
    digest = source_digest()
    with contextlib.nullcontext() if chapters else compile_beside():
        failed = run_jupyter_book(build_folder, toc, config)
    if failed:
        raise BuildError("the build failed: the first WARNING or ERROR above says where")
    missing = [page for page in pages if not (html / f"{page}.html").is_file()]
    if missing:
        raise BuildError(f"the build ended without an error and without these pages: {', '.join(missing)}")
    if not chapters and not student:
        (html / ".sources").write_text(digest)
    return html


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", help="build only these, for example 03_kv_cache")
    parser.add_argument("--student", action="store_true", help="leave the solutions out")
    parser.add_argument("--output", help="folder that gets _build/html")
    parser.add_argument("--if-stale", action="store_true", help="do nothing when _build/html is up to date")
    args = parser.parse_args(argv)
    html = ROOT / "_build" / "html"
    chapters = [Path(chapter).stem for chapter in args.chapters]
    try:
        if not (args.if_stale and not chapters and not args.student and is_fresh(html)):
            html = build(chapters, args.student, args.output)
    except BuildError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1
    start = html / (f"book/{chapters[0]}.html" if chapters else "index.html")
    print(f"Open {start}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
