"""What processes and folders use, read from /proc and the file system. Also run under `python -I -S`."""

import os

MOST_FILES = 2000


def descendants(pid):
    """Process ids of all that `pid` has started and that still run."""
    found, waiting = [], [pid]
    while waiting:
        parent = waiting.pop()
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                with open(f"/proc/{parent}/task/{thread}/children") as children:
                    waiting += map(int, children.read().split())
        except OSError:
            pass  # it has ended meanwhile
        found.append(parent)
    return found[1:]


def status_of(pid):
    """{field: text} of /proc/PID/status, empty when the process is gone."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    except OSError:
        return {}


def too_big(folder, most):
    size, number, waiting = 0, 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    number += 1
                    size += entry.stat(follow_symlinks=False).st_blocks * 512
                    if size > most or number > MOST_FILES:
                        return True
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
        except FileNotFoundError:
            pass
        except OSError:
            return True  # too deep to look into
    return False
