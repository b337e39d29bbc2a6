"""Folders: what a jail shows, and what stays hidden even within it."""

import os
import sys
from pathlib import Path

from mini_engine.files.fetch import cache_folder

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"]
ETC = ["/etc/ld.so.cache", "/etc/localtime", "/etc/fonts", "/etc/alternatives"]
CPU = "/sys/devices/system/cpu"


class NoJail(RuntimeError):
    """No jail can be made here as asked; the message is one line that ends with the remedy."""


def named_roots():
    """The folders that the interpreter and its packages live in, as Python names them."""
    roots = {sys.prefix, sys.base_prefix, os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))}
    roots |= {path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")}
    return {root for root in roots if os.path.isdir(root)}


def python_roots():
    """The same without links, those within the system's folders or within one another left out.

    Raises NoJail where one of them holds the course: it could not be shown without the solutions.
    """
    roots = {os.path.realpath(root) for root in named_roots()}
    for root in roots:
        if ROOT.is_relative_to(root) and root not in ("/usr", "/usr/local"):
            raise NoJail(
                f"the Python environment {root} holds the course itself: make one elsewhere, as `make setup` does"
            )
    outermost = [root for root in sorted(roots) if not any(inside(root, other) for other in roots - {root})]
    hidden = [str(place) for place in private_places()]
    return [
        root
        for root in outermost
        if any(inside(root, place) for place in hidden) or not any(inside(root, system) for system in SYSTEM)
    ]


def inside(path, folder):
    return os.path.realpath(path).startswith(os.path.realpath(folder) + "/") or path == folder


def model_folder():
    """Where the real model is cached, or None: see mini_engine/files/fetch.py, which alone knows."""
    folder = cache_folder().resolve()
    if any(place.is_relative_to(folder) for place in private_places()):
        raise NoJail(
            f"the model's cache {folder} holds more than the model: set MINI_ENGINE_CACHE to a folder of its own"
        )
    return folder if folder.is_dir() else None


def private_places():
    """What must stay unreadable even where it lies within a folder that the jail shows."""
    places = [ROOT, Path(os.environ.get("COURSE_WORK", ROOT)).resolve(), Path(os.path.expanduser("~")), Path("/root")]
    return [place for place in dict.fromkeys(places) if place.is_dir() and place != Path("/")]


def everyone_reads(paths):
    """Whether other users can reach and read all these paths."""
    return all(
        os.stat(place).st_mode & needed == needed
        for path in paths
        for place, needed in (
            (path, 0o005 if os.path.isdir(path) else 0o004),
            *((above, 0o001) for above in Path(os.path.realpath(path)).parents),
        )
    )


def may_read_all():
    """Whether this process could give the jail the capability to read (CAP_DAC_READ_SEARCH)."""
    status = Path("/proc/self/status").read_text()
    return bool(int(status.split("CapPrm:")[1].split()[0], 16) >> 2 & 1)
