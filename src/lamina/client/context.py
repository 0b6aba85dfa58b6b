"""What a build request sends as its context, and a directory that the daemon reads by itself."""

from __future__ import annotations

import os

from lamina.errors import InvalidInput, NotFound
from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DEFAULT_DOCKERFILE = "Dockerfile"

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


def in_place_context(folder: str, dockerfile: str = "", content: bytes | None = None) -> BuildContext:
    """Return a directory's context for a daemon of lamina's on this machine: a name instead of the files.

    Raise what `context_tar.directory_context` does.
    """
    from urllib.parse import quote

    if not os.path.isdir(folder):
        raise NotFound(f"the build context {folder!r} is not a directory")
    name = ""
    if content is None:
        name, content = locate_dockerfile(folder, dockerfile)
    headers = {IN_PLACE_HEADER: quote(os.fsencode(os.path.realpath(folder)))}
    return BuildContext(None if content is None else iter([content]), name, headers)


def _default(folder: str) -> str:
    """Return `Dockerfile`, or `dockerfile` where only that exists."""
    path = os.path.join(folder, DEFAULT_DOCKERFILE)
    lower = os.path.join(folder, DEFAULT_DOCKERFILE.lower())
    return lower if os.path.exists(lower) and not os.path.lexists(path) else path


def locate_dockerfile(folder: str, dockerfile: str) -> tuple[str, bytes | None]:
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


def ignore_text(folder: str, dockerfile: str) -> str:
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
