"""Starts the kernels of `nbgrader autograde` in the jail: a Jupyter kernel provisioner, set up by `install`.

Nothing is installed into the environment: the kernel spec is a folder beside this file, the provisioner is handed to
Jupyter by name while autograde runs, and no other command sees either.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from importlib.metadata import EntryPoint
from pathlib import Path

import zmq
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory, LocalProvisioner
from nbgrader.converters import Autograde
from nbgrader.converters.base import NbGraderException
from traitlets import Bool, Float, Integer

from autograder.outside import devices

from . import cells, forks, modes
from .client import BoundedClient
from .warden import ENDED

NAME = "course-jail"
KERNELS = Path(__file__).resolve().parent
MOST_MESSAGE_BYTES = 16 << 20
MOST_MESSAGES_WAITING = 16
COPY_BYTES = 128 << 20


class JailProvisioner(LocalProvisioner):
    """A kernel in the jail that COURSE_JAIL chooses; `exchange` is the folder that both sides see at the same path.

    A socket made in `exchange` by the grader must be writable for the jail's user: bind it under umask 0o111 (a chmod
    afterwards could follow a link) and a name that cannot be guessed. The folder is closed to everyone else; in the
    jail it takes sockets only, no files.
    """

    memory_mb = Integer(4096, help="Memory of one submission's processes together").tag(config=True)
    wall_s = Integer(900, help="Seconds that one notebook may take").tag(config=True)
    cpu_s = Integer(600, help="Processor seconds of one process").tag(config=True)
    num_processes = Integer(64, help="Processes and threads of one submission").tag(config=True)
    disk_mb = Integer(256, help="Files in the notebook's folder, and as much for temporary files").tag(config=True)
    patience_s = Float(6.0, help="Seconds for a kernel to come back from an interrupt").tag(config=True)
    warm = Bool(True, help="Fork kernels of one process that has loaded what they need").tag(config=True)
    exchange = None
    fork = None
    cell = None
    control = None
    code = None

    async def pre_launch(self, **kwargs):
        try:
            return await self.prepare(kwargs)
        except BaseException:
            await self.cleanup()
            raise

    async def prepare(self, kwargs):
        """Makes the cell; returns the arguments that start the warden."""
        self.mode = modes.require()
        self.cell = modes.new_cell(
            cells.Limits(
                memory_bytes=self.memory_mb << 20,
                wall_s=self.wall_s,
                cpu_s=self.cpu_s,
                num_processes=self.num_processes,
                disk_bytes=self.disk_mb << 20,
            )
        )
        self.exchange = self.cell.exchange
        self.bound_channels(self.parent)
        folder = kwargs.get("cwd") or os.getcwd()
        grader_environment = kwargs.pop("env", os.environ)
        kwargs = await LocalProvisioner.pre_launch(self, env=dict(grader_environment), **kwargs)
        if self.mode == "trusted":
            kwargs["env"].pop("NBGRADER_DB_URL", None)
            return kwargs
        copy_submission(folder, self.cell.submission, self.log)
        forks.lay_out_start(self.cell.run / "t")
        if self.warm:
            orders = modes.warm_orders(self.mode, self.cell, kwargs["cmd"])
            self.fork = forks.fork(orders)
            self.control = os.dup(self.fork.connection.fileno())
            return kwargs
        read_end, self.control = os.pipe()
        kwargs["cmd"] = modes.warden_orders(self.mode, self.cell, kwargs["cmd"], read_end)
        kwargs["env"] = modes.jail_environment(self.mode, self.cell)
        # independent: the warden, not ipykernel, sees to it that the kernel ends with nbgrader
        return kwargs | {"cwd": "/", "pass_fds": [read_end], "independent": True}

    def bound_channels(self, manager):
        """The kernel speaks through sockets in the cell's own folder, in messages of a bounded size and number."""
        if os.name == "posix":
            manager.transport = "ipc"
            manager.cache_ports = False
            manager.connection_file = str(self.exchange / "kernel.json")
            manager.ip = str(self.exchange / "k")
        if isinstance(manager, AsyncKernelManager):
            manager.client_factory = BoundedClient
        manager.context.setsockopt(zmq.MAXMSGSIZE, MOST_MESSAGE_BYTES)
        manager.context.setsockopt(zmq.RCVHWM, MOST_MESSAGES_WAITING)

    async def launch_kernel(self, cmd, **kwargs):
        if self.fork:
            self.process, self.pid, self.pgid = self.fork, self.fork.pid, self.fork.pid
            return self.connection_info
        try:
            return await super().launch_kernel(cmd, **kwargs)
        except BaseException:
            await self.cleanup()
            raise
        finally:
            for descriptor in kwargs.get("pass_fds", []):
                os.close(descriptor)

    async def poll(self):
        code = await super().poll()
        if self.process and code is not None:
            self.code = code
        return code

    @property
    def why_ended(self):
        """One sentence for the student where a limit ended the kernel, else ""."""
        return ENDED.get(self.code, "")

    async def send_signal(self, signum):
        """An interrupt that the kernel does not come back from ends it; any other signal ends it at once."""
        if self.control is None:
            return await super().send_signal(signum)
        if signum == 0:
            return
        if signum != signal.SIGINT:
            self.tell(b"k")
            return
        self.tell(b"i")
        if not self.parent.shutting_down and not await self.is_idle(self.patience_s):
            self.log.warning("The kernel did not come back from an interrupt: it is ended")
            self.tell(b"k")

    def interrupt(self):
        """Interrupts what the kernel runs now and returns at once."""
        self.tell(b"i")

    def tell(self, word):
        with contextlib.suppress(OSError):  # the warden is gone, and everything with it
            os.write(self.control, word)

    async def is_idle(self, seconds):
        """Whether the kernel answers on the channel that cells wait in, within so many seconds."""
        manager = self.parent
        socket = manager._create_connected_socket("shell")
        try:
            manager.session.send(socket, "kernel_info_request", {})
            for _ in range(int(seconds / 0.1)):
                if await self.poll() is not None or socket.get(zmq.EVENTS) & zmq.POLLIN:
                    return True
                await asyncio.sleep(0.1)
            return False
        finally:
            socket.close(linger=0)

    async def cleanup(self, restart=False):
        """Everything of the submission is dead after this, and its folder gone."""
        if self.control is not None:
            self.tell(b"k")
            os.close(self.control)
            self.control = None
            if self.process:
                try:
                    await asyncio.wait_for(self.wait(), 30)
                except TimeoutError:
                    self.log.error("The jail's warden, process %d, does not end", self.pid)
        if self.cell is not None:
            modes.remove(self.cell)
        await super().cleanup(restart=restart)


def copy_submission(folder, target, log):
    """Copies the regular files of a submission's folder, COPY_BYTES of them at most; never follows a link."""
    left = COPY_BYTES
    for parent, _, names in os.walk(folder):
        place = target / os.path.relpath(parent, folder)
        place.mkdir(exist_ok=True)
        for name in sorted(names):
            path = Path(parent, name)
            if path.is_symlink() or not path.is_file():
                continue
            left -= path.stat().st_size
            if left < 0:
                log.warning("%s and what follows is not shown to the kernel: too big", path)
                return
            shutil.copyfile(path, place / name)


def install():
    """Puts the jail before nbgrader grades anything: no jail, or no device that the tests need, no grading."""
    if hasattr(Autograde.init_notebooks, "with_jail"):
        return
    stock = Autograde.init_notebooks

    def init_notebooks(converter):
        try:
            mode = modes.require()
        except modes.NoJail as error:
            converter.log.error("%s", error)
            raise NbGraderException(str(error)) from None
        why = devices.objection_to(converter.coursedir.assignment_id)
        if why:
            converter.log.error("%s", why)
            raise NbGraderException(why)
        if mode == "trusted":
            converter.log.warning(modes.TRUSTED_WARNING)
        elif JailProvisioner(config=converter.config).warm:
            forks.parent()  # it loads while this process does
        register()
        stock(converter)

    init_notebooks.with_jail = True
    Autograde.init_notebooks = init_notebooks


def register():
    """Lets Jupyter, in this process, find the kernel spec `course-jail` and its provisioner."""
    group = KernelProvisionerFactory.GROUP_NAME
    value = f"{JailProvisioner.__module__}:{JailProvisioner.__name__}"
    KernelProvisionerFactory.provisioners[NAME] = EntryPoint(NAME, value, group)
    paths = os.environ.get("JUPYTER_PATH", "").split(os.pathsep)
    if str(KERNELS) not in paths:
        os.environ["JUPYTER_PATH"] = os.pathsep.join([str(KERNELS), *filter(None, paths)])
