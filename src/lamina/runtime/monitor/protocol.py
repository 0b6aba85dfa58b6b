"""How the engine and monitors talk: JSON lines over a unix socket that lives in the task's directory.

A connection begins with one line from the engine, `{"op": …}`:

- `attach` {stdin, stdout, stderr, detach_keys}: answered `{}`; from then on output comes as Docker's stream frames
  (as it is when the task has a terminal), and what is sent goes to the task's input. Shutting down the sending side
  ends the input.
- `watch`: answered by the present state; later come `{"event": "oom"}`, `{"event": "exit", …}`,
  `{"event": "deleted"}`.
- `start`, `resize` {height, width}, `kill` {signal, all}, `quit`: answered by one line each.
- `abort`: ends a start that is on its way; answered {"ended": whether there was one}. The start itself is answered by
  an error with `cut` "asked"; "late" when it took longer than `start_seconds`.

The engine that makes a monitor gives it a connection that watches from the start.

An answer with a key `error` tells of a failure.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from dataclasses import asdict, dataclass, field
from typing import Any

from lamina.runtime.monitor.log_tls import TlsOptions

SOCKET = "monitor.sock"
EXIT_FILE = "exit.json"
PID_FILE = "init.pid"
JOB_FILE = "job.json"
RUNTIME_LOG = "runtime.log"
MOUNTS_FILE = "mounts.json"  # what is attached to the root before the runtime program starts (see `rootmounts`)
REFUSAL_FILE = "refusal.json"  # why that was not possible

START_SECONDS = 120.0  # how long the runtime program may take for a start: a thousand times what it needs; as much as
# Kubernetes' agents give a runtime for any request (kubelet --runtime-request-timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogForward:
    """Another program that gets the output: `kind` is syslog or journald.

    `network` is "udp", "tcp", "tls", "unix", "unixgram", or "" for the machine's own syslog; `address` a path or a
    number of IP. `format` is "", "rfc3164", "rfc5424" or "rfc5424micro". `fields` are journald's. `buffer` is in bytes.
    """

    kind: str
    network: str = ""
    address: str = ""
    port: int = 514
    facility: int = 3
    format: str = ""
    tag: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    non_blocking: bool = False
    buffer: int = 1 << 20
    tls: TlsOptions | None = None


@dataclass(frozen=True, slots=True)
class LogSpec:
    """Where and how output is kept: `max_size` in bytes, 0 for no limit. Without a `path` there is no file.

    `compress` is for rotated files, `attributes` are in each line, and `forward` gets the output as well.
    """

    path: str
    max_size: int = 0
    max_files: int = 1
    compress: bool = False
    attributes: dict[str, str] = field(default_factory=dict)
    forward: LogForward | None = None

    @classmethod
    def load(cls, document: dict[str, Any]) -> LogSpec:
        forward = _forward(document["forward"]) if document["forward"] else None
        return cls(**{**document, "forward": forward})


def _forward(document: dict[str, Any]) -> LogForward:
    tls = TlsOptions(**document["tls"]) if document.get("tls") else None
    return LogForward(**{**document, "tls": tls})


@dataclass(frozen=True, slots=True)
class Job:
    """What one monitor looks after: the commands of the OCI runtime, and the streams.

    `hide` names mounts that the runtime program must not see. `delete` is empty for exec'd processes. `cgroups` are
    the directories of the task's cgroup, for out-of-memory counts and for killing what is left; `kill_rest` says
    that processes may outlive the first one (a shared PID namespace). `state` is the runtime program's own directory
    for the task. `start_seconds` is how long the start may take before it is ended. `owner` is root of the container
    on the host, where it has users of its own.
    """

    directory: str
    run: tuple[str, ...]
    delete: tuple[str, ...] = ()
    hide: tuple[str, ...] = ()
    terminal: bool = False
    console: tuple[int, int] | None = None
    stdin: bool = False
    stdin_once: bool = True
    log: LogSpec | None = None
    cgroups: tuple[str, ...] = ()
    kill_rest: bool = False
    state: str = ""
    start_seconds: float = START_SECONDS
    owner: tuple[int, int] | None = None

    def dump(self) -> dict[str, Any]:
        document = {name: getattr(self, name) for name in self.__slots__}
        return {**document, "log": asdict(self.log) if self.log else None}

    @classmethod
    def load(cls, document: dict[str, Any]) -> Job:
        fields = dict(document)
        for name in ("run", "delete", "hide", "cgroups"):
            fields[name] = tuple(fields[name])
        fields["console"] = tuple(fields["console"]) if fields["console"] else None
        fields["owner"] = tuple(fields["owner"]) if fields.get("owner") else None
        fields["log"] = LogSpec.load(fields["log"]) if fields["log"] else None
        return cls(**fields)


def encode(message: dict[str, Any]) -> bytes:
    """Return one message as a line of JSON."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


@contextlib.contextmanager
def short_path(directory: str, name: str) -> Any:
    """Yield a path to `name` in `directory` that fits in a socket address, however long the directory's is."""
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def listen(directory: str) -> socket.socket:
    """Bind the task's socket, replacing one that a dead monitor left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(directory, SOCKET))
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with short_path(directory, SOCKET) as path:
        listener.bind(path)
    listener.listen(64)
    return listener


def connect(directory: str) -> socket.socket:
    """Connect to the task's monitor. Raise OSError where none listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(directory, SOCKET) as path:
            connection.connect(path)
    except OSError:
        connection.close()
        raise
    return connection


def read_line(connection: socket.socket, limit: int = 1 << 20) -> bytes:
    """Return one line without its end, read byte-exactly: nothing behind it is taken. Empty at end of stream."""
    line = bytearray()
    while len(line) < limit:
        peeked = connection.recv(4096, socket.MSG_PEEK)
        if not peeked:
            return b""
        end = peeked.find(b"\n")
        line += connection.recv(len(peeked) if end < 0 else end + 1)
        if end >= 0:
            return bytes(line[:-1])
    return b""


def write_atomically(path: str, document: dict[str, Any]) -> None:
    """Write JSON so that readers see the old file or the whole new one."""
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        file.write(encode(document))
    os.rename(temporary, path)
