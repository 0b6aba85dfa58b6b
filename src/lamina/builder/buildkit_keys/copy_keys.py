"""The operation that BuildKit makes of a COPY or ADD, and the hashes of what it reads.

Rule: moby/buildkit, frontend/dockerfile/dockerfile2llb/convert.go (dispatchCopy), client/llb/fileop.go, and
solver/llbsolver/ops/file.go.
"""

from __future__ import annotations

import posixpath
import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from lamina.builder.buildkit_keys.content_hash import HashedTree, Selector, Undecided, selected_digests
from lamina.builder.buildkit_keys.key_records import (
    SCRATCH,
    KeyLink,
    KeyRecord,
    Output,
    content_record,
    digest_of,
    links_to,
    record_of,
)
from lamina.builder.buildkit_keys.operations import (
    EMPTY,
    FileAction,
    file_operation,
    filled,
    go_json,
    merge_operation,
    owner_member,
)
from lamina.builder.buildkit_keys.stage_keys import StageKeys, clean
from lamina.builder.copy.add import UNNAMED
from lamina.dockerfile.instructions import Add, Copy, InlineFile
from lamina.errors import Cancelled, LaminaError

_OCTAL = re.compile(r"[0-7]+")
_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")
_ID = re.compile(r"(root|\d+)(:(root|\d+))?")


@dataclass(frozen=True, slots=True)
class CopyOrigin:
    """Where a COPY reads: a tree, and the keys of its files. The files of a build context have none."""

    files: HashedTree
    output: Output = SCRATCH


def is_linked(instruction: Copy | Add) -> bool:
    """Return whether BuildKit copies into an empty folder first. With --chmod it does not."""
    return instruction.link and not instruction.chmod


def merged(base: Output | None, linked: KeyRecord) -> KeyRecord | None:
    """Return the key of what a linked copy made, laid over the files below; None where these have no key."""
    if base is None:
        return None
    return record_of(merge_operation(2), [links_to(base), links_to((linked,))]) if base else linked


def copy_record(keys: StageKeys, instruction: Copy | Add, origin: CopyOrigin | None) -> KeyRecord:
    """Return the key of a step, without what is below a linked one.

    `origin` is None where there is nothing to read but here-documents. Raise Undecided for a step whose key is not
    certain.
    """
    base = SCRATCH if is_linked(instruction) else keys.output
    if base is None or instruction.exclude or (isinstance(instruction, Copy) and instruction.parents):
        raise Undecided("a copy with patterns")
    operation = _Operation(keys, instruction, base)
    if isinstance(instruction, Add) and instruction.checksum:
        operation.add_download(instruction.sources[0], instruction.checksum, unpack=bool(instruction.unpack))
    elif instruction.sources and origin is not None:
        operation.add_files(origin)
    for file in instruction.inline:
        operation.add_document(file)
    return operation.record()


class _Operation:
    """The actions of one file operation while they are put together."""

    def __init__(self, keys: StageKeys, instruction: Copy | Add, base: Output) -> None:
        self._instruction = instruction
        self._destination = _destination(keys.directory, instruction.destination)
        self._inputs: list[Sequence[KeyLink]] = [links_to(base)] if base else []
        self._base = 0 if base else EMPTY
        self._outputs: list[Output] = [base] if base else []
        self._copies: list[tuple[dict[str, Any], int]] = []
        if instruction.chown and not base and not _ID.fullmatch(instruction.chown):
            raise Undecided("an owner's name without files to look it up in")

    def add_files(self, origin: CopyOrigin) -> None:
        """Add the sources that are files of a tree."""
        if origin.output and origin.output in self._outputs:
            raise Undecided("a copy from the files below")
        selectors = [Selector(clean(f"/{word.removeprefix('/')}")) for word in self._instruction.sources]
        paths = [each.path for each in selectors]
        self._inputs.append(links_to_files(origin, paths, digest_of("\0".join(sorted(paths, reverse=True)).encode())))
        self._outputs.append(origin.output)
        unpack = isinstance(self._instruction, Add) and self._instruction.unpack is not False
        for selector in selectors:
            flags = {
                "followSymlink": True,
                "dirCopyContents": True,
                "attemptUnpackDockerCompatibility": unpack,
                "createDestPath": True,
                "allowWildcard": True,
                "allowEmptyWildcard": True,
            }
            name = posixpath.basename(selector.path) or "/"
            self._copies.append((self._action(name, flags), len(self._inputs) - 1))

    def add_download(self, url: str, checksum: str, *, unpack: bool) -> None:
        """Add a file from an address. Only one with a checksum is known before it is there.

        Rule: moby/buildkit, source/http/source.go, formatCacheKey.
        """
        name = posixpath.basename(unquote(urlsplit(url).path).rstrip("/")) or UNNAMED
        if not _SHA256.fullmatch(checksum) or name in (".", ".."):
            raise Undecided("a download whose bytes are not known")
        key = digest_of(go_json({"Filename": name, "Perm": 0, "UID": 0, "GID": 0, "Checksum": checksum}))
        source = (record_of(f"buildkit.source.v0:{key}".encode()),)
        self._inputs.append(links_to(source, digest_of(f"/{name}".encode())))
        self._outputs.append(source)
        flags = {"attemptUnpackDockerCompatibility": unpack, "createDestPath": True}
        self._copies.append((self._action(name, flags), len(self._inputs) - 1))

    def add_document(self, file: InlineFile) -> None:
        """Add a here-document, which is a file operation of its own. Its text may be looked up by its hash too."""
        path, data = clean(f"/{file.name}"), file.text.encode()
        make = FileAction(_mkfile(path, data), EMPTY)
        document = (record_of(file_operation([make])),)
        selector = digest_of(path.encode())
        header = f"namemode{0o644}uid0gid0size{len(data)}typeflag0linknameunamegnamedevmajor0devminor0"
        content = KeyLink(content_record([digest_of(header.encode() + data)]))
        if any(output == document for output in self._outputs):
            raise Undecided("a document twice")
        self._inputs.append((*links_to(document, selector), content))
        self._outputs.append(document)
        self._copies.append((self._action(posixpath.basename(path), {"createDestPath": True}), len(self._inputs) - 1))

    def record(self) -> KeyRecord:
        """Return the key of the whole operation."""
        actions = [
            FileAction(action, self._base if number == 0 else len(self._inputs) + number - 1, second)
            for number, (action, second) in enumerate(self._copies)
        ]
        if not actions:
            raise Undecided("nothing to copy")
        return record_of(file_operation(actions), self._inputs)

    def _action(self, source: str, flags: dict[str, bool]) -> dict[str, Any]:
        chmod = self._instruction.chmod
        mode: dict[str, Any] = {"mode": int(chmod, 8)} if _OCTAL.fullmatch(chmod) else {} if chmod else {"mode": -1}
        symbolic = {"modeStr": chmod} if chmod and not mode else {}
        place = {"src": source, "dest": self._destination}
        owner = {"owner": owner_member(self._instruction.chown, self._base)}
        return filled({**place, **owner, **mode, **flags, "timestamp": -1, **symbolic})


def links_to_files(origin: CopyOrigin, paths: Sequence[str], selector: str) -> tuple[KeyLink, ...]:
    """Return the links to what is read: to the keys of its files, and to the hashes of those at `paths`.

    Raise Undecided where there are neither, Cancelled.
    """
    links = links_to(origin.output, selector)
    try:
        digests = selected_digests(origin.files, [Selector(path) for path in paths])
    except Cancelled:
        raise
    except (Undecided, LaminaError, UnicodeError):
        digests = []
    if not links and not digests:
        raise Undecided("files without a hash")
    return (*links, *(KeyLink(content_record(each)) for each in digests))


def _mkfile(path: str, data: bytes) -> dict[str, Any]:
    return filled({"path": path, "mode": 0o644, "data": b64encode(data).decode(), "timestamp": -1})


def _destination(directory: str, word: str) -> str:
    """Return where files go. A slash, or a slash and a dot, at the end of the word is kept."""
    word = "./" if word in ("", ".") else word
    path = clean(word if word.startswith("/") else posixpath.join("/", directory, word))
    if word.endswith("/") and not path.endswith("/"):
        return f"{path}/"
    if word.endswith("/."):
        return f"{path}." if path == "/" else f"{path}/."
    return path
