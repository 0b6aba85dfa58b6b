"""The daemon's progress lines as the values of `lamina.progress`, and its late errors as errors."""

from __future__ import annotations

import base64
import json

from lamina.errors import CommandFailed
from lamina.light import TYPE_CHECKING, Mapping
from lamina.progress import Aux, Message, Output, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from lamina.credentials import Credentials

    Auth = Mapping[str, str]  # username and password, or identitytoken, and serveraddress

_STATUS = 256  # codes from here on are no exit codes: some daemons put an HTTP status there
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


def messages(lines: Iterable[Mapping[str, Any]]) -> Iterator[Message]:
    """Yield the progress of a build, pull, push or load. Raise CommandFailed in the daemon's words if it reports one.

    `exit_code` in the error's facts is that of a failed RUN command, else 1. lamina's daemon also names the command,
    its last output and the lines of the Dockerfile.
    """
    for line in lines:
        if "error" in line or "errorDetail" in line:
            detail = line.get("errorDetail") or {}
            text = str(detail.get("message") or line.get("error"))
            code = int(detail.get("code") or 1)
            facts = {**(detail.get("facts") or {}), "exit_code": code if code < _STATUS else 1, "from_stream": True}
            raise CommandFailed(text, **facts)
        if "stream" in line:
            yield _output(str(line["stream"]))
        elif "aux" in line:
            yield Aux(line["aux"])
        elif "status" in line:
            yield _status(line)


def _output(text: str) -> Output:
    """Return the output, as an error without its colour if it is red, as dockerd writes the errors of a build."""
    if text.startswith(_RED) and text.endswith(_PLAIN):
        return Output(text[len(_RED) : -len(_PLAIN)], error=True)
    return Output(text)


def _status(line: Mapping[str, Any]) -> Status:
    detail = line.get("progressDetail") or {}
    return Status(str(line["status"]), line.get("id"), detail.get("current"), detail.get("total"))


def auth_of(server: str, credentials: Credentials) -> Auth:
    """Return Docker's AuthConfig of credentials for a registry; what is empty is left out."""
    from lamina.credentials import registry_key

    fields = {
        "username": credentials.username,
        "password": credentials.password,
        "identitytoken": credentials.identity_token,
        "registrytoken": credentials.registry_token,
    }
    return {**{name: text for name, text in fields.items() if text}, "serveraddress": registry_key(server)}


def auth_header(reference: str, credentials: Credentials | None) -> dict[str, str]:
    """Return the X-Registry-Auth header, which Docker's clients send even where they know no credentials."""
    auth = auth_of(registry_of(reference), credentials) if credentials else {}
    return {"X-Registry-Auth": encode_auth(auth)}


def registry_of(reference: str) -> str:
    """Return the registry that a reference names: what stands before the first slash, where it looks like a host."""
    first, slash, _ = reference.partition("/")
    is_host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    return first if is_host else "docker.io"


def encode_auth(value: Mapping[str, Any]) -> str:
    """Return JSON in URL-safe base64, as the registry headers have it."""
    return base64.urlsafe_b64encode(json.dumps(dict(value)).encode()).decode()
