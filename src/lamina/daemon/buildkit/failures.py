"""Errors on their way to BuildKit's clients and back: as codes of gRPC, and in BuildKit's words.

Rule: grpc/grpc, doc/statuscodes.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from lamina.daemon.http.answers import message_of
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
    """Return the status code of an error."""
    return _CODES.get(type(error), Code.UNKNOWN) if isinstance(error, LaminaError) else Code.INTERNAL


def error_with(code: int, message: str, *, otherwise: type[LaminaError] = Unavailable) -> LaminaError:
    """Return the kind of error that a code stands for, and `otherwise` for one that says nothing."""
    return _KINDS.get(code, otherwise)(message)


def failure_of(error: BaseException) -> str:
    """Return an error as BuildKit's clients get it. A failed command is described in BuildKit's own words."""
    if isinstance(error, CommandFailed) and "exit_code" in error.facts and "command" in error.facts:
        code = error.facts["exit_code"]
        return f'process "{error.facts["command"]}" did not complete successfully: exit code: {code}'
    return error.message if isinstance(error, LaminaError) else message_of(error)
