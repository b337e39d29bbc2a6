"""What a submission must not find, change or reach: planted before a class is graded, looked at afterwards."""

import glob
import hashlib
import os
import secrets
import select
import shutil
import socket
import stat
import tempfile
import threading
from pathlib import Path

from autograder.grading import course

OWN_TRACES = {"__pycache__", ".ipynb_checkpoints", ".cache", ".config", ".jupyter", ".local", ".ipython", ".nv"}


class Canaries:
    """Files, variables and listeners around one class, in one short temporary folder.

    work: the class; temporary: TMPDIR of the grading; environment: what nbgrader must be started with.
    """

    def __init__(self):
        self.secret = secrets.token_hex(12)
        self.mark = f"canary{secrets.token_hex(4)}"
        self.root = Path(tempfile.mkdtemp(prefix="hb"))
        self.root.chmod(0o755)  # an unprivileged process must be held back by the jail, not by file modes
        self.work, self.temporary, self.home = self.root / "class", self.root / "t", self.root / "home"
        self.writable = self.root / "open"
        self.hidden = self.root / self.secret  # its name is in the database's address
        for folder in (self.work, self.temporary, self.home, self.writable, self.hidden):
            folder.mkdir()
        self.database = f"sqlite:///{self.hidden}/gradebook.db"
        self.knocks, self.sockets = [], []
        self.plant()

    def plant(self):
        for path in (self.home / "notes.txt", self.writable / "notes.txt", self.hidden / "notes.txt"):
            path.write_text(f"{self.secret}\n")
        self.writable.chmod(0o777)
        other = self.work / "submitted" / "victim" / "04_flops_and_roofline" / "04_flops_and_roofline.ipynb"
        other.parent.mkdir(parents=True)
        other.write_text(f'{{"cells": [], "metadata": {{"note": "{self.secret}"}}}}')
        self.guarded = {path: digest(path) for path in (self.home, self.writable, other.parent.parent)}
        self.course = {path: digest(course.ROOT / path) for path in ("autograder", "notebooks", "solutions")}

    @property
    def environment(self):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("COURSE_", "NBGRADER_"))}
        kept |= {"COURSE_JAIL": os.environ["COURSE_JAIL"]} if "COURSE_JAIL" in os.environ else {}
        return kept | {
            "COURSE_WORK": str(self.work),
            "COURSE_CANARY": self.secret,
            "NBGRADER_DB_URL": self.database,
            "TMPDIR": str(self.temporary),
            "HOME": str(self.home),
            "JUPYTER_RUNTIME_DIR": str(self.temporary / "runtime"),
            "MPLCONFIGDIR": str(self.temporary / "matplotlib"),
            "PYTHONPATH": str(course.ROOT),
            "MPLBACKEND": "agg",
            "OMP_NUM_THREADS": "1",
        }

    def facts(self, student):
        """{"HOST_...": value} for a student's cells; listeners know by the text they get who knocked."""
        return {
            "HOST_FILE": str(self.writable / "notes.txt"),
            "HOST_FOLDER": str(self.writable),
            "HOST_HOME": str(self.home),
            "HOST_COURSE": str(course.ROOT),
            "HOST_CLASS": str(self.work),
            "HOST_DATABASE": self.database.removeprefix("sqlite:///").replace(self.secret, "*"),
            "HOST_PID": os.getpid(),
            "HOST_MARK": f"{self.mark}-{student}",
            "HOST_KNOCK": f"{student} was here".encode(),
            "HOST_TCP": self.ports["tcp"],
            "HOST_UDP": self.ports["udp"],
            "HOST_SOCKET": str(self.writable / "door"),
            "HOST_ABSTRACT": f"\0{self.mark}",
        }

    def listen(self):
        """Opens the listeners: TCP and UDP on all addresses, a unix socket in an open folder, an abstract one."""
        self.ports = {}
        for name, kind in (("tcp", socket.SOCK_STREAM), ("udp", socket.SOCK_DGRAM)):
            door = self.open_door(socket.AF_INET, kind, ("0.0.0.0", 0))
            self.ports[name] = door.getsockname()[1]
        door = self.open_door(socket.AF_UNIX, socket.SOCK_STREAM, str(self.writable / "door"))
        (self.writable / "door").chmod(0o777)
        self.open_door(socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.mark}")
        self.stop_read, self.stop_write = os.pipe()
        self.thread = threading.Thread(target=self.answer_doors, daemon=True)
        self.thread.start()

    def open_door(self, family, kind, address):
        door = socket.socket(family, kind)
        door.bind(address)
        if kind == socket.SOCK_STREAM:
            door.listen(16)
        self.sockets.append(door)
        return door

    def answer_doors(self):
        while True:
            ready, _, _ = select.select([self.stop_read, *self.sockets], [], [])
            if self.stop_read in ready:
                return
            for door in ready:
                if door.type == socket.SOCK_DGRAM:
                    self.knocks.append(door.recv(200).decode("utf-8", "replace"))
                    continue
                caller, _ = door.accept()
                caller.settimeout(1)
                try:
                    self.knocks.append(caller.recv(200).decode("utf-8", "replace"))
                except OSError:
                    self.knocks.append("someone who said nothing")
                caller.close()

    def __enter__(self):
        self.listen()
        return self

    def __exit__(self, *_):
        os.write(self.stop_write, b".")
        self.thread.join()
        for door in self.sockets:
            door.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def findings(self):
        """What is not as it was, as sentences; call when the grading has ended."""
        found = [f"a listener of the host got a knock: {text}" for text in sorted(set(self.knocks))]
        found += [f"{path.name} was changed" for path, before in self.guarded.items() if digest(path) != before]
        for path, before in self.course.items():
            found += [f"the course's {path} was changed"] if digest(course.ROOT / path) != before else []
        found += [f"a process was left: {line}" for line in self.left_processes()]
        for folder in ("/tmp", "/var/tmp", "/dev/shm"):
            for pattern in (f"*{self.mark}*", f"*/*/{self.mark}*"):  # by itself, or in the folders of a jail
                # not Path.glob, which raises where a folder of somebody else's goes away meanwhile
                left = [path for path in glob.glob(f"{folder}/{pattern}") if self.root not in Path(path).parents]
                found += [f"a file was left: {path}" for path in left]
        found += [f"a start-up file was left: {path}" for path in self.home.glob(".ipython/profile_*/startup/*.py")]
        harmless = {"runtime", "matplotlib"}
        left = [path for path in self.temporary.iterdir() if path.name not in harmless]
        return found + [f"left in the temporary folder: {path.name}" for path in left]

    def left_processes(self):
        """Command lines of living processes that carry the mark or stem from this class's folder."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
                except OSError:
                    continue
                if self.mark in line or str(self.temporary) in line:
                    yield f"{entry.name} {line[:120]}"


def digest(folder):
    """A hash over names, modes and contents below a folder; caches and what grading itself writes are left out."""
    state = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_dir() or OWN_TRACES & set(path.parts):
            continue
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            state.update(f"{path} {status.st_mode:o}".encode() + path.read_bytes())
        elif not stat.S_ISSOCK(status.st_mode):
            state.update(str(path).encode())
    return state.hexdigest()
