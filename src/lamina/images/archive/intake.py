"""Reading an image archive in one pass: layers go straight into the store, documents stay in memory.

The bytes of a member decide what it is, not its name: the order of archives differs (Docker writes the list of contents
last), and a stream cannot be read twice. Layers that turn out not to be needed go with the caller's lease.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lamina.errors import Cancelled, Corrupt, InvalidInput, LaminaError, NoSpace, NotFound, TooLarge
from lamina.formats.digest import Digest, new_hasher
from lamina.layers.compression import Compression, detect
from lamina.layers.decompress import decompressed
from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import ingest
from lamina.layers.limits import Limits
from lamina.layers.tar.header import BLOCK, ZERO_BLOCK, parse_header
from lamina.layers.tar.reader import Member, read_tar
from lamina.layers.tar.source import CHUNK, Prefixed, Readable
from lamina.progress import Report, Status
from lamina.store.leases import Lease
from lamina.store.store import Store

if TYPE_CHECKING:
    from hashlib import _Hash

DOCUMENT_LIMIT = 8 << 20  # bytes of one JSON document
DOCUMENTS_LIMIT = 128 << 20  # bytes of all of them
MEMBERS = Limits(entries=1 << 16)  # members of an archive; Docker writes three or four for a layer
_BLOB = re.compile(r"blobs/(sha256|sha384|sha512)/([0-9a-f]+)")
_LINKS_FOLLOWED = 16


@dataclass
class Intake:
    """What an archive held, by the paths of its members. Layers are in the store, under the caller's lease."""

    documents: dict[str, bytes] = field(default_factory=dict)
    layers: dict[str, Digest] = field(default_factory=dict)  # path → diff-id
    links: dict[str, str] = field(default_factory=dict)  # path → path
    failed: dict[str, LaminaError] = field(default_factory=dict)  # raised when something refers to the path
    compressed: dict[Digest, Digest] = field(default_factory=dict)  # digest of a stored compressed form → diff-id

    def document(self, path: str) -> bytes:
        """Return the JSON document at `path`. Raise NotFound, or why it could not be read."""
        real = self._real(path)
        if real not in self.documents:
            raise self._missing(path, real, "document")
        return self.documents[real]

    def layer(self, path: str) -> Digest:
        """Return the diff-id of the layer at `path`. Raise NotFound, or why it could not be read."""
        real = self._real(path)
        if real not in self.layers:
            raise self._missing(path, real, "layer")
        return self.layers[real]

    def has(self, path: str) -> bool:
        """Return whether there is a document or layer at `path`, good or bad."""
        real = self._real(path)
        return real in self.documents or real in self.layers or real in self.failed

    def _missing(self, path: str, real: str, what: str) -> LaminaError:
        if real in self.failed:
            return self.failed[real]
        return NotFound(f"the archive names the {what} {path!r}, which is not in it", path=path)

    def _real(self, path: str) -> str:
        """Return where `path` leads through the archive's own links. Raise InvalidInput for one that leads outside."""
        real = _inside(path, path)
        for _ in range(_LINKS_FOLLOWED):
            if real not in self.links:
                return real
            real = _inside(self.links[real], path)
        raise InvalidInput(f"the archive has too many links at {path!r}", path=path)


def _inside(path: str, named: str) -> str:
    clean = posixpath.normpath(path)
    if clean.startswith(("/", "../")) or clean == "..":
        raise InvalidInput(f"the path {named!r} leads outside the archive", path=named)
    return clean


def take_in(store: Store, lease: Lease, stream: Readable, report: Report) -> Intake:
    """Read a whole archive, compressed or not. Raise InvalidInput for what is no tar, TooLarge, NoSpace."""
    intake = Intake()
    with decompressed(stream) as plain:
        taker = _Taker(store, lease, report, intake)
        for member in read_tar(plain, MEMBERS):
            taker.take(member)
    return intake


@dataclass
class _Taker:
    """Put each member of an archive where it belongs."""

    store: Store
    lease: Lease
    report: Report
    intake: Intake
    documents_size: int = 0  # bytes, of all so far

    def take(self, member: Member) -> None:
        entry = member.entry
        if entry.type is EntryType.SYMLINK:
            self.intake.links[entry.path] = posixpath.join(entry.parent, entry.target)
        elif entry.type is EntryType.HARDLINK:
            self.intake.links[entry.path] = entry.target
        elif entry.type is EntryType.REGULAR:
            claimed = _claimed(entry)
            if claimed and self._known(entry, claimed):
                return
            head = member.data.read(BLOCK) if entry.size else b""
            while 0 < len(head) < BLOCK and (more := member.data.read(BLOCK - len(head))):
                head += more
            self._take_content(entry, claimed, Prefixed(head, member.data), head)

    def _known(self, entry: Entry, claimed: Digest) -> bool:
        """Return whether the store has this very layer already; then its bytes need not be read."""
        self.lease.add(claimed)
        if self.store.layers.has(claimed):
            self.intake.layers[entry.path] = claimed
            return True
        return False

    def _take_content(self, entry: Entry, claimed: Digest | None, data: Prefixed, head: bytes) -> None:
        try:
            if _is_layer(head):
                self._take_layer(entry, claimed, data, detect(head))
            else:
                self._take_document(entry, claimed, data)
        except (Cancelled, NoSpace, TooLarge):
            raise
        except LaminaError as error:
            self.intake.failed[entry.path] = error

    def _take_document(self, entry: Entry, claimed: Digest | None, data: Readable) -> None:
        if entry.size > DOCUMENT_LIMIT:
            raise InvalidInput(f"{entry.path!r} in the archive is neither a layer nor a document", path=entry.path)
        self.documents_size += entry.size
        if self.documents_size > DOCUMENTS_LIMIT:
            raise TooLarge(f"the archive's documents are larger than {DOCUMENTS_LIMIT} bytes", limit=DOCUMENTS_LIMIT)
        raw = b"".join(iter(lambda: data.read(DOCUMENT_LIMIT), b""))
        if claimed and not claimed.matches(raw):
            raise _wrong_digest(entry.path, claimed, Digest.of(raw, claimed.algorithm))
        self.intake.documents[entry.path] = raw

    def _take_layer(self, entry: Entry, claimed: Digest | None, data: Prefixed, kind: Compression) -> None:
        plain = kind is Compression.NONE and claimed is not None and claimed.algorithm == "sha256"  # hashed anyway
        tee = Tee(data, new_hasher(claimed.algorithm) if claimed and not plain else None, self._watch(entry))
        keep = claimed is not None and kind is not Compression.NONE
        with self.store.layers.create() as work:
            if keep and claimed:
                with self.store.blobs.ingest(algorithm=claimed.algorithm) as blob:
                    tee.copy_to(blob.write)
                    ingested = ingest(decompressed(tee), work.tar, work.index)
                    tee.drain()
                    layer = work.commit(ingested)
                    _check(entry.path, claimed, tee.digest())
                    blob.commit(claimed)
                self.store.blobs.cache(claimed, layer.diff_id)
                self.intake.compressed[claimed] = layer.diff_id
            else:
                ingested = ingest(decompressed(tee), work.tar, work.index)
                _check(entry.path, claimed, ingested.diff_id if plain else tee.digest())
                layer = work.commit(ingested)
        self.intake.layers[entry.path] = layer.diff_id

    def _watch(self, entry: Entry) -> _Progress:
        return _Progress(self.report, _short_name(entry.path), entry.size)


@dataclass
class _Progress:
    """Report how much of a layer has been read: at the start, each 4 MiB, and at the end."""

    report: Report
    name: str
    total: int
    told: int = -(4 << 20)

    def __call__(self, done: int) -> None:
        if done - self.told >= 4 << 20 or done == self.total:
            self.told = done
            self.report(Status("Loading layer", self.name, done, self.total))


def _is_layer(head: bytes) -> bool:
    if detect(head) is not Compression.NONE or head == ZERO_BLOCK:
        return True
    try:
        return len(head) == BLOCK and parse_header(head, 0) is not None
    except InvalidInput:
        return False


def _claimed(entry: Entry) -> Digest | None:
    """Return the digest that a member's name promises."""
    match = _BLOB.fullmatch(entry.path)
    return Digest(match[1], match[2]) if match else None


def _short_name(path: str) -> str:
    """Return what Docker shows for a layer: twelve digits of its digest, or of the directory that it is in."""
    name = path.removesuffix("/layer.tar").rpartition("/")[2]
    return name.removesuffix(".tar")[:12]


def _check(path: str, claimed: Digest | None, actual: Digest | None) -> None:
    if claimed is not None and actual != claimed:
        raise _wrong_digest(path, claimed, actual)


def _wrong_digest(path: str, claimed: Digest, actual: Digest | None) -> Corrupt:
    return Corrupt(f"{path!r} in the archive has digest {actual}", path=path, expected=claimed, found=actual)


class Tee:
    """A stream whose bytes are hashed, counted and copied as they are read."""

    def __init__(self, stream: Readable, hasher: _Hash | None, watch: Callable[[int], None]) -> None:
        self._stream = stream
        self._hasher = hasher
        self._watch = watch
        self._copy: Callable[[bytes], object] | None = None
        self.count = 0
        watch(0)

    def copy_to(self, write: Callable[[bytes], object]) -> None:
        """From now on, pass every piece to `write` too."""
        self._copy = write

    def read(self, size: int, /) -> bytes:
        piece = self._stream.read(size)
        if piece:
            self.count += len(piece)
            if self._hasher is not None:
                self._hasher.update(piece)
            if self._copy is not None:
                self._copy(piece)
            self._watch(self.count)
        return piece

    def drain(self) -> None:
        """Read to the end."""
        while self.read(CHUNK):
            pass

    def digest(self) -> Digest | None:
        """Return the digest of what has been read, None without a hasher."""
        return Digest.from_hasher(self._hasher) if self._hasher is not None else None
