"""What looking into an image finds: bytes that it could do without, packages, secrets, what it shares with another.

The values are the same in an engine, on the wire and in a client, as those of `api/explorer.py`.
"""

from __future__ import annotations

from typing import Literal

import msgspec

SavingKind = Literal["hidden", "cache", "duplicate"]


class Saving(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Bytes of a layer that the image could do without, with the instruction that wrote them and what to change.

    `kind` is hidden (a later layer replaces or removes the files), cache (a package manager left it) or duplicate (the
    image has the same bytes elsewhere). `hidden_by` is the later layer. `paths` has the largest files, `files` counts
    all of them.
    """

    kind: SavingKind
    bytes: int
    files: int
    layer: int
    created_by: str
    paths: tuple[str, ...]
    advice: str
    hidden_by: int | None = None


class InstalledPackage(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A package of an image. `kind` is deb, apk, rpm, pypi or npm, `url` its package URL.

    `path` is the file that tells of it, and `layer` the number of the layer that has that file. `licenses` has the
    names that the package's files give: several for a package whose parts have licences of their own.
    """

    kind: str
    name: str
    version: str
    architecture: str
    licenses: tuple[str, ...]
    path: str
    layer: int
    url: str


class Weight(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A folder or a file with the bytes of all in it; `hidden` of them are covered by later layers.

    `children` has the heaviest things in a folder, and nothing where the folder is too light to be opened.
    """

    name: str
    size: int
    hidden: int
    is_directory: bool
    children: tuple[Weight, ...] = ()


class Secret(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What looks like a secret that was left in an image. Its value is never told.

    `where` is file, env (a variable of the config) or history (a value in an instruction). `name` is the path or the
    name of the variable, `rule` names what matched and `reason` says why it is listed. A file that `hidden_by` hides
    is in the image all the same: whoever pulls it can read the layer.
    """

    where: Literal["file", "env", "history"]
    name: str
    rule: str
    reason: str
    layer: int | None = None
    created_by: str = ""
    hidden_by: int | None = None
    line: int = 0


class SharedLayer(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A layer that two images have. It is on disk once."""

    diff_id: str
    size: int
    created_by: str


class SharedFile(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A file that two images have with the same bytes, each in a layer of its own: it is on disk twice."""

    path: str
    other_path: str
    size: int


class Sharing(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """What two images share on disk by their layers, and what they could share: equal files in different layers.

    `own_bytes` and `other_bytes` are what each has in layers of its own. `equal` has the largest equal files,
    `equal_files` and `equal_bytes` count all of them.
    """

    image: str
    other: str
    layers: tuple[SharedLayer, ...]
    shared_bytes: int
    own_bytes: int
    other_bytes: int
    equal: tuple[SharedFile, ...]
    equal_files: int
    equal_bytes: int


class LayerSource(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """Where the files of a layer are read.

    `read_from` is disk (the layer is here), index (a list of its files that an earlier look has left here), contents
    (a list of its files that the layer brings along, for eStargz and zstd:chunked) or stream (the whole layer was
    fetched). `digest` is that of the blob at the registry, or the diff-id. `size` is the blob's.
    """

    digest: str
    size: int
    read_from: Literal["disk", "index", "contents", "stream"]


class ImageSources(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """How an image is read. `reference` means exactly this image, whatever its name means later.

    `fetched` is the bytes of layers and documents that a registry has sent for it so far, and `size` those of all its
    layers there; both are 0 for an image that is here.
    """

    reference: str
    id: str
    layers: tuple[LayerSource, ...]
    size: int = 0
    fetched: int = 0
