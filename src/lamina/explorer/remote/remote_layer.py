"""One layer at a registry: its files from an index that is kept here, its contents in pieces or as a whole."""

from __future__ import annotations

import bisect
import hashlib
import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lamina.cancellation import Cancellation
from lamina.distribution.download import download
from lamina.distribution.repository import Repository
from lamina.errors import Corrupt, Unsupported
from lamina.explorer.remote.contents_list import (
    Chunk,
    chunk_bounds,
    expand_chunk,
    fetch_list,
    has_list,
    list_name,
    listed_files,
)
from lamina.explorer.remote.kept_layers import KeptLayer, KeptLayers, KeptPlace
from lamina.formats.descriptor import Descriptor
from lamina.formats.digest import Digest, new_hasher
from lamina.layers.decompress import decompressed
from lamina.layers.index.tree import LayerTree
from lamina.layers.index.writer import IndexWriter
from lamina.layers.layer_writer import ingest
from lamina.layers.tar.source import PieceReader
from lamina.layers.tree import Content, Node
from lamina.linux.writing import write_all

ReadFrom = Literal["index", "contents", "stream"]


@dataclass(frozen=True, slots=True)
class RemoteLayer:
    """A layer of a manifest. `count` is told how many bytes the registry sent."""

    repository: Repository
    blob: Descriptor
    diff_id: Digest
    kept: KeptLayers
    count: Callable[[int], None]
    cancellation: Cancellation

    @property
    def key(self) -> str:
        """Return what is the same for two layers only if their files are: blob, diff-id, and the list that is named."""
        names = "\n".join((str(self.blob.digest), str(self.diff_id), list_name(self.blob)))
        return hashlib.sha256(names.encode()).hexdigest()

    def prepare(self, place: KeptPlace) -> tuple[KeptLayer, ReadFrom]:
        """Return what is known of the layer, and how: an index that is here, the layer's own list, or all of it.

        Raise Corrupt for a layer that is not what its digests say, Cancelled, and the kinds of downloading.
        """
        if (layer := place.layer()) is not None:
            return layer, "index"
        read_from: ReadFrom = "stream"
        if has_list(self.blob):
            try:
                self.kept.fill(self.key, self.cancellation, self._fetch_list)
                read_from = "contents"
            except Unsupported:  # the registry sends no ranges
                self.kept.fill(self.key, self.cancellation, self._fetch_all)
        else:
            self.kept.fill(self.key, self.cancellation, self._fetch_all)
        layer = place.layer()
        assert layer is not None
        return layer, read_from

    def contents(self, place: KeptPlace) -> Path:
        """Return the layer's tar, fetched again if it is not kept any more."""
        tar = place.path("tar")
        if not tar.exists():
            self.kept.fill(self.key, self.cancellation, self._fetch_all)
        os.utime(tar)
        return tar

    def range(self, first: int, length: int) -> bytes:
        """Return a part of the blob."""
        data = self.repository.read_range(self.blob.digest, first, length)
        self.count(len(data))
        return data

    def _fetch_list(self, folder: Path) -> KeptLayer:
        raw = fetch_list(self.blob, self.range)
        writer, file_bytes, end = IndexWriter(), 0, 0
        for listed in listed_files(raw):
            self.cancellation.check()
            writer.add(listed.entry)
            file_bytes += listed.entry.told_size
            end = max(end, listed.entry.data_offset + listed.entry.size)
        writer.write(folder / "erofs", end)
        (folder / "list").write_bytes(raw)
        return KeptLayer(file_bytes, end, verified=False)

    def _fetch_all(self, folder: Path) -> KeptLayer:
        compressed = folder / "blob"
        with _Download(compressed, self.blob.digest.algorithm) as into:
            download(self.repository, self.blob, into, lambda size: None, self.cancellation)
            self.count(into.size)
            if into.size != self.blob.size or into.digest != self.blob.digest:
                raise Corrupt(f"{self.blob.digest} is {into.digest} at the registry", expected=self.blob.digest)
        with compressed.open("rb") as stream:
            ingested = ingest(decompressed(stream), folder / "tar", folder / "erofs")
        compressed.unlink()
        if ingested.diff_id != self.diff_id:
            raise Corrupt(f"the layer {self.blob.digest} is not {self.diff_id}", expected=self.diff_id)
        return KeptLayer(ingested.file_bytes, ingested.size, verified=True)


class _Download:
    """A file that a download fills, hashed on the way."""

    def __init__(self, path: Path, algorithm: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._algorithm = algorithm
        self._hasher = new_hasher(algorithm)
        self.size = 0

    @property
    def digest(self) -> Digest:
        return Digest(self._algorithm, self._hasher.hexdigest())

    def write(self, data: bytes, /) -> int:
        write_all(self._file, data)
        self._hasher.update(data)
        self.size += len(data)
        return len(data)

    def restart(self) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)
        os.ftruncate(self._file, 0)
        self._hasher = new_hasher(self._algorithm)
        self.size = 0

    def __enter__(self) -> _Download:
        return self

    def __exit__(self, *unused: object) -> None:
        os.close(self._file)


class RemoteTree:
    """A Tree over the index of a layer at a registry. Contents are fetched when they are read."""

    def __init__(self, layer: RemoteLayer, place: KeptPlace, *, verified: bool) -> None:
        self._layer = layer
        self._place = place
        self._verified = verified
        self._tree = LayerTree.open(place.path("erofs"), place.path("tar"))
        self._chunks: dict[int, tuple[Chunk, ...]] = {}

    def lookup(self, path: str) -> Node | None:
        return self._tree.lookup(path)

    def children(self, path: str) -> Iterator[Node]:
        return self._tree.children(path)

    def read(self, node: Node) -> Content:
        if not node.entry.size:
            return io.BytesIO()
        if self._verified:
            self._layer.contents(self._place)
            return self._tree.read(node)
        if not self._chunks:
            raw = self._place.path("list").read_bytes()
            self._chunks = {file.entry.data_offset: file.chunks for file in listed_files(raw) if file.chunks}
        offset = next(iter(self._tree.extents(node))).offset
        chunks = self._chunks.get(offset)
        if chunks is None:
            raise Corrupt(f"the kept list of {self._layer.blob.digest} has no {node.path}", path=node.path)
        return io.BufferedReader(_ChunkStream(self._layer, chunks), 1 << 16)

    def close(self) -> None:
        self._tree.close()


class _ChunkStream(PieceReader):
    """The bytes of a file, each of its chunks fetched when it is reached, and verified."""

    def __init__(self, layer: RemoteLayer, chunks: tuple[Chunk, ...]) -> None:
        self._layer = layer
        self._chunks = chunks
        self._starts = [chunk.start for chunk in chunks]
        self._position = 0
        self._current: tuple[int, bytes] = (-1, b"")

    def read(self, size: int = -1) -> bytes:
        number = bisect.bisect_right(self._starts, self._position) - 1
        chunk = self._chunks[number]
        if self._position >= chunk.start + chunk.size:
            return b""
        if self._current[0] != number:
            self._current = (number, self._fetch(chunk))
        begin = self._position - chunk.start
        piece = self._current[1][begin : None if size < 0 else begin + size]
        self._position += len(piece)
        return piece

    def _fetch(self, chunk: Chunk) -> bytes:
        if chunk.first < 0:
            return bytes(chunk.size)
        return expand_chunk(chunk, self._layer.range(*chunk_bounds(chunk, self._layer.blob)))
