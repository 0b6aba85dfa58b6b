"""Containers of a daemon: the `/containers` and `/exec` parts of the Engine API, with `/commit`."""

from __future__ import annotations

import binascii

from lamina.cancellation import NEVER, Cancellation
from lamina.client import lists
from lamina.client.container_documents import ContainerDetails, ContainerSummary
from lamina.client.documents import Created, Pruned
from lamina.client.process_documents import (
    Change,
    ContainerStats,
    ExecDetails,
    PathStat,
    Processes,
)
from lamina.client.references import split_name
from lamina.client.sending import TAR
from lamina.client.transport import Transport, decode, encode_name
from lamina.client.waiting import Waiting
from lamina.errors import NotModified
from lamina.formats.text import several_texts
from lamina.light import TYPE_CHECKING
from lamina.types.composed_verbs import ComposedVerbs
from lamina.types.run_results import LogRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import IO

    from lamina.api.containers import Config, EndpointConfig, ExecConfig, HostConfig, NetworkingConfig, UpdateConfig
    from lamina.api.explorer import FolderEntry
    from lamina.api.stream import Stream
    from lamina.client.image_documents import Image
    from lamina.client.wire import Reply
    from lamina.formats.frames import Piece
    from lamina.formats.matching import Filters
    from lamina.formats.runconfig import RunConfig


class Containers(ComposedVerbs):
    """The verbs of `lamina.types.Containers` on a daemon's containers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str | None,
        config: Config,
        host_config: HostConfig | None = None,
        networking: NetworkingConfig | None = None,
        platform: str = "",
    ) -> Created:
        from lamina.api.containers import encode

        body = encode(config)
        body["HostConfig"] = encode(host_config) if host_config else {}
        body["NetworkingConfig"] = encode(networking) if networking else {}
        return self.create_request(name, body, platform)

    def create_request(self, name: str | None, request: Mapping[str, object], platform: str = "") -> Created:
        """Create a container by a request in the API's own words. See `create`, and `exec_request` for whom."""
        query = {"name": name, "platform": platform or None}
        return Created(self._transport.json("POST", "/containers/create", query, json_body=request))

    def get(self, reference: str, *, size: bool = False) -> ContainerDetails:
        return ContainerDetails(self._transport.json("GET", f"{_path(reference)}/json", {"size": size}))

    def list(
        self, *, all: bool = False, limit: int = 0, size: bool = False, filters: Filters | None = None
    ) -> list[ContainerSummary]:
        documents = lists.containers(self._transport, all=all, limit=limit, size=size, filters=filters)
        return [ContainerSummary(item) for item in documents]

    def start(self, reference: str) -> bool:
        return self._post(reference, "start")

    def stop(self, reference: str, *, timeout: int | None = None, signal: str = "") -> bool:
        return self._post(reference, "stop", {"t": timeout, "signal": signal or None})

    def restart(self, reference: str, *, timeout: int | None = None, signal: str = "") -> None:
        self._post(reference, "restart", {"t": timeout, "signal": signal or None})

    def kill(self, reference: str, signal: str = "KILL") -> None:
        self._post(reference, "kill", {"signal": signal})

    def pause(self, reference: str) -> None:
        self._post(reference, "pause")

    def unpause(self, reference: str) -> None:
        self._post(reference, "unpause")

    def rename(self, reference: str, name: str) -> None:
        self._post(reference, "rename", {"name": name})

    def update(self, reference: str, changes: UpdateConfig) -> tuple[str, ...]:
        from lamina.api.containers import encode

        answer = self._transport.json("POST", f"{_path(reference)}/update", json_body=encode(changes)) or {}
        return tuple(answer.get("Warnings") or ())

    def remove(self, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        self._transport.json("DELETE", _path(reference), {"force": force, "v": volumes, "link": link})

    def prune(self, filters: Filters | None = None, *, cancellation: Cancellation = NEVER) -> Pruned:
        query = {"filters": filters or None}
        return Pruned(self._transport.json("POST", "/containers/prune", query, cancellation=cancellation))

    def waiting(self, reference: str, condition: str = "not-running", *, cancellation: Cancellation = NEVER) -> Waiting:
        query, path = {"condition": condition}, f"{_path(reference)}/wait"
        return Waiting(self._transport.call("POST", path, query, cancellation=cancellation))

    def logs(
        self,
        reference: str,
        *,
        follow: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        since: str = "",
        until: str = "",
        tail: int | None = None,
        offset: str = "",
        cancellation: Cancellation = NEVER,
    ) -> Iterator[LogRecord]:
        tty = self.get(reference).tty
        query: dict[str, object] = {
            "follow": follow,
            "stdout": stdout,
            "stderr": stderr,
            "since": since or None,
            "until": until or None,
            "offset": offset or None,
        }
        query |= {"timestamps": True, "tail": "all" if tail is None else tail}
        return _log_records(self._log(reference, query, cancellation).chunks(), tty)

    def log_pieces(
        self, reference: str, query: Mapping[str, object], *, cancellation: Cancellation = NEVER
    ) -> Iterator[Piece]:
        """Yield (channel, bytes) of a container's log as the daemon sends it; `query` has Docker's parameters."""
        from lamina.api.stream import deframed

        framed = not self.get(reference).tty
        return deframed(self._log(reference, query, cancellation).chunks(), framed)

    def attach(
        self,
        reference: str,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        detach_keys: str = "",
        tty: bool | None = None,
    ) -> Stream:
        query = {"stdin": stdin, "stdout": stdout, "stderr": stderr, "stream": True, "detachKeys": detach_keys or None}
        framed = not (self.get(reference).tty if tty is None else tty)
        return self._transport.hijack(f"{_path(reference)}/attach", query, framed=framed)

    def resize(self, reference: str, height: int, width: int) -> None:
        self._post(reference, "resize", {"h": height, "w": width})

    def exec_create(self, reference: str, config: ExecConfig) -> str:
        from lamina.api.containers import encode

        return self.exec_request(reference, encode(config))

    def exec_request(self, reference: str, request: Mapping[str, object]) -> str:
        """Create an exec by a request in the API's own words, and return its ID. See `exec_create`.

        For commands, which would wait longer for the class of such requests than for the answer.
        """
        return Created(self._transport.json("POST", f"{_path(reference)}/exec", json_body=request)).id

    def exec_start(self, exec_id: str, *, tty: bool | None = None) -> Stream:
        if tty is None:
            tty = bool(self.exec_inspect(exec_id)["ProcessConfig"].get("tty"))
        body = {"Detach": False, "Tty": tty}
        return self._transport.hijack(f"/exec/{exec_id}/start", json_body=body, framed=not tty)

    def exec_detached(self, exec_id: str) -> None:
        self._transport.json("POST", f"/exec/{exec_id}/start", json_body={"Detach": True, "Tty": False})

    def exec_inspect(self, exec_id: str) -> ExecDetails:
        return ExecDetails(self._transport.json("GET", f"/exec/{exec_id}/json"))

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        self._transport.json("POST", f"/exec/{exec_id}/resize", {"h": height, "w": width})

    def top(self, reference: str, ps_args: str = "") -> Processes:
        return Processes(self._transport.json("GET", f"{_path(reference)}/top", {"ps_args": ps_args or None}))

    def stats(
        self,
        reference: str,
        *,
        stream: bool = False,
        one_shot: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> Iterator[ContainerStats]:
        query: dict[str, object] = {"stream": True if stream else "0", "one-shot": one_shot}
        path = f"{_path(reference)}/stats"
        return map(ContainerStats, self._transport.lines("GET", path, query, cancellation=cancellation))

    def changes(self, reference: str) -> Sequence[Change]:
        return [Change(item) for item in self._transport.json("GET", f"{_path(reference)}/changes") or ()]

    def stat_path(self, reference: str, path: str) -> PathStat:
        reply = self._transport.call("HEAD", f"{_path(reference)}/archive", {"path": path})
        reply.close()
        return _stat(reply)

    def folder(self, reference: str, path: str = "/") -> Sequence[FolderEntry]:
        from msgspec import convert

        from lamina.api.explorer import FolderEntry

        return convert(self._transport.json("GET", f"{_path(reference)}/folder", {"path": path}), list[FolderEntry])

    def get_archive(
        self, reference: str, path: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER
    ) -> PathStat:
        reply = self._archive(reference, path, cancellation)
        reply.pour(sink)
        return _stat(reply)

    def archive(self, reference: str, path: str) -> tuple[PathStat, Iterator[bytes]]:
        """Return what a path in a container is, and the path as a tar in chunks, to be read as they come."""
        reply = self._archive(reference, path, NEVER)
        return _stat(reply), reply.chunks()

    def put_archive(
        self,
        reference: str,
        path: str,
        source: Iterable[bytes],
        *,
        no_overwrite: bool = False,
        copy_owner: bool = False,
        cancellation: Cancellation = NEVER,
    ) -> None:
        query = {"path": path, "noOverwriteDirNonDir": no_overwrite, "copyUIDGID": copy_owner}
        place = f"{_path(reference)}/archive"
        self._transport.json("PUT", place, query, body=source, headers=TAR, cancellation=cancellation)

    def export(self, reference: str, sink: IO[bytes], *, cancellation: Cancellation = NEVER) -> None:
        self._transport.call("GET", f"{_path(reference)}/export", cancellation=cancellation).pour(sink)

    def commit(
        self,
        reference: str,
        name: str = "",
        *,
        author: str = "",
        message: str = "",
        changes: Sequence[str] = (),
        config: RunConfig | None = None,
        pause: bool = True,
        cancellation: Cancellation = NEVER,
    ) -> Image:
        from lamina.api.containers import encode
        from lamina.client.images import Images

        repository, tag = split_name(name)
        query: dict[str, object] = {"container": reference, "repo": repository or None, "tag": tag or None}
        query |= {"comment": message or None, "author": author or None}
        query |= {"changes": list(several_texts("changes", changes)), "pause": True if pause else "0"}
        body = encode(config) if config else {}
        answer = self._transport.json("POST", "/commit", query, json_body=body, cancellation=cancellation)
        return Images(self._transport).get(Created(answer).id)

    def connect(self, reference: str, network: str, endpoint: EndpointConfig | None = None) -> None:
        from lamina.api.containers import encode

        body = {"Container": reference, "EndpointConfig": encode(endpoint) if endpoint else {}}
        self._transport.json("POST", f"/networks/{encode_name(network)}/connect", json_body=body)

    def disconnect(self, reference: str, network: str, *, force: bool = False) -> None:
        body = {"Container": reference, "Force": force}
        self._transport.json("POST", f"/networks/{encode_name(network)}/disconnect", json_body=body)

    def _log(self, reference: str, query: Mapping[str, object], cancellation: Cancellation) -> Reply:
        return self._transport.call("GET", f"{_path(reference)}/logs", query, cancellation=cancellation)

    def _archive(self, reference: str, path: str, cancellation: Cancellation) -> Reply:
        return self._transport.call("GET", f"{_path(reference)}/archive", {"path": path}, cancellation=cancellation)

    def _post(self, reference: str, verb: str, query: Mapping[str, object] | None = None) -> bool:
        try:
            self._transport.json("POST", f"{_path(reference)}/{verb}", query)
        except NotModified:
            return False  # it is in that state already
        return True


def _path(reference: str) -> str:
    return f"/containers/{encode_name(reference)}"


def _stat(reply: Reply) -> PathStat:
    return PathStat(decode(binascii.a2b_base64(reply.headers.get("x-docker-container-path-stat", ""))))


def _log_records(chunks: Iterable[bytes], tty: bool) -> Iterator[LogRecord]:
    """Yield the records of a log that was asked for with timestamps.

    Each frame is one record. With a terminal there are no frames, and each line is one.
    """
    from lamina.formats.frames import STDERR, whole_frames

    for channel, record in _terminal_lines(chunks) if tty else whole_frames(chunks):
        time, _, data = record.partition(b" ")
        yield LogRecord("stderr" if channel == STDERR else "stdout", time.decode("ascii", "replace"), data)


def _terminal_lines(chunks: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    from lamina.formats.frames import STDOUT

    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield STDOUT, line + b"\n"
    if rest:
        yield STDOUT, rest
