"""What requests carry, decoded: JSON, queries, filters, and the credentials of registries in headers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from lamina.distribution import Credentials
from lamina.errors import Forbidden, InvalidInput, Unauthorized
from lamina.formats import go_json

T = TypeVar("T")
_BROKEN = re.compile("%(?![0-9A-Fa-f]{2}).{0,2}")


class AuthConfig(msgspec.Struct, rename="lower"):
    """Credentials as Docker's clients send them. `auth` is base64 of name:password, for clients that send only that."""

    username: str = ""
    password: str = ""
    auth: str = ""
    email: str = ""
    serveraddress: str = ""
    identitytoken: str = ""
    registrytoken: str = ""

    def credentials(self) -> Credentials | None:
        """Return the credentials, or None for an anonymous client."""
        name, password = self.username, self.password
        if self.auth and not name:
            name, _, password = _base64(self.auth).decode(errors="replace").partition(":")
        if not (name or self.identitytoken or self.registrytoken):
            return None
        return Credentials(name, password, self.identitytoken, self.registrytoken)


@contextmanager
def without_prompts() -> Iterator[None]:
    """Turn Unauthorized into Forbidden: on a 401 Docker's clients ask for a password and hide the reason."""
    try:
        yield
    except Unauthorized as error:
        raise Forbidden(error.message, advice=error.advice, **error.facts) from error


def auth_header(text: str) -> Credentials | None:
    """Return the credentials of `X-Registry-Auth`, or None for an anonymous client.

    Clients send placeholders when they have none, so a header that cannot be read means none too. Rule: moby,
    `daemon/server/router/image`, `postImagesCreate`.
    """
    try:
        return _from_header(text, AuthConfig).credentials()
    except InvalidInput:
        return None


def config_header(text: str) -> dict[str, Credentials]:
    """Return the credentials of `X-Registry-Config`, by registry. Empty ones are left out.

    A header that cannot be read holds none. Rule: moby, `daemon/server/router/build`, `postBuild`.
    """
    try:
        entries = _from_header(text, dict[str, AuthConfig])
        return {name: credentials for name, auth in entries.items() if (credentials := auth.credentials()) is not None}
    except InvalidInput:
        return {}


def _from_header(text: str, type: type[T]) -> T:
    """Return a header's JSON in base64. An empty one and null are an empty object. Raise InvalidInput."""
    raw = _base64(text)
    document = go_json.parse(raw) if raw else None
    return go_json.convert({} if document is None else document, type)


def _base64(text: str) -> bytes:
    """Decode base64. Docker writes the URL-safe alphabet; both alphabets and missing padding are accepted."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput(f"credentials are not base64: {error}") from error


def parse_filters(text: str) -> dict[str, list[str]]:
    """Return the filters. Raise InvalidInput unless it is an object of lists of text, or of objects of booleans."""
    if not text:
        return {}
    try:
        filters = msgspec.json.decode(text, type=dict[str, list[str] | dict[str, bool]])
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidInput(f"invalid filter: {error}") from error
    return {name: [v for v in values if isinstance(values, list) or values[v]] for name, values in filters.items()}


def check_query(raw: str) -> None:
    """Raise InvalidInput for a semicolon, or for a percent sign without two hex digits behind it."""
    for pair in raw.split("&"):
        if ";" in pair:
            raise InvalidInput("invalid semicolon separator in query")
        for text in pair.partition("="):
            if broken := _BROKEN.search(text):
                raise InvalidInput(f"invalid URL escape {json.dumps(broken[0])}")
