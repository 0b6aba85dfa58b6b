"""What a registry's answers mean: statuses and the specification's error codes, turned into lamina's error kinds."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import urllib3

from lamina.distribution.headers import retry_after
from lamina.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    LaminaError,
    NotFound,
    RangeInvalid,
    RateLimited,
    TooLarge,
    Unauthorized,
    Unavailable,
    Unsupported,
)
from lamina.formats.document import decode_object
from lamina.formats.reference import Reference

_KINDS: dict[int, type[LaminaError]] = {
    400: InvalidInput,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: Unsupported,
    409: Conflict,
    413: TooLarge,
    416: RangeInvalid,
    429: RateLimited,
}
_ADVICE: dict[type[LaminaError], str] = {
    Unauthorized: "Log in to the registry, or check that your account may see this repository.",
    Forbidden: "Your account is known there, but may not do this.",
    NotFound: "Check the name and the tag.",
    RateLimited: "Wait and try again, or log in for a higher limit.",
    TooLarge: "The registry takes no content of this size.",
}
_LONGEST_QUOTE = 300
_NOT_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")  # OpenSSL's reasons


def failure(method: str, url: str, status: int, headers: Any, body: bytes) -> LaminaError:
    """Return the error for an answer that is no success: what was asked, what the answer was, and what to do."""
    code, sentence = registry_says(body)
    kind = _KINDS.get(status, Unavailable if status >= 500 else InvalidInput)
    facts: dict[str, Any] = {"status": status, "url": without_secrets(url), "method": method, "code": code}
    if kind is RateLimited:
        facts["retry_after"] = retry_after(headers.get("Retry-After"))
    answer = f"{status} {sentence}".strip()
    advice = None if kind is Forbidden and sentence not in ("", code) else _ADVICE.get(kind)  # it has said why
    return kind(f"{method} {without_secrets(url)} was answered with {answer}", advice=advice, **facts)


@contextmanager
def explain_refusal(verb: str, reference: Reference) -> Iterator[None]:
    """Add to a refusal in the block what was asked of which repository, and who could change that."""
    try:
        yield
    except (Unauthorized, Forbidden) as error:
        login = f"It may not exist, or need a login to {reference.domain} that may {verb.lower()} there."
        message = f"{verb} access denied for {reference.familiar_name}: {error.message}"
        advice = login if isinstance(error, Unauthorized) else error.advice
        raise type(error)(message, advice=advice, **error.facts) from error


def registry_says(body: bytes) -> tuple[str, str]:
    """Return the first error code and the message of a registry's answer (distribution-spec, "Error Codes")."""
    try:
        first = decode_object(body, "answer")["errors"][0]
        code = str(first.get("code") or "")
        message = str(first.get("message") or "")
    except (InvalidInput, KeyError, IndexError, TypeError, AttributeError):
        return "", ""
    return code, _quotable(f"{code}: {message}" if message else code)


def connection_failure(url: str, error: Exception) -> LaminaError:
    """Return the error for a connection that failed or broke; `facts["tls"]` is True for trouble with certificates."""
    place = urlsplit(url).netloc.rpartition("@")[2]
    if (trouble := _tls_cause(error)) is not None:
        return _tls_failure(place, trouble, without_secrets(url))
    if isinstance(error, urllib3.exceptions.ProxyError):
        return Unavailable(f"The proxy for {place} did not work", advice="Check the proxy settings.", tls=False)
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.NewConnectionError
    ):
        return Unavailable(f"{place} did not answer in time", tls=False, url=without_secrets(url))
    if isinstance(error, urllib3.exceptions.NameResolutionError):
        return Unavailable(f"The name of {place} is not known", advice="Check the name and the network.", tls=False)
    if isinstance(error, urllib3.exceptions.ProtocolError):
        return Unavailable(f"The connection to {place} broke off", tls=False, url=without_secrets(url))
    return Unavailable(
        f"{place} cannot be reached",
        advice="Check the address, and that it is up.",
        tls=False,
        url=without_secrets(url),
    )


def without_secrets(url: str) -> str:
    """Return `url` as errors and logs may show it: no user, no password, no query (which may be a signature)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _tls_cause(error: BaseException | None) -> ssl.SSLError | None:
    for _ in range(5):
        if isinstance(error, ssl.SSLError):
            return error
        if error is None:
            return None
        inner = getattr(error, "original_error", None) or next(
            (argument for argument in error.args if isinstance(argument, BaseException)), None
        )
        error = inner or error.__cause__ or error.__context__
    return None


def _tls_failure(place: str, trouble: ssl.SSLError, url: str) -> LaminaError:
    if trouble.reason in _NOT_TLS:
        advice = "If it is meant to speak plain HTTP, name it as an insecure registry."
        return Unavailable(f"{place} does not speak TLS", advice=advice, tls=True, url=url)
    advice = f"Put the registry's CA in certs.d/{place}/ca.crt, or name it as an insecure registry."
    message = f"The TLS connection to {place} was not trusted: {_tls_reason(trouble)}"
    return Unavailable(message, advice=advice, tls=True, url=url)


def _tls_reason(cause: ssl.SSLError) -> str:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return cause.verify_message
    return str(cause.reason or "the handshake failed").replace("_", " ").lower()


def _quotable(text: str) -> str:
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST_QUOTE else line[:_LONGEST_QUOTE] + "…"
