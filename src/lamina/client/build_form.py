"""The body of a build that brings secrets or named contexts beside its context: a form of parts.

Rule: RFC 7578, and docs/build-api.md for the names of the parts.
"""

from __future__ import annotations

import secrets as randomness

from lamina.errors import InvalidInput
from lamina.formats.text import printable
from lamina.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_END = b"\r\n"


def build_form(
    context: Iterator[bytes] | None, secrets: Mapping[str, bytes], contexts: Mapping[str, Iterator[bytes]]
) -> tuple[Iterator[bytes], str]:
    """Return the body in pieces and its content type. Raise InvalidInput for a name that no part can have."""
    for name in (*secrets, *contexts):
        if '"' in name or printable(name) != name:
            raise InvalidInput(f"a secret or a context cannot be called {name!r}")
    boundary = randomness.token_hex(16)
    parts = [(f"secret:{id}", iter((content,))) for id, content in secrets.items()]
    parts += [(f"context:{name}", tar) for name, tar in contexts.items()]
    parts += [("context", context)] if context is not None else []
    return _pieces(boundary.encode(), parts), f"multipart/form-data; boundary={boundary}"


def _pieces(boundary: bytes, parts: list[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    for name, content in parts:
        yield b"--" + boundary + _END
        yield f'Content-Disposition: form-data; name="{name}"'.encode() + _END + _END
        yield from content
        yield _END
    yield b"--" + boundary + b"--" + _END
