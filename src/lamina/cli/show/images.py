"""The columns of `images` and `history`, and how one image becomes a row for each of its names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lamina.cli.show.rows import LABELS, Column, ellipsis, short_id
from lamina.cli.show.times import ago, created_at, rfc3339
from lamina.formats.sizes import human_size

Document = Mapping[str, Any]
NONE = "<none>"


def _id(document: Document, trunc: bool) -> str:
    return short_id(document["Id"]) if trunc else str(document["Id"])


def _size_of(name: str) -> Column:
    def value(document: Document, trunc: bool) -> str:
        size = document.get(name, -1)
        return human_size(size, 3) if size is not None and size >= 0 else "N/A"

    return Column("SHARED SIZE" if name == "SharedSize" else "SIZE", value)


def _unique(document: Document, trunc: bool) -> str:
    size, shared = document.get("Size", -1), document.get("SharedSize", -1)
    return human_size(size - shared, 3) if size >= 0 and shared >= 0 else "N/A"


def _containers(document: Document, trunc: bool) -> str:
    count = document.get("Containers", -1)
    return str(count) if count >= 0 else "N/A"


COLUMNS = {
    "ID": Column("IMAGE ID", _id),
    "Repository": Column("REPOSITORY", lambda document, trunc: str(document["_repository"])),
    "Tag": Column("TAG", lambda document, trunc: str(document["_tag"])),
    "Digest": Column("DIGEST", lambda document, trunc: str(document["_digest"])),
    "CreatedSince": Column("CREATED", lambda d, trunc: ago(d["Created"]) if d["Created"] > 0 else "N/A"),
    "CreatedAt": Column("CREATED AT", lambda document, trunc: created_at(document["Created"])),
    "Size": _size_of("Size"),
    "VirtualSize": _size_of("Size"),
    "SharedSize": _size_of("SharedSize"),
    "UniqueSize": Column("UNIQUE SIZE", _unique),
    "Containers": Column("CONTAINERS", _containers),
    "Labels": LABELS,
}
DEFAULT = ("Repository", "Tag", "ID", "CreatedSince", "Size")
WITH_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")


def named_rows(images: Iterable[Document], digests: bool) -> Iterator[Document]:
    """Each image once for each of its tags; with `digests` once for each tag and digest of a repository."""
    for image in images:
        tags = [split for text in image.get("RepoTags") or () if (split := _split_tag(text))[0] != NONE]
        known = [split for text in image.get("RepoDigests") or () if (split := _split_digest(text))[0] != NONE]
        names = list(_names(tags, known, digests)) or [(NONE, NONE, NONE)]
        for repository, tag, digest in names:
            yield {**image, "_repository": repository, "_tag": tag, "_digest": digest}


def _names(tags: list[tuple[str, str]], known: list[tuple[str, str]], digests: bool) -> Iterator[tuple[str, str, str]]:
    tagged = {repository for repository, _ in tags}
    for repository, tag in tags:
        found = [digest for name, digest in known if name == repository]
        for digest in (found or [NONE]) if digests else [NONE]:
            yield repository, tag, digest
    for repository, digest in known:
        if repository not in tagged:
            yield repository, NONE, digest


def _split_tag(text: str) -> tuple[str, str]:
    repository, _, tag = text.rpartition(":")
    return repository, tag


def _split_digest(text: str) -> tuple[str, str]:
    repository, _, digest = text.partition("@")
    return repository, digest


def _created_by(document: Document, trunc: bool) -> str:
    text = str(document.get("CreatedBy", "")).replace("\t", " ")
    return ellipsis(text, 45) if trunc else text


def history_columns(human: bool) -> dict[str, Column]:
    """The columns of `history`; sizes and times in words where `human`."""

    def when(document: Document, trunc: bool) -> str:
        if not human:
            return rfc3339(document["Created"])
        return ago(document["Created"]) if document["Created"] > 0 else "N/A"

    return {
        "ID": Column("IMAGE", _id),
        "CreatedSince": Column("CREATED", when),
        "CreatedAt": Column("CREATED AT", lambda document, trunc: rfc3339(document["Created"])),
        "CreatedBy": Column("CREATED BY", _created_by),
        "Size": Column("SIZE", lambda d, trunc: human_size(d["Size"], 3) if human else str(d["Size"])),
        "Comment": Column("COMMENT", lambda document, trunc: str(document.get("Comment", ""))),
    }


HISTORY = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
HISTORY_EXACT = ("ID", "CreatedAt", "CreatedBy", "Size", "Comment")
