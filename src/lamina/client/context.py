"""A directory as a build context: a tar of its files, without what `.dockerignore` leaves out."""

from __future__ import annotations

import hashlib
import os

from lamina.client.pack import Packed, pack
from lamina.dockerfile.ignore import IgnoreMatcher, Pattern, Verdict, parse_ignore, parse_patterns
from lamina.errors import InvalidInput, NotFound
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_DOCKERFILE = "Dockerfile"
ROOT = (0, 0)


# lamina's daemon reads a directory in place, with our permissions, where this header names it (percent-encoded).
# A body, where there is one, is then the Dockerfile to use instead of a file.
IN_PLACE_HEADER = "X-Lamina-Context"


class BuildContext(NamedTuple):
    """What a build request sends: a tar in chunks, and the name of the Dockerfile in it.

    With IN_PLACE_HEADER among `headers`, `chunks` are the Dockerfile, or None where it lies in the directory.
    """

    chunks: Iterator[bytes] | None
    dockerfile: str
    headers: Mapping[str, str] = {}


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
        name, content = _locate(folder, dockerfile)
    text = _ignore_text(folder, dockerfile if content is None else "")
    extra: list[Packed] = []
    if content is not None:
        name = f".dockerfile.{hashlib.sha256(content).hexdigest()[:16]}"
        hidden = f"{name}\n" if os.path.exists(os.path.join(folder, ".dockerignore")) else f"{name}\n.dockerignore\n"
        ignore = f"{text}\n{hidden}".encode()
        extra = [Packed(name, data=content), Packed(".dockerignore", data=ignore)]
    patterns = (*parse_ignore(text), *parse_patterns([f"!{name}", "!.dockerignore"]))
    replaced = {entry.name for entry in extra}
    return BuildContext(pack(_chain(walk(folder, patterns, replaced), extra)), name)


def in_place_context(folder: str, dockerfile: str = "", content: bytes | None = None) -> BuildContext:
    """Return what `directory_context` does, for a daemon of lamina's on this machine: a name instead of the files.

    Raises the same errors.
    """
    from urllib.parse import quote

    if not os.path.isdir(folder):
        raise NotFound(f"the build context {folder!r} is not a directory")
    name = ""
    if content is None:
        name, content = _locate(folder, dockerfile)
    headers = {IN_PLACE_HEADER: quote(os.fsencode(os.path.realpath(folder)))}
    return BuildContext(None if content is None else iter([content]), name, headers)


def folder_tar(folder: str) -> Iterator[bytes]:
    """Return a tar of a folder's files, in pieces, without what its `.dockerignore` names.

    Raise NotFound, InvalidInput.
    """
    if not os.path.isdir(folder):
        raise NotFound(f"the build context {folder!r} is not a directory")
    return pack(walk(folder, parse_ignore(_ignore_text(folder, "")), set()))


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


def _default(folder: str) -> str:
    """Return `Dockerfile`, or `dockerfile` where only that exists."""
    path = os.path.join(folder, DEFAULT_DOCKERFILE)
    lower = os.path.join(folder, DEFAULT_DOCKERFILE.lower())
    return lower if os.path.exists(lower) and not os.path.lexists(path) else path


def _locate(folder: str, dockerfile: str) -> tuple[str, bytes | None]:
    """Return the Dockerfile's name inside the context, or its content where it lies outside."""
    path = os.path.abspath(dockerfile or _default(folder))
    if not os.path.isfile(path):
        raise NotFound(f"the Dockerfile {dockerfile or path!r} does not exist", advice="Name it with -f")
    root = os.path.realpath(folder)
    inside = os.path.relpath(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)), root)
    if inside.startswith("../") or os.path.islink(path):
        with open(path, "rb") as file:
            return "", file.read()
    return inside, None


def _ignore_text(folder: str, dockerfile: str) -> str:
    """Return the text of `<Dockerfile>.dockerignore` where it exists, else of the context's `.dockerignore`."""
    own = os.path.abspath(dockerfile or _default(folder))
    for path in (f"{own}.dockerignore", os.path.join(folder, ".dockerignore")):
        try:
            with open(path, encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInput(f"cannot read {path} ({error})") from error
    return ""
