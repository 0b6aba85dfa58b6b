"""A blob on its way from one registry to another, held in a temporary file that both ends use at once."""

from __future__ import annotations

import os
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType

from lamina.distribution.download import download
from lamina.distribution.repository import Repository
from lamina.distribution.tail import Tail
from lamina.errors import Corrupt
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest
from lamina.linux.writing import write_all
from lamina.progress import ignore


class Spool:
    """Downloads a blob in a thread while it is read: a source for `upload`. A context manager."""

    def __init__(self, origin: Repository, blob: Descriptor) -> None:
        self._origin = origin
        self._blob = blob
        self._stop = origin.transport.cancellation.child()
        self._file = _Temporary(blob.digest)
        self._tail = Tail(self._file)
        self._threads = ThreadPoolExecutor(1, "copy")
        self._work: Future[None] | None = None

    def wait(self, beyond: int) -> int:
        return self._tail.wait(beyond)

    def read_at(self, offset: int, size: int) -> bytes:
        return self._tail.read_at(offset, size)

    def finished(self) -> Digest | None:
        return self._tail.finished()

    def __enter__(self) -> Spool:
        self._stop.__enter__()
        self._work = self._threads.submit(self._download)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.__exit__(kind, error, trace)
        self._threads.shutdown(wait=True)
        self._file.close()

    def _download(self) -> None:
        try:
            download(self._origin, self._blob, self._tail, ignore, self._stop)
            if self._file.digest() != self._blob.digest:
                raise Corrupt(f"The blob {self._blob.digest} is not what its digest says", expected=self._blob.digest)
            self._tail.finish(self._blob.digest)
        except BaseException as error:  # whoever reads the tail raises it
            self._tail.fail(error)


class _Temporary:
    """A file without a name that hashes what is written to it."""

    def __init__(self, digest: Digest) -> None:
        self._expected = digest
        self._fd, path = tempfile.mkstemp(prefix="lamina-copy-")
        os.unlink(path)
        self._hasher = digest.hasher()
        self.size = 0

    def write(self, data: bytes, /) -> int:
        write_all(self._fd, data)
        self._hasher.update(data)
        self.size += len(data)
        return len(data)

    def restart(self) -> None:
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.ftruncate(self._fd, 0)
        self._hasher = self._expected.hasher()
        self.size = 0

    def read_at(self, offset: int, size: int) -> bytes:
        return os.pread(self._fd, size, offset)

    def digest(self) -> Digest:
        return Digest.from_hasher(self._hasher)

    def close(self) -> None:
        os.close(self._fd)
