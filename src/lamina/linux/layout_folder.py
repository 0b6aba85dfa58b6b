"""A folder of the user's in the form of an OCI image layout (image-spec 1.1, image-layout.md), read and added to.

The folder may come from somebody else, so no path in it is followed through a link. A blob appears under its name when
it is whole and has its digest; `index.json` is replaced at last. Programs that change `index.json` lock a file beside
it, as BuildKit's clients do (moby/buildkit, client/ociindex).
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from lamina.api.build import CacheOption
from lamina.errors import Corrupt, InvalidInput, LaminaError, NotFound, TooLarge
from lamina.formats.descriptor import OCI_INDEX, Descriptor
from lamina.formats.digest import Digest
from lamina.formats.document import decode_object, encode, objects
from lamina.linux.paths import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from lamina.linux.writing import write_all
from lamina.progress import Output, Report

REF_NAME = "org.opencontainers.image.ref.name"
CONTAINERD_NAME = "io.containerd.image.name"  # the whole name, where REF_NAME is only a tag
_INDEX = "index.json"
_LOCK = "index.json.lock"
_LAYOUT = "oci-layout"
_VERSION = {"imageLayoutVersion": "1.0.0"}
_BLOBS = "blobs/"
_LARGEST = 8 << 20  # bytes of index.json
_PIECE = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL


class LayoutFolder:
    """One layout on this machine. It is made when something is written."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = os.fspath(path)

    def tagged(self, tag: str) -> Descriptor | None:
        """Return what `index.json` has under a tag, None where there is none. Raise InvalidInput, NotFound."""
        with self._folder() as folder:
            for entry in objects(_index(folder), "manifests", _INDEX):
                if _names(entry)[0] == tag:
                    return Descriptor.from_json(entry, _INDEX)
        return None

    def size(self, digest: Digest) -> int | None:
        """Return the size of a blob, None where there is none."""
        try:
            with self.open(digest) as file:
                return os.fstat(file.fileno()).st_size
        except NotFound:
            return None

    @contextmanager
    def open(self, digest: Digest) -> Iterator[BinaryIO]:
        """Provide a blob, not checked yet. Raise NotFound, OSError."""
        with self._folder() as folder:
            fd = _opened(folder, f"blobs/{digest.algorithm}/{digest.encoded}")
        if fd is None:
            raise NotFound(f"{self._path} has no blob {digest}", digest=digest)
        with os.fdopen(fd, "rb") as file:
            yield file

    def write(self, digest: Digest, pieces: Iterable[bytes]) -> None:
        """Add a blob. Raise Corrupt for bytes with another digest, OSError."""
        os.makedirs(os.path.join(self._path, "blobs", digest.algorithm), exist_ok=True)
        with self._folder() as folder:
            blobs = _beneath(folder, f"blobs/{digest.algorithm}", _FOLDER)
            try:
                hasher = digest.hasher()
                with _replacing(blobs, digest.encoded) as fd:
                    for piece in pieces:
                        hasher.update(piece)
                        write_all(fd, piece)
                    if hasher.hexdigest() != digest.encoded:
                        raise Corrupt(f"a blob for {self._path} does not have the digest {digest}", expected=digest)
            finally:
                os.close(blobs)

    def finish(self, manifest: Descriptor, tag: str) -> None:
        """Have a tag of `index.json` mean a manifest. Raise InvalidInput for another kind of `index.json`, OSError."""
        self._list([manifest.to_json() | {"annotations": {REF_NAME: tag}}])

    def add_archive(self, path: str | os.PathLike[str]) -> None:
        """Add the images of a layout in a tar under their names there; without a name they get the tag `latest`.

        Raise InvalidInput for what is no such tar, Corrupt for bytes with another digest, OSError.
        """
        try:
            with tarfile.open(path, "r:") as archive:
                raw = b""
                for member in archive:
                    if member.name.startswith(_BLOBS) and member.isreg():
                        algorithm, _, encoded = member.name.removeprefix(_BLOBS).partition("/")
                        self.write(Digest.parse(f"{algorithm}:{encoded}"), _pieces(archive, member))
                    elif member.name == _INDEX:
                        raw = b"".join(_pieces(archive, member, _LARGEST))
        except tarfile.TarError as error:
            raise InvalidInput(f"the files for {self._path} are no tar: {error}") from error
        entries = objects(decode_object(raw, _INDEX), "manifests", _INDEX)
        unnamed = {"annotations": {REF_NAME: "latest"}}
        self._list([entry if any(_names(entry)) else entry | unnamed for entry in entries])

    def _list(self, entries: Sequence[dict[str, Any]]) -> None:
        """Add entries to `index.json`, in place of those of the same names."""
        names = [_names(entry) for entry in entries]
        os.makedirs(self._path, exist_ok=True)
        with self._folder() as folder:
            lock = _beneath(folder, _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                document = _index(folder)
                others = [entry for entry in objects(document, "manifests", _INDEX) if _names(entry) not in names]
                document["manifests"] = [*others, *entries]
                for name, content in ((_LAYOUT, encode(_VERSION)), (_INDEX, encode(document))):
                    with _replacing(folder, name) as fd:
                        write_all(fd, content)
            finally:
                os.close(lock)

    @contextmanager
    def _folder(self) -> Iterator[int]:
        try:
            folder = os.open(self._path, _FOLDER | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise NotFound(f"{self._path} is not a folder", path=self._path) from None
        try:
            yield folder
        finally:
            os.close(folder)


def with_digests(imports: Sequence[CacheOption], report: Report) -> tuple[CacheOption, ...]:
    """Return caches to read, those in folders with the digest that their tag means. Leave out what is not there.

    A cache is a helper: `report` hears of a folder that has none.
    """
    options = []
    for option in imports:
        attrs = option.attrs
        if option.type == "local" and attrs.get("src") and not attrs.get("digest"):
            tag = attrs.get("tag") or "latest"
            try:
                manifest = LayoutFolder(attrs["src"]).tagged(tag)
            except (LaminaError, OSError) as error:
                report(Output(f"[WARNING]: The cache {attrs['src']} is not used: {error}\n"))
                continue
            if manifest is None:
                report(Output(f"[WARNING]: The cache {attrs['src']} is not used: it has no tag {tag}\n"))
                continue
            option = CacheOption(option.type, attrs | {"digest": str(manifest.digest)})
        options.append(option)
    return tuple(options)


def _index(folder: int) -> dict[str, Any]:
    """Return the present `index.json`, an empty one where there is none."""
    fd = _opened(folder, _INDEX)
    if fd is None:
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    with os.fdopen(fd, "rb") as file:
        raw = file.read(_LARGEST + 1)
    if len(raw) > _LARGEST:
        raise TooLarge(f"{_INDEX} has more than {_LARGEST} bytes", limit=_LARGEST)
    return decode_object(raw, _INDEX)


def _names(entry: dict[str, Any]) -> tuple[object, object]:
    """Return the tag and the whole name of an entry, None for what it lacks."""
    notes = entry.get("annotations")
    return (notes.get(REF_NAME), notes.get(CONTAINERD_NAME)) if isinstance(notes, dict) else (None, None)


def _pieces(archive: tarfile.TarFile, member: tarfile.TarInfo, largest: int | None = None) -> Iterator[bytes]:
    if largest is not None and member.size > largest:
        raise TooLarge(f"{member.name} has more than {largest} bytes", limit=largest)
    file = archive.extractfile(member)
    while file is not None and (piece := file.read(_PIECE)):
        yield piece


def _opened(folder: int, path: str) -> int | None:
    """Open a file to read, None where there is none. Raise InvalidInput for what is no file."""
    try:
        fd = _beneath(folder, path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise InvalidInput(f"{path} is not a file", path=path)
    return fd


def _beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    try:
        return openat2(folder, path, flags, mode, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EXDEV):
            raise InvalidInput(f"{path} leads through a symlink", path=path) from error
        raise


@contextmanager
def _replacing(folder: int, name: str) -> Iterator[int]:
    """Provide a new file that takes its place under `name` when the block ends well."""
    temporary = f".lamina-{secrets.token_hex(8)}"
    fd = os.open(temporary, _NEW | os.O_CLOEXEC, 0o644, dir_fd=folder)
    try:
        yield fd
        os.fsync(fd)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    finally:
        os.close(fd)
