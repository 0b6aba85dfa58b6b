"""The error codes of the distribution-spec ("Error Codes"), and the answers a server gives for lamina's error kinds."""

from __future__ import annotations

from typing import Any

from lamina.errors import (
    Conflict,
    Corrupt,
    Forbidden,
    InvalidInput,
    LaminaError,
    NoSpace,
    NotFound,
    RangeInvalid,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unsupported,
    outcome,
)
from lamina.formats.document import encode

BLOB_UNKNOWN = "BLOB_UNKNOWN"
BLOB_UPLOAD_UNKNOWN = "BLOB_UPLOAD_UNKNOWN"
DIGEST_INVALID = "DIGEST_INVALID"
MANIFEST_BLOB_UNKNOWN = "MANIFEST_BLOB_UNKNOWN"
MANIFEST_INVALID = "MANIFEST_INVALID"
MANIFEST_UNKNOWN = "MANIFEST_UNKNOWN"
NAME_INVALID = "NAME_INVALID"
NAME_UNKNOWN = "NAME_UNKNOWN"
SIZE_INVALID = "SIZE_INVALID"
UNAUTHORIZED = "UNAUTHORIZED"
DENIED = "DENIED"
UNSUPPORTED = "UNSUPPORTED"
TOOMANYREQUESTS = "TOOMANYREQUESTS"
RANGE_INVALID = "RANGE_INVALID"
TAG_INVALID = "TAG_INVALID"
TAG_IMMUTABLE = "DENIED"
UNKNOWN = "UNKNOWN"
UNAVAILABLE = "UNAVAILABLE"

_CODES: dict[type[LaminaError], str] = {
    InvalidInput: MANIFEST_INVALID,
    Unauthorized: UNAUTHORIZED,
    Forbidden: DENIED,
    NotFound: NAME_UNKNOWN,
    Conflict: DENIED,
    TooLarge: SIZE_INVALID,
    RangeInvalid: RANGE_INVALID,
    RateLimited: TOOMANYREQUESTS,
    Unsupported: UNSUPPORTED,
    NoSpace: UNAVAILABLE,
    Unavailable: UNAVAILABLE,
    Corrupt: UNKNOWN,
}
_STATUSES: dict[type[LaminaError], int] = {Unsupported: 405}  # 501 would be retried; the spec asks for 405


def status_of(error: LaminaError) -> int:
    """Return the HTTP status for an error; `facts["status"]` wins."""
    status = error.facts.get("status")
    return status if isinstance(status, int) else _STATUSES.get(type(error)) or outcome(error).http_status


def body_of(error: LaminaError) -> bytes:
    """Return the specification's JSON for an error; `facts["code"]` names the code, `facts["detail"]` goes along."""
    code = error.facts.get("code") or _CODES.get(type(error), UNKNOWN)
    fault: dict[str, Any] = {"code": code, "message": str(error)}
    if (detail := error.facts.get("detail")) is not None:
        fault["detail"] = detail
    return encode({"errors": [fault]})
