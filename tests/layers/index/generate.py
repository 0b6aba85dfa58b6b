"""Generated layers: what archives may hold, in odd combinations, from a seed."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from lamina.layers.entry import Entry, EntryType
from lamina.layers.layer_writer import LayerBuilder

Item = tuple[Entry, bytes | None]

_ALPHABET = "abcxyzÄß漢 -+.#~\n\t\\'\"\udcff\udc80!%"
_LETTERS = "abcdef"
_MODES = (0o644, 0o755, 0o4755, 0o2711, 0o1777, 0, 0o7777)
_CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)


class Layers:
    """Makes layers that share names, so that they meet each other's files."""

    def __init__(self, seed: int, *, aligned: bool = False, plain: bool = False) -> None:
        """`aligned` keeps the pieces of sparse files on block boundaries: GNU tar reads no others. `plain` makes
        neither sparse files nor times before 1970, which mkfs.erofs 1.8 does not know."""
        self._random = random.Random(seed)
        self._units = (4096, 512, 512) if aligned else (4096, 512, 100)
        self._sparseness = 0.0 if plain else 0.2
        self._times = (0, 1, 1_700_000_000_123_456_789, 5_000_000_000 * 10**9, 0 if plain else -1_500_000_000)
        self._names = [self._name() for _ in range(12)]

    def _name(self) -> str:
        length = self._random.choice((1, 1, 2, 5, 30, 80))
        alphabet = self._random.choice((_ALPHABET, _LETTERS))
        name = "".join(self._random.choice(alphabet) for _ in range(length))
        return "dots" if name in (".", "..") or name.startswith(".wh.") else name

    def items(self, count: int, *, whiteouts: bool = False, replacing: bool = False, again: bool = True) -> list[Item]:
        """Entries in the order of an archive: parents first, hard links after what they name. With `again` a file may
        come more than once; `replacing` lets directories and others take each other's place."""
        return list(self._items(count, whiteouts, replacing, again))

    def _items(self, count: int, whiteouts: bool, replacing: bool, again: bool) -> Iterator[Item]:
        kinds: dict[str, EntryType] = {"": EntryType.DIRECTORY}
        for _ in range(count):
            directories = [path for path, kind in kinds.items() if kind is EntryType.DIRECTORY]
            parent = self._random.choice(directories)
            path = f"{parent}/{self._random.choice(self._names)}".lstrip("/")
            if whiteouts and self._random.random() < 0.2:
                yield self._whiteout(path, parent)
                continue
            kind = self._random.choice(list(EntryType))
            before = kinds.get(path)
            if before is not None and not again:
                continue
            if before is not None and not replacing and EntryType.DIRECTORY in (kind, before) and kind is not before:
                continue
            target = ""
            if kind is EntryType.HARDLINK:
                files = [name for name, of in kinds.items() if of is not EntryType.DIRECTORY and name != path]
                if not files or before is EntryType.DIRECTORY:
                    continue
                target = self._random.choice(files)
            if kind is not EntryType.DIRECTORY and before is EntryType.DIRECTORY:
                kinds = {name: of for name, of in kinds.items() if not name.startswith(path + "/")}
            kinds[path] = kind
            yield self._item(path, kind, target)

    def _whiteout(self, path: str, parent: str) -> Item:
        head, slash, name = path.rpartition("/")
        if self._random.random() < 0.3:
            return Entry(f"{parent}/.wh..wh..opq".lstrip("/"), EntryType.REGULAR, mode=0), b""
        return Entry(f"{head}{slash}.wh.{name}", EntryType.REGULAR, mode=0), b""

    def _item(self, path: str, kind: EntryType, target: str) -> Item:
        data: bytes | None = None
        sparse = None
        size = 0
        if kind is EntryType.REGULAR:
            size = self._random.choice((0, 1, 511, 512, 513, 5000))
            data = self._random.randbytes(size)
            if self._random.random() < self._sparseness:
                size, sparse, data = self._sparse()
        device = (0, 0)
        if kind in (EntryType.CHAR, EntryType.BLOCK):
            device = (self._random.choice((1, 250, 4000)), self._random.choice((0, 255, 256, 70000)))
        if kind is EntryType.SYMLINK:
            target = self._random.choice(self._names) * self._random.choice((1, 1, 1, 12))
            target = target[:1000]
        entry = Entry(
            path,
            kind,
            mode=0o777 if kind is EntryType.SYMLINK else self._random.choice(_MODES),
            uid=self._random.choice((0, 1000, 65536, 4_000_000_000)),
            gid=self._random.choice((0, 100, 70000)),
            size=size,
            mtime_ns=self._random.choice(self._times),
            target=target,
            major=device[0],
            minor=device[1],
            xattrs=self._attributes(kind),
            sparse=sparse,
        )
        return entry, data

    def _sparse(self) -> tuple[int, tuple[tuple[int, int], ...], bytes]:
        """A size, a map and the data: mostly in whole blocks, now and then not."""
        unit = self._random.choice(self._units)
        pieces: list[tuple[int, int]] = []
        offset = 0
        for _ in range(self._random.randrange(1, 5)):
            offset += unit * self._random.choice((0, 1, 3, 40))
            length = unit * self._random.choice((1, 2, 9))
            pieces.append((offset, length))
            offset += length
        size = offset + unit * self._random.choice((0, 0, 7, 3000))
        return size, tuple(pieces), self._random.randbytes(sum(length for _, length in pieces))

    def _attributes(self, kind: EntryType) -> dict[str, bytes]:
        if kind is EntryType.HARDLINK or self._random.random() < 0.7:
            return {}
        found = {f"trusted.{self._random.choice(_LETTERS)}": self._random.randbytes(self._random.choice((1, 30, 300)))}
        if kind in (EntryType.REGULAR, EntryType.DIRECTORY):
            found["user.note"] = self._random.choice((b"shared value", b"x", b"\0\n="))
        if kind is EntryType.REGULAR:
            found["security.capability"] = _CAPABILITY
        return found


def build(items: list[Item], tar: Path, index: Path) -> None:
    """Writes the layer's tar and index."""
    with LayerBuilder(tar, index) as builder:
        for entry, data in items:
            builder.add(entry, data)
        builder.finish()
