"""The ssh agents of a user on this machine, for RUN --mount=type=ssh: sockets that RUN steps are connected to.

The socket is opened once, with the permissions of the caller, and connected to by its descriptor. So a caller reaches
no socket of somebody else, also when the path changes meanwhile.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress

from lamina.errors import Forbidden, InvalidInput, NotFound
from lamina.linux.processes import Caller, acting_as

_PIECE = 32 << 10  # bytes passed on at once
_MOST_CONNECTIONS = 64  # of one step to its agent


class LocalAgents:
    """Agents by ID, each a descriptor of its socket."""

    def __init__(self, descriptors: Mapping[str, int]) -> None:
        self._descriptors = descriptors

    def offers(self, id: str) -> bool:
        """Return whether there is an agent of this ID."""
        return id in self._descriptors

    def serve(self, id: str, listener: socket.socket) -> Callable[[], None]:
        """Pass connections on to an agent until the returned function is called, which closes them and the listener."""
        forwarding = _Forwarding(self._descriptors[id], listener)
        threading.Thread(target=forwarding.accept, name="lamina-agent", daemon=True).start()
        return forwarding.stop


@contextmanager
def local_agents(paths: Mapping[str, str], caller: Caller | None = None) -> Iterator[LocalAgents]:
    """Open the sockets of agents, and close them at the end.

    Raise NotFound where there is no socket, Forbidden where `caller` may not write to it, InvalidInput for a path that
    is not absolute.
    """
    descriptors: dict[str, int] = {}
    try:
        for id, path in paths.items():
            descriptors[id] = _open(id, path, caller)
        yield LocalAgents(descriptors)
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def _open(id: str, path: str, caller: Caller | None) -> int:
    if not os.path.isabs(path):
        raise InvalidInput(f"the ssh agent {id} needs an absolute path, not {path!r}")
    try:
        with nullcontext() if caller is None else acting_as(caller):
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except PermissionError as error:
        raise Forbidden(f"you may not use the ssh agent {id} at {path}") from error
    except OSError as error:
        advice = "Start an agent, and name its socket with --ssh."
        raise NotFound(f"there is no ssh agent {id} at {path} ({error.strerror})", advice=advice) from error
    status = os.fstat(descriptor)
    if not stat.S_ISSOCK(status.st_mode):
        os.close(descriptor)
        raise InvalidInput(f"{path} is not the socket of an ssh agent", advice="Load keys with ssh-add instead.")
    # An agent serves its own user; connect(2) would ask for our permission, not the caller's.
    if caller is not None and caller.uid not in (0, status.st_uid):
        os.close(descriptor)
        raise Forbidden(f"the ssh agent {id} at {path} belongs to another user")
    return descriptor


class _Forwarding:
    """The connections of one step to one agent: two threads each, for as long as the step's ssh talks."""

    def __init__(self, agent: int, listener: socket.socket) -> None:
        self._agent = os.dup(agent)
        self._listener = listener
        self._guard = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._stopped = False

    def accept(self) -> None:
        """Take connections until `stop`."""
        with suppress(OSError):  # the listener was shut down
            while True:
                connection, _ = self._listener.accept()
                self._begin(connection)
        self._listener.close()
        os.close(self._agent)

    def _begin(self, connection: socket.socket) -> None:
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with self._guard:
            refused = self._stopped or len(self._connections) >= 2 * _MOST_CONNECTIONS
            if not refused:
                self._connections |= {connection, agent}
        try:
            if refused:
                raise OSError
            agent.connect(f"/proc/self/fd/{self._agent}")
        except OSError:  # the step's ssh sees that its agent is gone
            self._end(connection, agent)
            return
        threading.Thread(target=self._pass, args=(connection, agent), name="lamina-agent", daemon=True).start()

    def _pass(self, connection: socket.socket, agent: socket.socket) -> None:
        answers = threading.Thread(target=_copy, args=(agent, connection), name="lamina-agent", daemon=True)
        answers.start()
        _copy(connection, agent)
        answers.join()
        self._end(connection, agent)

    def _end(self, *ends: socket.socket) -> None:
        with self._guard:
            self._connections -= {*ends}
            for end in ends:
                end.close()

    def stop(self) -> None:
        """Close the listener and every connection. A second call does nothing."""
        with self._guard:
            self._stopped = True
            for end in (self._listener, *self._connections):
                with suppress(OSError):  # it has ended already
                    end.shutdown(socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until one side ends, and tell the other side."""
    with suppress(OSError):  # one side has gone: the other hears of it below
        while data := source.recv(_PIECE):
            target.sendall(data)
    with suppress(OSError):  # this side has gone too
        target.shutdown(socket.SHUT_WR)
