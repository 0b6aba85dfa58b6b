"""Errors on their way to BuildKit's clients and back: as codes of gRPC, and in BuildKit's words.

Rule: grpc/grpc, doc/statuscodes.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

import msgspec

from lamina.builder.graph.vertex import Location
from lamina.daemon.buildkit.messages.control import Definition
from lamina.daemon.buildkit.messages.source import Detail, SourceInfo
from lamina.daemon.http.answers import message_of
from lamina.dockerfile.suggest import with_guess
from lamina.errors import (
    Cancelled,
    CommandFailed,
    Conflict,
    Forbidden,
    InvalidInput,
    LaminaError,
    NotFound,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unsupported,
)


class Code(IntEnum):
    """The status codes of gRPC (doc/statuscodes.md) that are sent or understood here."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    UNAUTHENTICATED = 16


_CODES: Mapping[type[LaminaError], Code] = {
    InvalidInput: Code.INVALID_ARGUMENT,
    Unauthorized: Code.UNAUTHENTICATED,
    Forbidden: Code.PERMISSION_DENIED,
    NotFound: Code.NOT_FOUND,
    Conflict: Code.ALREADY_EXISTS,
    TooLarge: Code.RESOURCE_EXHAUSTED,
    Unsupported: Code.UNIMPLEMENTED,
    Unavailable: Code.UNAVAILABLE,
    Cancelled: Code.CANCELLED,
    CommandFailed: Code.UNKNOWN,
}
_KINDS: Mapping[int, type[LaminaError]] = {
    code.value: kind for kind, code in _CODES.items() if kind is not CommandFailed
}


def code_of(error: BaseException) -> Code:
    """Return the status code of an error. BuildKit has none for mistakes in a Dockerfile: clients would show it."""
    if isinstance(error, InvalidInput) and not error.facts.keys().isdisjoint(("line", "missing_source")):
        return Code.UNKNOWN
    return _CODES.get(type(error), Code.UNKNOWN) if isinstance(error, LaminaError) else Code.INTERNAL


def error_with(
    code: int, message: str, *, otherwise: type[LaminaError] = Unavailable, details: tuple[Detail, ...] = ()
) -> LaminaError:
    """Return the kind of error that a code stands for, and `otherwise` for one that says nothing."""
    return _KINDS.get(code, otherwise)(message, details=details)


def details_of(error: BaseException) -> tuple[Detail, ...]:
    """Return the facts about an error that BuildKit's clients show: the lines of the Dockerfile, the failed vertex.

    Rule: moby/buildkit, solver/errdefs. An error that came from a client keeps its own.
    """
    if not isinstance(error, LaminaError):
        return ()
    facts = error.facts
    details = list(facts.get("details", ()))
    file, first = facts.get("source"), facts.get("line")
    if isinstance(file, SourceInfo) and first:
        ranges = [{"start": {"line": n}, "end": {"line": n}} for n in range(first, facts.get("last_line", first) + 1)]
        info: dict[str, object] = {"filename": file.filename, "data": file.data, "language": file.language}
        if file.definition:
            info["definition"] = {"def": Definition.decode(file.definition).operations}
        details.append(_detail("Source", {"info": info, "ranges": ranges}))
    details += [_detail("Source", _source(location)) for location in facts.get("locations", ())]
    if "vertex" in facts:
        details.append(_detail("Vertex", {"digest": facts["vertex"]}))
    if "subrequest" in facts:
        details.append(_detail("Subrequest", {"name": facts["subrequest"]}))
    if "frontend_capability" in facts:
        details.append(_detail("FrontendCap", {"name": facts["frontend_capability"]}))
    return tuple(details)


def _source(location: Location) -> dict[str, object]:
    """Return a place in a client's file."""
    info: dict[str, object] = {
        "filename": location.file_name,
        "data": location.text,
        "language": location.language,
    }
    if location.origin:
        info["definition"] = {"def": location.origin}
    ranges = [{"start": {"line": first}, "end": {"line": last}} for first, last in location.lines]
    return {"info": info, "ranges": ranges}


def _detail(name: str, value: object) -> Detail:
    return Detail(f"github.com/moby/buildkit/errdefs.{name}+json", msgspec.json.encode(value))


def failure_of(error: BaseException) -> str:
    """Return an error as BuildKit's clients get it. A failed command is described in BuildKit's own words."""
    if isinstance(error, CommandFailed) and "exit_code" in error.facts and "command" in error.facts:
        code = error.facts["exit_code"]
        return f'process "{error.facts["command"]}" did not complete successfully: exit code: {code}'
    if not isinstance(error, LaminaError):
        return message_of(error)
    message = error.message
    if "missing_source" in error.facts:
        path = error.facts["missing_source"]
        message = f'failed to compute cache key: failed to calculate checksum of ref context: "/{path}": not found'
    if message.startswith("failed to reach build target") and "target" in error.facts:
        message = f'target stage "{error.facts["target"]}" could not be found'
    fix = error.facts.get("fix")  # the advice without the Dockerfile's lines, which clients show by themselves
    if not fix:
        return message
    message, rest = with_guess(message, fix)
    return f"{message}. {rest}" if rest else message
