"""Fetch the third-party browser files that the book serves itself, pinned by version and sha256.

`python -m book._ext.vendor` puts them under book/_static/vendor/. They come out of PyPI wheels by pip, so that a
machine needs nothing but the Python that builds the book. What is already there with the right checksum stays.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

VENDOR = Path(__file__).resolve().parents[1] / "_static" / "vendor"


@dataclass(frozen=True)
class VendoredFile:
    """One file of a wheel. requirement: pinned pip requirement; wheel_sha256 and sha256: hex digests."""

    requirement: str
    wheel_sha256: str
    member: str
    target: str
    sha256: str


# MathJax 3.2.2 (Apache-2.0), every TeX extension and the SVG output in one file: no font is loaded, so formulas show
# from file:// in every browser. The file equals es5/tex-svg-full.js of the npm package mathjax 3.2.2.
MATHJAX = VendoredFile(
    requirement="sphinx-mathjax-offline==0.0.2",
    wheel_sha256="206418155b2ff2f57496fb8501fdccae3da978e53031ff296c73729ba16062c4",
    member="sphinx-mathjax-offline/static/mathjax/tex-svg-full.js",
    target="mathjax/tex-svg-full.js",
    sha256="a4354ff94fd868aea0cc6eaaa79a57fda0588646fc46ee3700a349ee0a11cbe6",
)

FILES = (MATHJAX,)


class VendorError(RuntimeError):
    """A file could not be fetched, or is not the pinned one. The message is one line."""


def present(file):
    """True when the file is in place with its checksum."""
    path = VENDOR / file.target
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == file.sha256


def fetch(file):
    """Download the wheel, check it, and copy its member into place. Raises VendorError."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text(f"{file.requirement} --hash=sha256:{file.wheel_sha256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes"]
        done = subprocess.run([*command, "--dest", folder, "-r", str(pins)], capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if done.returncode or len(wheels) != 1:
            reason = next((line for line in done.stderr.splitlines() if "ERROR" in line), "no wheel arrived")
            raise VendorError(f"pip could not fetch {file.requirement}: {reason}")
        data = zipfile.ZipFile(wheels[0]).read(file.member)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        raise VendorError(f"{file.member} has sha256 {found}, expected {file.sha256}")
    path = VENDOR / file.target
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".part")
    partial.write_bytes(data)
    partial.replace(path)


def fetch_missing():
    """Fetch what is not there yet. Returns one line for each file that could not be had."""
    problems = []
    for file in FILES:
        if present(file):
            continue
        try:
            fetch(file)
        except VendorError as error:
            problems.append(str(error))
    return problems


if __name__ == "__main__":
    failed = fetch_missing()
    for line in failed:
        print(f"vendor: {line}", file=sys.stderr)
    sys.exit(1 if failed else 0)
