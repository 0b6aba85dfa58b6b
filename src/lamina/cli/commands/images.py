"""`lamina images`, `history`, `tag`, `rmi` and `commit`."""

from __future__ import annotations

from lamina.cli.arguments import (
    complete_containers,
    complete_images,
    filter_option,
    filters,
    for_each,
    format_option,
    many,
    switch,
)
from lamina.cli.parsing.declare import argument, command, option
from lamina.cli.table import LABELS, Column, ago, created_at, ellipsis, print_rows, rfc3339, short_id
from lamina.client import lists
from lamina.errors import NotFound
from lamina.formats.sizes import human_size
from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING, Mapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from lamina.cli.session import Session

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
    """Yield each image once for each of its tags. With `digests`, do so for each digest of the repository."""
    for image in images:
        tags = [split for text in image.get("RepoTags") or () if (split := _split_tag(text))[0] != NONE]
        digest_names = [split for text in image.get("RepoDigests") or () if (split := _split_digest(text))[0] != NONE]
        names = list(_names(tags, digest_names, digests)) or [(NONE, NONE, NONE)]
        for repository, tag, digest in names:
            yield {**image, "_repository": repository, "_tag": tag, "_digest": digest}


def _names(
    tags: list[tuple[str, str]], digest_names: list[tuple[str, str]], digests: bool
) -> Iterator[tuple[str, str, str]]:
    tagged = {repository for repository, _ in tags}
    for repository, tag in tags:
        repository_digests = [digest for name, digest in digest_names if name == repository]
        for digest in (repository_digests or [NONE]) if digests else [NONE]:
            yield repository, tag, digest
    for repository, digest in digest_names:
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
    """Return the columns of `history`. With `human`, sizes and times are in words."""

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


@command("""
    lamina images
    lamina images --filter dangling=true -q
    lamina images --format 'table {{.Repository}}\\t{{.Size}}' 'my-*'
""")
@argument("reference", required=False, metavar="[REPOSITORY[:TAG]]")
@switch("-a", "--all", "all_", help="Show intermediate images of classic builds as well")
@switch("--digests", help="Show digests")
@filter_option
@format_option
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show image IDs")
def images(
    session: Session,
    reference: str | None,
    all_: bool,
    digests: bool,
    filter_: tuple[str, ...],
    format_: str,
    no_trunc: bool,
    quiet: bool,
) -> None:
    """List images."""
    conditions = filters(filter_)
    if reference:
        conditions.setdefault("reference", []).append(reference)
    form = format_ or (session.settings.config.text("imagesFormat") if not quiet else "")
    digests = digests or ".Digest" in form
    rows = named_rows(lists.images(session.client.transport, all=all_, filters=conditions), digests)
    columns = WITH_DIGESTS if digests else DEFAULT
    print_rows(rows, COLUMNS, columns, form=form, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("""
    lamina history my-app
    lamina history --no-trunc --format '{{.ID}}: {{.CreatedBy}}' my-app
""")
@argument("image", complete=complete_images)
@format_option
@option("-H", "--human/--no-human", default=True, help="Print sizes and dates in words (default true)")
@switch("--no-trunc", help="Don't shorten")
@switch("-q", "--quiet", help="Only show image IDs")
@option("--platform", default="", help="Of several platforms, show that of OS/ARCH")
def history(
    session: Session, image: str, format_: str, human: bool, no_trunc: bool, quiet: bool, platform: str
) -> None:
    """Show the history of an image."""
    steps = session.client.images.history(image, platform=platform)
    columns, default = history_columns(human), HISTORY if human else HISTORY_EXACT
    print_rows(steps, columns, default, form=format_, quiet="ID" if quiet else "", trunc=not no_trunc)


@command("lamina tag my-app registry.example.com/team/my-app:1.0")
@argument("source", metavar="SOURCE_IMAGE[:TAG]", complete=complete_images)
@argument("target", metavar="TARGET_IMAGE[:TAG]")
def tag(session: Session, source: str, target: str) -> None:
    """Give the image SOURCE_IMAGE another name, TARGET_IMAGE."""
    session.client.images.tag(source, target)


@command("""
    lamina rmi my-app:old
    lamina rmi -f $(lamina images -q --filter dangling=true)
    lamina rmi --platform linux/arm64 my-app
""")
@argument("references", many=True, metavar="IMAGE [IMAGE...]", complete=complete_images)
@switch("-f", "--force", help="Remove it although stopped containers use it or several names refer to it")
@switch("--no-prune", help="Don't delete untagged parents")
@many("--platform", "platforms", metavar="OS/ARCH", help="Remove only the image for this platform")
def rmi(session: Session, references: tuple[str, ...], force: bool, no_prune: bool, platforms: tuple[str, ...]) -> int:
    """Remove names of images, and the images that no name refers to any more."""

    def remove(reference: str) -> None:
        for item in session.client.images.remove(reference, force=force, prune=not no_prune, platforms=platforms):
            for verb, name in item.items():
                print(printable(f"{verb}: {name}"))

    return for_each(references, remove, forgive=NotFound if force else None)


@command("""
    lamina commit app1 my-app:fixed
    lamina commit -c 'ENV DEBUG=true' -c 'CMD ["run"]' -m 'what was tried' app1
""")
@argument("container", complete=complete_containers)
@argument("reference", required=False, default="", metavar="[REPOSITORY[:TAG]]")
@option("-a", "--author", default="", help="Author, such as 'Ada <ada@example.com>'")
@many("-c", "--change", "changes", metavar="INSTRUCTION", help="Apply a Dockerfile instruction")
@option("-m", "--message", default="", help="Commit message")
@option("-p", "--pause/--no-pause", default=True, help="Pause the container meanwhile (default true)")
def commit(
    session: Session,
    container: str,
    reference: str,
    author: str,
    changes: tuple[str, ...],
    message: str,
    pause: bool,
) -> None:
    """Make an image from what a container changed, and print its ID."""
    image = session.client.containers.commit(
        container, reference, message=message, author=author, changes=changes, pause=pause
    )
    print(image.id)
