"""What is in an image, as values that travel as JSON: layers, the history of a path, waste, differences.

Docker's API has nothing of it. The values are the same in an engine, on the wire and in a client.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Kind = Literal["added", "modified", "removed", ""]
"""What a layer did to a path; "" for nothing."""


class LayerSummary(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A layer of an image. `number` counts from 0 at the bottom, `size` is the bytes of its files.

    `created_by` is the instruction as the image's history has it, and `created` is RFC 3339; both are empty where the
    history does not fit the layers.
    """

    number: int
    diff_id: str
    created_by: str
    created: str
    size: int


class FileState(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """A file as a layer has it. `type` is regular, directory, symlink, char, block or fifo.

    `mode` has the permission bits, `size` is in bytes, `mtime_ns` in nanoseconds since the epoch. `target` is the text
    of a symlink.
    """

    type: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    target: str = ""


class ListedFile(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file of a directory at one layer. `layer` is the number of the layer that it is from.

    `change` is what the layer that is looked at did to it. A removed file is listed as it was before.
    """

    name: str
    layer: int
    change: Kind
    state: FileState


class FoundFile(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file anywhere in an image at one layer; as ListedFile, with its whole path."""

    path: str
    layer: int
    change: Kind
    state: FileState


class FolderEntry(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file of a directory of a container as it is now, its volumes and binds included.

    `is_directory` also tells of a symlink that leads to a directory.
    """

    name: str
    is_directory: bool
    state: FileState


class Search(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Which files to find: those with `text` in their path, of at least `smallest` bytes, with one of the `changes`.

    Case does not count. Without `changes` all files are meant, and `limit` bounds how many are returned.
    """

    text: str = ""
    changes: tuple[Kind, ...] = ()
    smallest: int = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000


class Touch(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One change of a path: the layer with its instruction, what it did, and the file as it was afterwards.

    `state` is None where the path was removed. `same_content` tells of a modified file that its bytes are as before.
    """

    layer: int
    created_by: str
    change: Kind
    state: FileState | None = None
    same_content: bool = False


class Blame(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The life of a path in an image, from the bottom up. `path` has its folders' links followed."""

    path: str
    touches: tuple[Touch, ...]


class HiddenFile(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file in a layer that nobody can see in the image, because a later layer replaced or removed it.

    It costs `size` bytes all the same. `layer` has it and `hidden_by` hides it, by their numbers.
    """

    path: str
    layer: int
    hidden_by: int
    size: int


class Efficiency(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How well an image uses its bytes, by the rules of dive (wagoodman/dive, filetree/efficiency.go).

    `score` is 1.0 where no path was written twice. `wasted` is the bytes of all paths that several layers have, and
    `wasted_share` that part of the layers above the first one.
    """

    score: float
    wasted: int
    wasted_share: float


class ImageReport(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """An image's layers from the bottom up, and what is wasted in them.

    `hidden` has the largest hidden files, `hidden_files` and `hidden_bytes` count all of them.
    """

    id: str
    tags: tuple[str, ...]
    platform: str
    size: int
    layers: tuple[LayerSummary, ...]
    efficiency: Efficiency
    hidden: tuple[HiddenFile, ...]
    hidden_files: int
    hidden_bytes: int


class ValueChange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A value of the config that differs: `name` such as "Env.PATH". None stands for a value that is not there."""

    name: str
    before: str | None
    after: str | None


class FileChange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file that differs. `what` says in what: content, mode, owner, type, target, attributes.

    `text` is a unified diff of small texts; it is empty for all else.
    """

    path: str
    change: Kind
    what: tuple[str, ...] = ()
    before: FileState | None = None
    after: FileState | None = None
    text: str = ""


class PackageChange(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A package that differs. `kind` is deb, apk, rpm, pypi or npm; None stands for a version that is not there.

    `files` are those of the changed files that the package owns, as far as its package manager keeps a list.
    """

    kind: str
    name: str
    architecture: str
    before: str | None
    after: str | None
    files: tuple[str, ...] = ()


class ImageDifference(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What leads from the image `before` to the image `after`. Times of files do not count.

    `omitted` counts the files that differ beyond those in `files`.
    """

    before: str
    after: str
    config: tuple[ValueChange, ...]
    packages: tuple[PackageChange, ...]
    files: tuple[FileChange, ...]
    omitted: int = 0

    @property
    def same(self) -> bool:
        """Return whether there is no difference."""
        return not self.config and not self.files
