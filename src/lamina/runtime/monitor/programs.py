"""Starting the OCI runtime program from a small process, and ending programs that do not end by themselves."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from lamina.errors import InvalidInput
from lamina.linux.files import USUAL_UMASK
from lamina.linux.mounts import MNT_DETACH, MS_PRIVATE, mount, mountinfo, umount2
from lamina.linux.syscalls import CLONE_NEWNS, unshare
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.rootmounts import RootMounts

_KILLED_SECONDS = 5.0  # how long a killed process may take to go


def hide_mounts(paths: Sequence[str]) -> None:
    """Move this process into a mount namespace of its own without the mounts at `paths`.

    Only the mounts that hold them become private: the sources of a container's binds go on to propagate.
    Only short-lived programs go there: a copy of the mount table that lived on would hold every mount in it.
    """
    unshare(CLONE_NEWNS)
    mounts = {point.id: point for point in mountinfo()}
    for point in mounts.values():
        if point.target in paths and point.parent in mounts:
            mount("none", mounts[point.parent].target, flags=MS_PRIVATE)
    for path in paths:
        umount2(path, MNT_DETACH)


@dataclass(frozen=True, slots=True)
class Launch:
    """A command of the runtime program, run in `directory`. `hide` names mounts that it must not see, and `mounts` a
    file that lists what it sees in a container's root."""

    command: Sequence[str]
    directory: str
    hide: Sequence[str] = ()
    mounts: str = ""


def spawn(launch: Launch, stdio: tuple[int, int, int], program: int = -1) -> int:
    """Fork, and have the child `become` the program. Return its process ID."""
    pid = os.fork()
    if pid == 0:
        become(launch, stdio, program)
    return pid


def become(launch: Launch, stdio: tuple[int, int, int], program: int = -1) -> NoReturn:
    """Become the program, with the descriptors `stdio`. `program`, where it is one, is executed instead of the file.

    Where it cannot be executed the process ends with 127 (no such program) or 126, having said why on its stderr; where
    something cannot be mounted it ends with 125, having written why to `protocol.REFUSAL_FILE`.
    """
    status = 126
    name = launch.command[0]
    try:
        _execute(launch, stdio, program)
    except InvalidInput as error:
        status = 125
        refusal = {"message": error.message, "advice": error.advice, **error.facts}
        protocol.write_atomically(os.path.join(launch.directory, protocol.REFUSAL_FILE), refusal)
    except FileNotFoundError as error:
        status = 127
        os.write(2, f"{name}: {error.strerror}\n".encode())
    except OSError as error:
        os.write(2, f"{name}: {error}\n".encode())
    finally:
        os._exit(status)


def _execute(launch: Launch, stdio: tuple[int, int, int], program: int) -> None:
    signal.set_wakeup_fd(-1)
    for ignored in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_DFL)
    # Through copies above 2, so that no descriptor is overwritten before it is used.
    copies = [os.dup(fd) if fd > 2 else os.open("/dev/null", os.O_RDWR) for fd in stdio]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    os.chdir(launch.directory)
    os.umask(USUAL_UMASK)  # of the mount points that are made, and of processes in containers
    root_mounts = RootMounts.load(launch.mounts) if launch.mounts else None
    if launch.hide or root_mounts:
        hide_mounts(launch.hide)
    if root_mounts:
        root_mounts.attach()
    command = list(launch.command)
    if program >= 0:
        with suppress(OSError):  # where a machine executes no files in memory (sysctl vm.memfd_noexec)
            os.execve(program, command, os.environ)
    os.execvp(command[0], command)


class Console:
    """The socket on which the OCI runtime hands over the master side of a new terminal."""

    def __init__(self, directory: str) -> None:
        self._directory = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        # Reached through this process, the path is short enough for a socket address.
        self.path = f"/proc/{os.getpid()}/fd/{self._directory}/console.sock"
        with suppress(FileNotFoundError):
            os.unlink(self.path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(self.path)
        self._socket.listen(1)
        self._socket.settimeout(10)

    def fileno(self) -> int:
        return self._socket.fileno()

    def receive(self) -> int:
        """Return the terminal's master side. Raise OSError when none came, or something else did."""
        connection, _ = self._socket.accept()
        with connection:
            connection.settimeout(10)
            _, fds, _, _ = socket.recv_fds(connection, 4096, 1)
        if not fds:
            raise OSError("the runtime sent no terminal")
        if not os.isatty(fds[0]):
            os.close(fds[0])
            raise OSError("the runtime sent something else than a terminal")
        os.set_inheritable(fds[0], False)
        return fds[0]

    def close(self) -> None:
        with suppress(OSError):  # the directory may be gone
            os.unlink(self.path)
        self._socket.close()
        os.close(self._directory)


def end_descendants() -> None:
    """Kill every process below the calling one, which must be their sub-reaper: orphans are below it, too."""
    seen: set[int] = set()
    while fresh := _descendants() - seen:  # again, for those forked meanwhile
        for pid in fresh:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        seen |= fresh


def _descendants() -> set[int]:
    parents = {int(name): _parent(name) for name in os.listdir("/proc") if name.isdigit()}
    family = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    return family - {os.getpid()}


def _parent(pid: str) -> int:
    """Return the parent's id; 0 for a process that is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])  # the name before it may hold anything (proc(5))
    except OSError:
        return 0


def wait_at_most(pid: int, seconds: float) -> int:
    """Return the exit code of a child, as `os.waitstatus_to_exitcode` gives it; -9 for one that takes longer and is
    killed, with everything below the calling process. One that hangs in the kernel even then is not waited for."""
    pidfd = os.pidfd_open(pid)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(seconds * 1000):
            end_descendants()
            if not poll.poll(_KILLED_SECONDS * 1000):
                return -signal.SIGKILL
    finally:
        os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
