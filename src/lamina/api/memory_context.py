"""A build context that a program holds in memory, for builds by an engine and by a daemon alike."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field

from lamina.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class MemoryContext:
    """A Dockerfile as text, and the files that it may copy: bytes, or text, by their path in the context.

    client.builds.build(MemoryContext("FROM alpine\\nCOPY run.py /", {"run.py": b"print(1)"}))
    """

    dockerfile: str
    files: Mapping[str, bytes | str] = field(default_factory=dict)

    def to_tar(self) -> bytes:
        """Return the context as a tar, always the same bytes for the same files.

        Raise InvalidInput for a path that leads out of the context.
        """
        import tarfile  # only programs that use this pay for it

        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
            for name, content in {**self.files, "Dockerfile": self.dockerfile}.items():
                if name.startswith("/") or not name or ".." in name.split("/"):
                    raise InvalidInput(f"the file {name!r} is not inside the context", path=name)
                data = content.encode() if isinstance(content, str) else content
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return buffer.getvalue()
