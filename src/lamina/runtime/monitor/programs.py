"""Starting the OCI runtime program from a small process, and ending programs that do not end by themselves."""

from __future__ import annotations

import _thread
import json
import os
import select
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from lamina.errors import InvalidInput
from lamina.linux.files import USUAL_UMASK
from lamina.linux.mounts import MNT_DETACH, MS_PRIVATE, mount, mountinfo, umount2
from lamina.linux.syscalls import CLONE_FS, CLONE_NEWNS, unshare
from lamina.runtime.monitor import protocol
from lamina.runtime.monitor.rootmounts import RootMounts

_IGNORED = (signal.SIGCHLD, signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)  # by monitors alone
_KILLED_SECONDS = 5.0  # how long a killed process may take to go


def hide_mounts(paths: Sequence[str]) -> None:
    """Move this thread into a mount namespace of its own without the mounts at `paths`.

    Only the mounts that hold them become private: the sources of a container's binds go on to propagate.
    Only short-lived programs go there: a copy of the mount table that lived on would hold every mount in it.
    """
    unshare(CLONE_NEWNS)
    if not paths:
        return
    mounts = {point.id: point for point in mountinfo("thread-self")}
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
    """Start the program in a child, with the descriptors `stdio`; -1 is /dev/null. Return its process ID.

    `program`, where it is a descriptor, is executed instead of the file. Where it cannot be executed the child ends
    with 127 (no such program) or 126, having said why on its stderr; where something cannot be mounted it ends with
    125, having written why to `protocol.REFUSAL_FILE`.
    """
    return _spawn_from_thread(launch, stdio, program) or _fork(launch, stdio, program)


def _read(path: str) -> dict[str, Any]:
    if not path:
        return {}
    with open(path, "rb") as file:
        document: dict[str, Any] = json.load(file)
        return document


def _spawn_from_thread(launch: Launch, stdio: tuple[int, int, int], program: int) -> int:
    """Start the program from a thread with a mount namespace and a folder of its own, for which the caller waits.

    The kernel copies nothing of this process then, which takes half of a fork's time. Return 0 where a mount's source
    may hang, and where something fails: a forked child fails in the same way, and reports it.
    """
    pids: list[int] = []
    ended = _thread.allocate_lock()

    def work() -> None:
        try:
            with suppress(InvalidInput, OSError):  # whatever fails, fails in a forked child as well, which reports it
                document = _read(launch.mounts)
                if not document.get("foreign"):
                    unshare(CLONE_FS)
                    with _prepared(launch, document):
                        pids.append(_spawn(launch.command, stdio, program))
        finally:
            ended.release()

    ended.acquire()
    _thread.start_new_thread(work, ())
    ended.acquire()
    return pids[0] if pids else 0


@contextmanager
def _prepared(launch: Launch, document: dict[str, Any]) -> Iterator[None]:
    """Prepare folder, umask and mounts of the calling thread, which shares none of them with another."""
    os.chdir(launch.directory)
    os.umask(USUAL_UMASK)  # of the mount points that are made, and of processes in containers
    with RootMounts(document) if document else nullcontext() as root_mounts:
        if launch.hide or root_mounts:
            hide_mounts(launch.hide)
        if root_mounts:
            root_mounts.attach()
        yield


def _spawn(command: Sequence[str], stdio: tuple[int, int, int], program: int) -> int:
    streams = [
        (os.POSIX_SPAWN_DUP2, fd, number) if fd >= 0 else (os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0)
        for number, fd in enumerate(stdio)
    ]
    if program >= 0:
        with suppress(OSError):  # where a machine executes no files in memory (sysctl vm.memfd_noexec)
            path = f"/proc/self/fd/{program}"
            return os.posix_spawn(path, list(command), os.environ, file_actions=streams, setsigdef=_IGNORED)
    return os.posix_spawnp(command[0], list(command), os.environ, file_actions=streams, setsigdef=_IGNORED)


def _fork(launch: Launch, stdio: tuple[int, int, int], program: int) -> int:
    pid = os.fork()
    if pid == 0:
        _become(launch, stdio, program)
    return pid


def _become(launch: Launch, stdio: tuple[int, int, int], program: int) -> NoReturn:
    """Become the program, or end as `spawn` tells."""
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
    for ignored in _IGNORED:
        signal.signal(ignored, signal.SIG_DFL)
    # Through copies above 2, so that no descriptor is overwritten before it is used.
    copies = [os.dup(fd) if fd > 2 else os.open("/dev/null", os.O_RDWR) for fd in stdio]
    for number, copy in enumerate(copies):
        os.dup2(copy, number)
    with _prepared(launch, _read(launch.mounts)):
        command = list(launch.command)
        if program >= 0:
            with suppress(OSError):  # as in `_spawn`
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
