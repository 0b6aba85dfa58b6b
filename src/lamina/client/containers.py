"""Containers of a daemon: the `/containers` part of the Engine API."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from lamina.client.documents import Container, Created, Pruned
from lamina.client.stream import Stream, deframed
from lamina.client.transport import Transport, decode, encode_name
from lamina.client.wire import Reply
from lamina.errors import CommandFailed, NotModified
from lamina.formats.frames import Piece

if TYPE_CHECKING:
    from lamina.api.containers import Config, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
    from lamina.formats.matching import Filters

TAR = {"Content-Type": "application/x-tar"}


class Containers:
    """Verbs on containers; a reference is a name, an ID or a unique start of one.

    Every method raises the kind of `lamina.errors` that the daemon's status stands for. Starting what runs and
    stopping what is stopped do nothing.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: str | None = None,
    ) -> Created:
        """Create a container, and return its ID and warnings."""
        from lamina.api.containers import encode

        body = encode(config)
        body["HostConfig"] = encode(host_config) if host_config else {}
        body["NetworkingConfig"] = encode(networking) if networking else {}
        query = {"name": name, "platform": platform}
        return Created(self._transport.json("POST", "/containers/create", query, json_body=body))

    def get(self, reference: str, *, size: bool = False) -> Container:
        """What inspect tells; with `size` the bytes of its files too. Raises NotFound."""
        return Container(self._transport.json("GET", f"{_path(reference)}/json", {"size": size}))

    def list(
        self, *, all: bool = False, limit: int | None = None, size: bool = False, filters: Filters | None = None
    ) -> list[Container]:
        """Newest first; running ones only, unless `all`, `limit` or a filter on status says otherwise."""
        query = {"all": all, "limit": limit, "size": size, "filters": filters or None}
        return [Container(item) for item in self._transport.json("GET", "/containers/json", query)]

    def start(self, reference: str, *, detach_keys: str | None = None) -> None:
        """Raises NotModified where it runs already."""
        self._post(reference, "start", {"detachKeys": detach_keys})

    def stop(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        """Signal, then kill after `timeout` seconds (-1 waits for ever)."""
        self._post(reference, "stop", {"t": timeout, "signal": signal})

    def restart(self, reference: str, *, timeout: int | None = None, signal: str | None = None) -> None:
        """Stop it as `stop` does, where it runs, and start it."""
        self._post(reference, "restart", {"t": timeout, "signal": signal})

    def kill(self, reference: str, signal: str = "KILL") -> None:
        """Send a signal, by name or number. Raises Conflict where it does not run."""
        self._post(reference, "kill", {"signal": signal})

    def pause(self, reference: str) -> None:
        """Freeze all its processes."""
        self._post(reference, "pause")

    def unpause(self, reference: str) -> None:
        """Let them go on."""
        self._post(reference, "unpause")

    def rename(self, reference: str, name: str) -> None:
        """Give it another name. Raises Conflict for one that is taken."""
        self._post(reference, "rename", {"name": name})

    def update(self, reference: str, changes: UpdateConfig) -> Created:
        """Change limits and the restart policy of a container, and return warnings."""
        from lamina.api.containers import encode

        return Created(self._transport.json("POST", f"{_path(reference)}/update", json_body=encode(changes)) or {})

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        """`force` kills it first; `volumes` takes its anonymous volumes along; `link` removes a link alone."""
        self._transport.json("DELETE", _path(reference), {"force": force, "v": volumes, "link": link})

    def resize(self, reference: str, height: int, width: int) -> None:
        """Give its terminal another size, in characters."""
        self._post(reference, "resize", {"h": height, "w": width})

    def wait(self, reference: str, condition: str = "not-running") -> int:
        """The exit code, when the condition holds: not-running, next-exit or removed."""
        return self.waiting(reference, condition).result()

    def waiting(self, reference: str, condition: str = "not-running") -> Waiting:
        """Begin to wait, without blocking: the daemon has noted it when this returns."""
        return Waiting(self._transport.call("POST", f"{_path(reference)}/wait", {"condition": condition}))

    def logs(
        self,
        reference: str,
        *,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        since: str | None = None,
        until: str | None = None,
        timestamps: bool = False,
        tail: str = "all",
        details: bool = False,
    ) -> Iterator[Piece]:
        """(stream, bytes) with stream 1 for output and 2 for errors. Times are in seconds since the epoch, as text."""
        framed = not self.get(reference).tty
        query = {"follow": follow, "stdout": stdout, "stderr": stderr, "since": since, "until": until}
        query |= {"timestamps": timestamps, "tail": tail, "details": details}
        return deframed(_chunks(self._transport.call("GET", f"{_path(reference)}/logs", query)), framed)

    def attach(
        self,
        reference: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
        stream: bool = True,
        detach_keys: str | None = None,
        tty: bool | None = None,
    ) -> Stream:
        """The container's standard files, also before it starts. `tty` spares a question where the caller knows it."""
        framed = not (self.get(reference).tty if tty is None else tty)
        query = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "logs": logs, "stream": stream}
        return self._transport.hijack(f"{_path(reference)}/attach", query | {"detachKeys": detach_keys}, framed=framed)

    def exec_create(self, reference: str, config: ExecConfig) -> Created:
        """Prepare a command in a running container, and return its ID."""
        from lamina.api.containers import encode

        return Created(self._transport.json("POST", f"{_path(reference)}/exec", json_body=encode(config)))

    def exec_start(self, exec_id: str, *, tty: bool = False) -> Stream:
        """Start a prepared command and take its standard files."""
        body = {"Detach": False, "Tty": tty}
        return self._transport.hijack(f"/exec/{exec_id}/start", json_body=body, framed=not tty)

    def exec_detached(self, exec_id: str, *, tty: bool = False) -> None:
        """Start a prepared command and leave it alone."""
        self._transport.json("POST", f"/exec/{exec_id}/start", json_body={"Detach": True, "Tty": tty})

    def exec_inspect(self, exec_id: str) -> dict[str, Any]:
        """Docker's JSON of an exec: Running, ExitCode, Pid, ProcessConfig, …"""
        return dict(self._transport.json("GET", f"/exec/{exec_id}/json"))

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Give its terminal another size, in characters."""
        self._transport.json("POST", f"/exec/{exec_id}/resize", {"h": height, "w": width})

    def top(self, reference: str, ps_args: str = "") -> dict[str, Any]:
        """`{"Titles": […], "Processes": [[…], …]}`."""
        return dict(self._transport.json("GET", f"{_path(reference)}/top", {"ps_args": ps_args or None}))

    def stats(self, reference: str, *, stream: bool = False, one_shot: bool = False) -> Iterator[dict[str, Any]]:
        """Samples in Docker's form: one, or one a second until closed. `one_shot` does not wait for two readings."""
        query: dict[str, object] = {"stream": True if stream else "0", "one-shot": one_shot}
        return self._transport.lines("GET", f"{_path(reference)}/stats", query)

    def changes(self, reference: str) -> Sequence[dict[str, Any]]:
        """`{"Path": …, "Kind": 0 changed, 1 added, 2 deleted}` in the order of paths."""
        return list(self._transport.json("GET", f"{_path(reference)}/changes") or ())

    def stat_path(self, reference: str, path: str) -> dict[str, Any]:
        """name, size, mode (Go's os.FileMode bits), mtime and linkTarget of a path in the container."""
        reply = self._transport.call("HEAD", f"{_path(reference)}/archive", {"path": path})
        reply.close()
        return _stat(reply)

    def get_archive(self, reference: str, path: str) -> tuple[dict[str, Any], Iterator[bytes]]:
        """The stat of a path in the container, and the path as a tar in chunks."""
        reply = self._transport.call("GET", f"{_path(reference)}/archive", {"path": path})
        return _stat(reply), _chunks(reply)

    def put_archive(
        self,
        reference: str,
        path: str,
        archive: Iterable[bytes],
        *,
        no_overwrite_dir: bool = True,
        archive_mode: bool = False,
    ) -> None:
        """Unpack a tar into a directory of the container. `archive_mode` keeps owners."""
        query = {"path": path, "noOverwriteDirNonDir": no_overwrite_dir, "copyUIDGID": archive_mode}
        self._transport.json("PUT", f"{_path(reference)}/archive", query, body=archive, headers=TAR)

    def export(self, reference: str) -> Iterator[bytes]:
        """The container's whole file tree as a tar in chunks."""
        return _chunks(self._transport.call("GET", f"{_path(reference)}/export"))

    def export_to(self, reference: str, sink: IO[bytes]) -> None:
        """`export`, written to a file."""
        self._transport.call("GET", f"{_path(reference)}/export").pour(sink)

    def prune(self, filters: Filters | None = None) -> Pruned:
        """Remove stopped containers."""
        return Pruned(self._transport.json("POST", "/containers/prune", {"filters": filters or None}))

    def _post(self, reference: str, verb: str, query: Mapping[str, object] | None = None) -> None:
        try:
            self._transport.json("POST", f"{_path(reference)}/{verb}", query)
        except NotModified:
            return  # it is in that state already, which is what was asked for


class Waiting:
    """A wait that the daemon has noted. `result` and `answer` block. A context manager that stops waiting."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *unused: object) -> None:
        self.close()

    def answer(self) -> dict[str, Any]:
        """What the daemon says in the end: StatusCode, and Error where something went wrong. Call it once."""
        return dict(decode(self._reply.read()))

    def result(self) -> int:
        """The exit code of the container. Raises CommandFailed where the engine could not run or wait for it."""
        answer = self.answer()
        if error := answer.get("Error"):
            raise CommandFailed(str(error.get("Message")), exit_code=125)
        return int(answer["StatusCode"])

    def close(self) -> None:
        """Stop waiting. May be called twice."""
        self._reply.close()


def _path(reference: str) -> str:
    return f"/containers/{encode_name(reference)}"


def _chunks(reply: Reply) -> Iterator[bytes]:
    try:
        while chunk := reply.body.read1(1 << 16):
            yield chunk
    finally:
        reply.close()


def _stat(reply: Reply) -> dict[str, Any]:
    return dict(decode(base64.b64decode(reply.headers.get("x-docker-container-path-stat", ""))))
