"""What attacks need: a daemon to attack, raw requests to it, and images no builder would make."""

from __future__ import annotations

import os
import tarfile
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from lamina.linux.syscalls import libc
from support import api
from support.clients import Client
from support.daemons import Daemon, lamina_daemon
from support.engines import LAMINA, Cli

OFF = ("--network", "none")
_HERE, _RENAME_EXCHANGE = -100, 2


class Answer(api.Answer):
    @property
    def message(self) -> str:
        """The one sentence of an error."""
        said = super().message
        assert said.count("\n") == 0
        assert "Traceback" not in said
        assert not said.startswith("internal error"), said
        return said


@dataclass(frozen=True)
class Target:
    """The daemon under attack: raw requests, and lamina's own command line."""

    daemon: Daemon
    base: Path

    @property
    def cli(self) -> Cli:
        return Cli(self.daemon.host, self.daemon.folder)

    @property
    def client(self) -> Client:
        return Client(tuple(LAMINA), self.daemon.host, self.daemon.folder)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        """One raw request; a body that is not bytes is sent as JSON."""
        headers = {"Content-Type": kind} if body is not None else {}
        found = api.Http(str(self.daemon.socket))(method, path, body, headers)
        return Answer(found.status, found.headers, found.body)

    def create(self, *command: str, image: str = "bb", host: dict[str, Any] | None = None, **config: Any) -> str:
        """A new container without a network; its ID."""
        given = {"NetworkMode": "none", **(host or {})}
        answer = self.ask("POST", "/containers/create", {"Image": image, "Cmd": command, "HostConfig": given, **config})
        assert answer.status == 201, answer.body
        return str(answer.json["Id"])

    def start(self, id: str) -> Answer:
        return self.ask("POST", f"/containers/{id}/start")

    def output(self, id: str) -> str:
        """All that a container wrote, once it has ended."""
        assert self.ask("POST", f"/containers/{id}/wait").status == 200
        return self.cli(*("logs", id)).stdout.decode(errors="replace")

    def remove(self, *ids: str) -> None:
        for id in ids:
            self.ask("DELETE", f"/containers/{id}?force=1&v=1")

    @contextmanager
    def running(self, script: str, *options: str, image: str = "bb") -> Iterator[str]:
        """A container that runs a shell script, until the end of the block."""
        id = self.cli.text("run", "-d", *OFF, *options, image, "sh", "-c", script).strip()
        try:
            yield id
        finally:
            self.remove(id)

    def build(self, dockerfile: str, **files: bytes) -> str:
        """What the build of a context answers."""
        return self.build_tar(archive({"Dockerfile": dockerfile.encode(), **files}))

    def build_tar(self, tar: bytes) -> str:
        return self.ask("POST", "/build?networkmode=none", tar, "application/x-tar").body.decode()

    def image(
        self,
        name: str,
        *,
        members: Sequence[tarfile.TarInfo] = (),
        without: Collection[str] = (),
        changes: Sequence[str] = (),
    ) -> None:
        """The base image with other members in the places of `without`, and with `changes` of its config."""
        tar = BytesIO()
        with tarfile.open(self.base) as base, tarfile.open(fileobj=tar, mode="w") as made:
            for member in base:
                if not any(f"{member.name}/".startswith(f"{gone}/") for gone in without):
                    made.addfile(member, base.extractfile(member) if member.isreg() else None)
            for member in members:
                made.addfile(member, BytesIO(member.content) if isinstance(member, File) else None)
        flags = [flag for change in changes for flag in ("-c", change)]
        self.cli("import", *flags, "-", name, stdin=tar.getvalue())


def archive(files: dict[str, bytes]) -> bytes:
    """A tar of regular files."""
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))
    return made.getvalue()


def tar_of(*members: tarfile.TarInfo) -> bytes:
    """A tar of members without content."""
    made = BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for member in members:
            tar.addfile(member)
    return made.getvalue()


def link(name: str, target: str | Path) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = tarfile.SYMTYPE, str(target)
    return member


class File(tarfile.TarInfo):
    """A regular file with its content."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(name)
        self.content = content
        self.size, self.mode = len(content), 0o755


def folder(name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode = tarfile.DIRTYPE, 0o755
    return member


def folders(*paths: Path) -> list[tarfile.TarInfo]:
    """Directories for an image, with all that lead to them, where the host has them."""
    needed = {str(part).lstrip("/") for path in paths for part in (path, *path.parents)} - {""}
    return [folder(name) for name in sorted(needed)]


def written(top: Path) -> dict[str, tuple[int, ...]]:
    """What shows whether anything at or below `top` was written or replaced since."""
    status = {path: path.lstat() for path in (top, *top.rglob("*"))}
    return {
        str(path): (info.st_ino, info.st_mode, info.st_rdev, info.st_uid, info.st_size, info.st_mtime_ns)
        for path, info in status.items()
    }


@contextmanager
def swapping(one: Path, other: Path) -> Iterator[None]:
    """Exchange two names all the time, until the end of the block."""
    ended = threading.Event()

    def swap() -> None:
        while not ended.is_set():
            with suppress(FileNotFoundError):  # whoever is attacked has just taken one of them away
                libc("renameat2", _HERE, os.fsencode(one), _HERE, os.fsencode(other), _RENAME_EXCHANGE)

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def special(name: str, kind: bytes, major: int = 0, minor: int = 0) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.mode, member.devmajor, member.devminor = kind, 0o666, major, minor
    return member


@contextmanager
def attacked(base: Path, *flags: str, descriptors: int = 0) -> Iterator[Target]:
    """A daemon that has the tar `base` as its image "bb", and must still be well when the attacks are over.

    `descriptors` bounds how many it may have open; 0 leaves the machine's limit.
    """
    with lamina_daemon(*flags, descriptors=descriptors) as daemon:
        target = Target(daemon, base)
        target.cli("import", "-c", 'CMD ["sh"]', str(base), "bb")
        yield target
        assert daemon.answers()
        assert "Traceback" not in daemon.log, daemon.log[-4000:]
