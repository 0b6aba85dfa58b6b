"""Files, sockets and cache directories that a step has mounted."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from lamina.builder.build_run import SshAgents
from lamina.builder.run.cache_mounts import CacheMounts
from lamina.progress import ignore


@dataclass(frozen=True, slots=True)
class StepFiles:
    """Files, sockets and cache directories that a step has mounted, in its own `folder` until `closing` closes.

    `caches` outlives builds.
    """

    folder: Path
    caches: Path
    closing: ExitStack

    def file(self, name: str, content: bytes, mode: int, uid: int, gid: int) -> Path:
        """Return a new file."""
        path = self.folder / name
        path.write_bytes(content)
        os.chown(path, uid, gid)
        path.chmod(mode)
        return path

    def agent(self, agents: SshAgents, id: str, name: str, mode: int, uid: int, gid: int) -> Path:
        """Return a socket that leads to an ssh agent. Rule: Dockerfile reference, "RUN --mount=type=ssh"."""
        path = self.folder / name
        listener = _listen(path)
        self.closing.callback(agents.serve(id, listener))
        os.chown(path, uid, gid)
        path.chmod(mode)
        return path

    def cache(
        self, name: str, sharing: str, owner: tuple[int, int], mode: int, fill: Callable[[Path], None] = ignore
    ) -> Path:
        """Return a directory that later builds see again; a fresh one where a `private` one is in use.

        `fill` puts into a new one what it begins with.
        """
        directory = CacheMounts(self.caches).take(name, sharing, owner, mode, self.closing, fill)
        if directory is None:
            directory = Path(tempfile.mkdtemp(dir=self.folder))
            fill(directory)
            os.chown(directory, *owner)
            directory.chmod(mode)
        return directory


def _listen(path: Path) -> socket.socket:
    """Return a socket that listens at `path`, which may be longer than the 107 bytes that unix(7) takes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
        listener.listen()
        return listener
    finally:
        os.close(folder)
