"""One jail's folders, user and limits."""

import itertools
import os
import platform
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

OWN_UIDS = 0x70000000  # and up: numbers that no account has
NOBODY = 65534
COUNTER = itertools.count()


@dataclass
class Limits:
    """What one submission may use, of everything it starts together unless said otherwise."""

    memory_bytes: int = 4 << 30
    address_bytes: int = 16 << 30  # of one process: a build of torch for GPUs maps several GB that it never touches
    cpu_s: int = 600  # of one process
    wall_s: int = 900
    num_processes: int = 64  # and threads
    num_files: int = 256  # open at a time, of one process
    file_bytes: int = 64 << 20
    disk_bytes: int = 256 << 20  # in the notebook's folder, and as much in the folder for temporary files
    exchange_bytes: int = 4 << 20


@dataclass
class Cell:
    """One jail's folders: `run` is removed at its end; `exchange` has the same path within."""

    run: Path
    limits: Limits = field(default_factory=Limits)
    uid: int | None = None  # the user it gets where we are root

    @property
    def exchange(self):
        return self.run / "x"

    @property
    def submission(self):
        return self.run / "w"


def new_cell(limits=None):
    """A Cell with fresh folders; their paths are short, since an address of a unix socket has at most 107 bytes."""
    # not below /tmp, which the jail may write to: Landlock's rules for a folder hold for all below it
    place = "/var/tmp" if os.access("/var/tmp", os.W_OK) else tempfile.gettempdir()
    run = Path(tempfile.mkdtemp(prefix="jail-", dir=place))
    cell = Cell(run, limits or Limits(), own_uid())
    for folder in (cell.exchange, cell.submission, run / "t"):
        folder.mkdir()
    return cell


def remove(cell):
    """Removes a cell's folder; a submission may have nested it deeper than Python can go."""
    subprocess.run(["rm", "-rf", "--", str(cell.run)], check=False)


def own_uid():
    """The user that a jail gets where we are root, one of its own if this machine maps it; None where we are not."""
    if platform.system() != "Linux" or os.getuid():
        return None
    wanted = OWN_UIDS + 32 * os.getpid() + next(COUNTER) % 32
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        first, _, count = map(int, line.split())
        if first <= wanted < first + count:
            return wanted
    return NOBODY


def give_to_its_user(cell):
    cell.run.chmod(0o711)
    for folder in (cell.exchange, cell.submission, cell.run / "t"):
        folder.chmod(0o700)
        for parent, _, names in os.walk(folder):
            for path in (parent, *(os.path.join(parent, name) for name in names)):
                os.chown(path, cell.uid, cell.uid)
