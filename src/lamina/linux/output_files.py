"""Outputs of builds that become files on this machine: `dest` names a folder for `local` and layouts, else a file.

What is written is gathered in a file of its own first, and takes its place when it is whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from lamina.api.build import FILE_OUTPUTS, STDOUT, BuildOutput
from lamina.errors import InvalidInput

Unpack = Callable[[Path, int], object]


class OutputFiles:
    """The files of one build's outputs, by the outputs' numbers. A context manager: leaving drops what is not whole."""

    def __init__(self, outputs: Sequence[BuildOutput], unpack: Unpack) -> None:
        """`unpack` puts the files of a tar into a folder that is open, and lets no link lead out of it.

        Raise InvalidInput for a folder that is to be written to standard output.
        """
        if any(output.is_layout_folder and output.attrs.get("dest") == STDOUT for output in outputs):
            raise InvalidInput("an OCI layout with tar=false is a folder", advice="Name it: dest=FOLDER.")
        self._outputs = outputs
        self._unpack = unpack
        self._open: dict[int, tuple[BinaryIO, Path]] = {}

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file, path in self._open.values():
            file.close()
            path.unlink(missing_ok=True)
        self._open.clear()

    def take(self, number: int, data: bytes | None) -> None:
        """Take a piece of an output, or put it in place at its end, which is None. Raise as `write` and `finish`."""
        if data is None:
            self.finish(number)
        else:
            self.write(number, data)

    def write(self, number: int, data: bytes) -> None:
        """Take bytes of an output. Raise InvalidInput for one that has no files, OSError."""
        if number not in self._open:
            self._open[number] = self._begin(number)
        self._open[number][0].write(data)

    def finish(self, number: int) -> None:
        """Put the files of an output in place. Raise what unpacking raises, OSError."""
        self.write(number, b"")
        file, path = self._open.pop(number)
        output = self._outputs[number]
        with file:
            try:
                file.flush()
                self._place(output, path)
            finally:
                with suppress(FileNotFoundError):
                    path.unlink()

    def _begin(self, number: int) -> tuple[BinaryIO, Path]:
        import tempfile  # milliseconds that only builds with files have to spend

        output = self._outputs[number] if 0 <= number < len(self._outputs) else BuildOutput("")
        if output.type not in FILE_OUTPUTS:
            raise InvalidInput(f"the build has no output {number} with files")
        where = output.attrs["dest"]
        folder = Path(where) if output.type == "local" else Path(where).absolute().parent
        if where == STDOUT:
            folder = Path(tempfile.gettempdir())
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".lamina-output-", dir=folder)
        return os.fdopen(descriptor, "wb"), Path(name)

    def _place(self, output: BuildOutput, path: Path) -> None:
        where = output.attrs["dest"]
        if output.type == "local":
            folder = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._unpack(path, folder)
            finally:
                os.close(folder)
        elif output.is_layout_folder:
            from lamina.linux.layout_folder import LayoutFolder

            LayoutFolder(where).add_archive(path)
        elif where == STDOUT:
            import shutil

            with path.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        else:
            umask = os.umask(0o022)
            os.umask(umask)
            path.chmod(0o666 & ~umask)
            path.rename(where)
