"""The jail: kernels in it, no jail no grading, and grading through it end to end. Its promises: test_doctor.py."""

import asyncio
import json
import logging
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest
import zmq.asyncio
from jailed import need_jail
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.session import Session
from nbclient import NotebookClient
from nbclient.exceptions import DeadKernelError
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

from autograder.grading import course
from autograder.outside import tester as outside
from autograder.sandbox import (
    client,
    confine,
    forks,
    jails,
    landlock,
    modes,
    places,
    probes,
    provisioner,
    seccomp,
)

TOPIC = "03_kv_cache"


def test_a_tester_that_cannot_be_confined_grades_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(confine, "objection", lambda: "made up")
    with pytest.raises(modes.NoJail, match="the tester: made up"):
        modes.tried.__wrapped__("auto")
    assert modes.tried.__wrapped__("trusted") == "trusted"


def test_a_tester_that_fails_later_is_no_fault_of_the_students(tmp_path, monkeypatch):
    def fail():
        raise OSError("made up")

    monkeypatch.setattr(confine, "enter", fail)
    made = outside.Tester(None, [], tmp_path / "s", 5, confined=True)
    while made.read():
        pass
    with pytest.raises(modes.NoJail, match="nothing is graded: OSError: made up"):
        made.result()


def run_cells(mode, sources, folder, monkeypatch, **options):
    """Runs cells in a jailed kernel; returns (notebook, whether the kernel died)."""
    monkeypatch.setenv("COURSE_JAIL", mode)
    provisioner.register()
    notebook = new_notebook(cells=[new_code_cell(source) for source in sources])
    runner = NotebookClient(
        notebook,
        kernel_name=provisioner.NAME,
        kernel_manager_class=AsyncKernelManager,
        config=Config({"JailProvisioner": {"patience_s": 2.0}}),
        timeout=options.pop("timeout", 30),
        interrupt_on_timeout=True,
        error_on_timeout={"ename": "CellTimeoutError", "evalue": "", "traceback": []},
        allow_errors=True,
        shutdown_kernel="immediate",
        resources={"metadata": {"path": str(folder)}},
        **options,
    )
    try:
        runner.execute()
    except DeadKernelError:
        return notebook, True
    return notebook, False


def text_of(cell):
    return "".join(output.get("text", output.get("ename", "")) for output in cell.outputs)


def test_an_endless_cell_is_interrupted_and_later_cells_run(mode, tmp_path, monkeypatch):
    (tmp_path / "data.txt").write_text("of the student")
    cells = [
        "kept = 41",
        "while True: pass",
        "print(kept + 1, open('data.txt').read())",
        "open('new.txt', 'w').write('x')",
    ]
    notebook, died = run_cells(mode, cells, tmp_path, monkeypatch, timeout=2)
    assert not died
    assert "KeyboardInterrupt" in text_of(notebook.cells[1])
    assert text_of(notebook.cells[2]) == "42 of the student\n"
    assert not (tmp_path / "new.txt").exists(), "the kernel wrote into the submission itself, not into a copy"


def test_a_kernel_that_ignores_interrupts_is_ended(mode, tmp_path, monkeypatch):
    cells = ["import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass", "print('still here')"]
    notebook, died = run_cells(mode, cells, tmp_path, monkeypatch, timeout=2)
    assert died
    assert not notebook.cells[1].outputs


def test_the_agent_reaches_a_socket_of_the_exchange_and_no_other(mode, tmp_path):
    """As the tests outside will: the grader listens in the exchange, jailed code connects."""
    cell, elsewhere = modes.new_cell(), tmp_path / "s"
    code = (
        "import socket, sys\n"
        "for path in sys.argv[1:]:\n"
        "    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)\n"
        "    try:\n"
        "        sock.connect(path); print(sock.recv(9).decode())\n"
        "    except OSError as error:\n"
        "        print(type(error).__name__)\n"
    )
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as other:
        for sock, path in ((server, cell.exchange / "tester"), (other, elsewhere)):
            sock.bind(str(path))
            path.chmod(0o777)
            sock.listen()
        server.settimeout(20)

        def answer():
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"welcome")

        thread = threading.Thread(target=answer)
        thread.start()
        paths = [str(cell.exchange / "tester"), str(elsewhere), str(cell.exchange / "absent")]
        done = modes.run_in(mode, [sys.executable, "-c", code, *paths], cell=cell)
        thread.join()
    welcome, *refused = done.stdout.split()
    assert welcome == "welcome", done.stderr
    assert set(refused) <= {"PermissionError", "FileNotFoundError", "ConnectionRefusedError"} and len(refused) == 2


@pytest.mark.parametrize("is_forked", [False, True])
def test_death_of_the_grader_ends_the_jail(mode, is_forked):
    mark = str(uuid.uuid4())
    hold = (
        "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', sys.argv[1]])"
    )
    code = (
        "import sys; from autograder.sandbox import client, probes; "
        f"probes.Way({mode!r}, {is_forked}).run([sys.executable, '-c', {hold!r}, {mark!r}])"
    )
    grader = subprocess.Popen([sys.executable, "-c", code], cwd=course.ROOT)
    assert wait_for(lambda: len(marked(mark)) >= 2, 120), "no jail was started"
    grader.send_signal(signal.SIGKILL)
    grader.wait()
    assert wait_for(lambda: not marked(mark)), "jailed processes outlive their grader"


def test_nothing_of_one_submission_reaches_the_next(mode):
    """Not its memory, its environment, its files, its random numbers; and the parent itself reads nothing."""
    draw = "import random, numpy; print(random.random(), numpy.random.random())"
    change = (
        "import sys, os, math, numpy\nmath.pi = 3; os.environ['LEFT'] = 'x'; numpy.left = sys.left = 1\n"
        "open('left', 'w'); open(os.path.join(os.environ['TMPDIR'], 'left'), 'w')\n"
    )
    look = (
        "import glob, math, numpy, os, sys\n"
        "print(math.pi == 3, 'LEFT' in os.environ, hasattr(numpy, 'left'), hasattr(sys, 'left'))\n"
        "print(os.path.exists('left'), os.path.exists(os.path.join(os.environ['TMPDIR'], 'left')))\n"
        "print(len(os.listdir('/proc/self/task')) > 1, len(os.listdir('/proc/self/fd')) > 5)\n"
    )
    way = probes.Way(mode, is_forked=True)
    parent = forks.parent().process.pid
    done = [way.run([sys.executable, "-c", code]) for code in (change + draw, draw, look)]
    assert not any(each.returncode for each in done), [each.stderr for each in done]
    numbers = done[0].stdout.split() + done[1].stdout.split()
    assert len(set(numbers)) == 4
    assert set(done[2].stdout.split()) == {"False"}, done[2].stdout
    assert forks.parent().process.pid == parent


def test_a_warm_parent_that_has_ended_is_started_again(mode):
    way = probes.Way(mode, is_forked=True)
    forks.parent().process.kill()
    forks.parent().process.wait()
    assert way.run([sys.executable, "-c", "print(2 + 3)"]).stdout == "5\n"


def marked(mark):
    """Processes with a mark on their command line, but for the dead."""
    own = str(os.getpid())
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        if path.name != own and mark in probes.read(path / "cmdline"):
            found.append(path.name)
    return found


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def receive(channel_class, messages):
    """What a channel gives for lists of frames that arrive on it."""
    session = Session(key=b"key")
    context = zmq.asyncio.Context()

    async def pass_through():
        ours, theirs = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        theirs.bind("inproc://receive")
        ours.connect("inproc://receive")
        channel = channel_class(ours, session)
        got = []
        for message in messages(session):
            await theirs.send_multipart(message)
            got.append(await channel.get_msg(timeout=5))
        channel.close()
        theirs.close(linger=0)
        return got

    try:
        return asyncio.run(pass_through())
    finally:
        context.destroy(linger=0)


def test_output_beyond_the_limit_is_not_kept(monkeypatch):
    monkeypatch.setattr(client.BoundedChannel, "left", 5000)

    def messages(session):
        for text in ("first", "x" * 9000, "later"):
            yield session.serialize(session.msg("stream", {"name": "stdout", "text": text}))
        yield session.serialize(session.msg("status", {"execution_state": "idle"}))

    got = receive(client.BoundedChannel, messages)
    assert [message["msg_type"] for message in got] == ["stream", "", "", "status"]
    assert got[0]["content"]["text"] == "first"


@pytest.mark.parametrize("channel", [client.BoundedChannel, client.PlainChannel])
def test_garbage_on_a_channel_is_a_message_that_nobody_waits_for(channel):
    def messages(session):
        good = session.serialize(session.msg("status", {}))
        yield [b"no delimiter"]
        yield [*good[:1], b"0" * 64, *good[2:]]
        yield good[:3]
        yield session.serialize(session.msg("status", {"execution_state": "idle"}))

    got = receive(channel, messages)
    assert [message["parent_header"] for message in got[:3]] == [{}, {}, {}]
    assert [message["msg_type"] for message in got] == ["", "", "", "status"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("stream", {}),
        ("stream", {"name": "stdout", "text": 5}),
        ("display_data", {"data": [], "metadata": {}}),
        ("display_data", {"data": {"text/plain": 5}, "metadata": {}}),
        ("display_data", {"data": {}, "metadata": {}, "transient": {"display_id": []}}),
        ("execute_result", {"data": {}, "metadata": {}, "execution_count": "1"}),
        ("error", {"ename": "E", "evalue": "", "traceback": [1]}),
        ("status", {}),
        ("execute_reply", {}),
        ("execute_reply", {"status": "error"}),
        ("comm_open", {"comm_id": "1", "data": {}}),
        ("stream", []),
        ("stream", None),
    ],
)
def test_forged_content_is_dropped(kind, content):
    """nbclient would stumble over it, and the submission would be lost instead of losing points."""

    def messages(session):
        yield session.serialize(session.msg(kind) | {"content": json.dumps(content).encode()})

    assert receive(client.BoundedChannel, messages)[0]["msg_type"] == ""


def test_an_old_kernel_without_scopes_still_keeps_signals_inside():
    """Before Landlock 6 the filter alone decides: a process may signal itself and nobody else."""
    if sys.platform != "linux":
        pytest.skip("seccomp is NOT tested here: it is Linux's")
    code = (
        "import os, sys\n"
        f"sys.path.insert(0, {str(modes.HERE)!r})\n"
        "import rights, seccomp\n"
        "rights.no_new_privileges()\n"
        "parent = os.getppid()\n"
        "os.kill(parent, 0)\n"
        "seccomp.enter(True, signals=True)\n"
        "os.kill(os.getpid(), 0)\n"
        "for call in (lambda: os.kill(parent, 0), lambda: os.kill(-1, 0)):\n"
        "    try: call(); print('sent')\n"
        "    except PermissionError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["refused", "refused"], done.stderr


def test_filter_refuses_unknown_architectures(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(RuntimeError, match="riscv64"):
        seccomp.program(host=False)


def test_copy_of_a_submission_follows_no_link_and_has_a_limit(tmp_path, caplog, monkeypatch):
    source, target = tmp_path / "from", tmp_path / "to"
    (source / "sub").mkdir(parents=True)
    target.mkdir()
    (source / "a.txt").write_text("a")
    (source / "sub" / "b.txt").write_text("b")
    (source / "link").symlink_to("/etc/passwd")
    (source / "folder").symlink_to("/etc")
    os.mkfifo(source / "pipe")
    (source / "z.bin").write_bytes(bytes(1000))
    monkeypatch.setattr(provisioner, "COPY_BYTES", 500)
    provisioner.copy_submission(source, target, logging.getLogger("test"))
    copied = {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()}
    assert copied <= {"a.txt", "sub/b.txt"} and "a.txt" in copied
    assert all(stat.S_ISREG(path.lstat().st_mode) or path.is_dir() for path in target.rglob("*"))
    assert "too big" in caplog.text


def test_environment_that_holds_the_course_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(places.ROOT))
    with pytest.raises(modes.NoJail, match="holds the course"):
        places.python_roots()


def test_no_landlock_kernel_gives_the_mend(monkeypatch):
    monkeypatch.setattr(landlock, "version", lambda: 0)
    assert "Linux 5.13" in jails.Landlock.missing()


def test_elsewhere_than_linux_there_is_no_jail_but_a_choice(monkeypatch):
    monkeypatch.setattr(modes.platform, "system", lambda: "Darwin")
    with pytest.raises(modes.NoJail, match="COURSE_JAIL=trusted"):
        modes.tried.__wrapped__("auto")
    assert modes.tried.__wrapped__("trusted") == "trusted"


def test_only_autograde_knows_the_jail():
    code = (
        "from autograder.sandbox import provisioner; provisioner.install()\n"
        "from jupyter_client.kernelspec import find_kernel_specs; print(sorted(find_kernel_specs()))\n"
    )
    fresh = {name: value for name, value in os.environ.items() if name != "JUPYTER_PATH"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=course.ROOT, env=fresh, capture_output=True, text=True, check=True)
    assert "python3" in done.stdout and provisioner.NAME not in done.stdout
    provisioner.register()
    assert KernelProvisionerFactory.provisioners[provisioner.NAME].load() is provisioner.JailProvisioner


def reference(**changes):
    """The reference's answers in the released notebook, some replaced."""
    return course.submission(TOPIC, course.reference_answers(TOPIC) | changes)


@pytest.fixture
def fake_bwrap(tmp_path, monkeypatch):
    """A folder for the path's front; call it with a script to put a `bwrap` of one's own there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COURSE_JAIL", "bubblewrap")

    def make(script):
        (folder / "bwrap").write_text(f"#!/bin/sh\n{script}\n")
        (folder / "bwrap").chmod(0o755)

    return make


def refused(tmp_path, words):
    """Grades one right submission, which must fail with these words and leave no grade."""
    work = tmp_path / "class"
    course.hand_in(work, "ada", TOPIC, reference())
    with pytest.raises(course.CommandFailed) as failure:
        course.nbgrader("autograde", TOPIC, work=work)
    assert words in str(failure.value)
    assert not (work / "autograded" / "ada" / TOPIC).exists()
    if (work / "gradebook.db").exists():
        graded = course.grades(work, TOPIC).get("ada", {})
        assert not any(score is not None for score in graded.values()), f"a grade was recorded: {graded}"


def test_without_bubblewrap_nothing_is_graded(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    if shutil.which("bwrap"):
        pytest.skip("bubblewrap lies beside the interpreter: its absence is NOT tested here")
    monkeypatch.setenv("COURSE_JAIL", "bubblewrap")
    refused(tmp_path, "apt-get install bubblewrap")


def test_a_jail_that_cannot_start_grades_nothing(tmp_path, fake_bwrap):
    fake_bwrap("echo 'bwrap: No permissions to create new namespace' >&2; exit 1")
    refused(tmp_path, "No permissions to create new namespace")


def test_a_jail_that_fails_later_records_no_zero(tmp_path, fake_bwrap):
    need_jail("bubblewrap")
    flag = tmp_path / "flag"
    fake_bwrap(f'[ -e {flag} ] && exit 1; touch {flag}; exec {shutil.which("bwrap")} "$@"')
    refused(tmp_path, "error processing assignment")


def test_an_unknown_word_grades_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_JAIL", "bubblewarp")
    refused(tmp_path, "say auto, bubblewrap, landlock or trusted")


def test_trusted_mode_warns(tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_JAIL", "trusted")
    with pytest.raises(course.CommandFailed) as failure:  # nothing is handed in
        course.nbgrader("autograde", TOPIC, work=tmp_path)
    assert "students' code runs with your rights" in str(failure.value)


def test_trusted_kernel_has_the_exchange_too(tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_DB_URL", "postgresql://someone:password@host/gradebook")
    notebook, died = run_cells("trusted", ["import os; print('NBGRADER_DB_URL' in os.environ)"], tmp_path, monkeypatch)
    assert not died and text_of(notebook.cells[0]) == "False\n"


SPY = """
import glob, os
from pathlib import Path
found = []
for place in {places!r}:
    for path in [*Path(place).glob('*'), *Path(place).glob('*/*')] if os.path.isdir(place) else []:
        try:
            found.append(path.read_text())
        except OSError:
            pass
text = '\\n'.join(found)
start = text.index('def kv_bytes_per_token')
exec(text[start:text.index('# %%', start)])
"""


def test_grading_through_the_jail(mode, tmp_path, monkeypatch):
    """The reference keeps every point; a submission that reads the solution from disk gets nothing for it."""
    monkeypatch.setenv("COURSE_JAIL", mode)
    places = ["../../solutions", "../../../solutions", str(course.ROOT / "solutions"), str(tmp_path / "submitted")]
    course.hand_in(tmp_path, "ada", TOPIC, reference())
    course.hand_in(tmp_path, "spy", TOPIC, course.submission(TOPIC, {"kv_bytes_per_token": SPY.format(places=places)}))
    course.nbgrader("autograde", TOPIC, work=tmp_path)
    scores, worth = course.grades(tmp_path, TOPIC), course.max_scores(tmp_path, TOPIC)
    machine_graded = {name: points for name, points in worth.items() if name.startswith(("test_", "hidden_"))}
    assert {name: scores["ada"][name] for name in machine_graded} == machine_graded
    assert not any(scores["spy"][name] for name in machine_graded), scores["spy"]


def test_nobody_waits_for_the_heartbeat_of_a_kernel_that_has_ended():
    import zmq
    from jupyter_client.session import Session

    from autograder.sandbox.client import BoundedClient

    channel = BoundedClient().hb_channel_class(zmq.Context.instance(), Session(), "ipc:///tmp/no-kernel-listens-here")
    channel.start()
    channel.join(10)
    assert not channel.is_alive()
