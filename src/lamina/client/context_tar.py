"""A directory as a build context: a tar of its files, without what `.dockerignore` leaves out."""

from __future__ import annotations

import hashlib
import os

from lamina.client.context import DEFAULT_DOCKERFILE, BuildContext, ignore_text, locate_dockerfile
from lamina.client.pack import Packed, pack
from lamina.dockerfile.ignore import IgnoreMatcher, Pattern, Verdict, parse_ignore, parse_patterns
from lamina.errors import NotFound
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = (0, 0)


def directory_context(folder: str, dockerfile: str = "", content: bytes | None = None) -> BuildContext:
    """Return the context of a directory. `dockerfile` is a path as the user gave it; `content` stands in for such a
    file.

    A Dockerfile from elsewhere travels along under a name of its own, hidden from COPY by a line more in the ignore
    file (which COPY shows, where the context has such a file: Docker's clients do the same). Raise NotFound where
    the directory or the Dockerfile is missing, InvalidInput for a broken ignore file.
    """
    if not os.path.isdir(folder):
        raise NotFound(f"the build context {folder!r} is not a directory")
    name = DEFAULT_DOCKERFILE
    if content is None:
        name, content = locate_dockerfile(folder, dockerfile)
    text = ignore_text(folder, dockerfile if content is None else "")
    extra: list[Packed] = []
    if content is not None:
        name = f".dockerfile.{hashlib.sha256(content).hexdigest()[:16]}"
        hidden = f"{name}\n" if os.path.exists(os.path.join(folder, ".dockerignore")) else f"{name}\n.dockerignore\n"
        ignore = f"{text}\n{hidden}".encode()
        extra = [Packed(name, data=content), Packed(".dockerignore", data=ignore)]
    patterns = (*parse_ignore(text), *parse_patterns([f"!{name}", "!.dockerignore"]))
    replaced = {entry.name for entry in extra}
    return BuildContext(pack(_chain(walk(folder, patterns, replaced), extra)), name)


def folder_tar(folder: str) -> Iterator[bytes]:
    """Return a tar of a folder's files, in pieces, without what its `.dockerignore` names.

    Raise NotFound, InvalidInput.
    """
    if not os.path.isdir(folder):
        raise NotFound(f"the build context {folder!r} is not a directory")
    return pack(walk(folder, parse_ignore(ignore_text(folder, "")), set()))


def single_context(content: bytes) -> BuildContext:
    """Return a context that holds nothing but a Dockerfile."""
    return BuildContext(pack([Packed(DEFAULT_DOCKERFILE, data=content)]), DEFAULT_DOCKERFILE)


def walk(folder: str, patterns: tuple[Pattern, ...], replaced: set[str]) -> Iterator[Packed]:
    """Yield the entries of a directory that the patterns do not leave out, in the order of their names."""
    matcher = IgnoreMatcher(patterns)
    yield from _walk(folder, "", matcher, matcher.top, replaced)


def _walk(folder: str, prefix: str, matcher: IgnoreMatcher, parent: Verdict, replaced: set[str]) -> Iterator[Packed]:
    with os.scandir(folder) as items:
        entries = sorted(items, key=lambda entry: entry.name)
    for entry in entries:
        name = prefix + entry.name
        verdict = matcher.match(name, parent)
        if not verdict.ignored and name not in replaced:
            yield Packed(name, entry.path, owner=ROOT)
        if entry.is_dir(follow_symlinks=False) and (not verdict.ignored or _may_return(matcher, name)):
            yield from _walk(entry.path, f"{name}/", matcher, verdict, replaced)


def _may_return(matcher: IgnoreMatcher, name: str) -> bool:
    """Return whether a `!` line could bring back something below an ignored directory."""
    for pattern in matcher.patterns:
        if pattern.keeps and (pattern.text.startswith(f"{name}/") or set("*?[\\") & set(pattern.text)):
            return True
    return False


def _chain(first: Iterator[Packed], last: list[Packed]) -> Iterator[Packed]:
    yield from first
    yield from last
