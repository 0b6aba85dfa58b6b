"""The closed set of error kinds, and the one table that maps them to HTTP statuses and exit codes.

Every error lamina raises on purpose is one of these kinds. An error carries a sentence for people (`message`),
optional advice on what to do next (`advice`), and facts as attributes (`facts`): code decides by kind and facts,
never by the text.
"""

from __future__ import annotations

from lamina.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any


class LaminaError(Exception):
    """Base of all kinds; never raised itself.

    `message` is one clear sentence without a final full stop. `advice`, where there is any, is a second sentence
    that tells how to mend it. Keyword arguments become `facts` (for example `digest=…`, `line=12`).
    """

    def __init__(self, message: str, *, advice: str | None = None, **facts: Any) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.facts: dict[str, Any] = facts

    def __str__(self) -> str:
        return f"{self.message}. {self.advice}" if self.advice else self.message


class InvalidInput(LaminaError):
    """What was given cannot be understood or breaks a rule: a bad flag, file, header, archive, name."""


class Unauthorized(LaminaError):
    """The other side wants to know who asks, or did not accept the credentials."""


class Forbidden(LaminaError):
    """Who asks is known, and may not do this."""


class NotFound(LaminaError):
    """The named thing does not exist."""


class Conflict(LaminaError):
    """The thing exists or is in use, so this cannot be done now: a name taken, an image held by a container."""


class NotModified(LaminaError):
    """The thing is already in the state that was asked for, such as starting a running container."""


class TooLarge(LaminaError):
    """A limit on size, number or depth was passed."""


class RangeInvalid(LaminaError):
    """A byte range does not fit what is there."""


class RateLimited(LaminaError):
    """A remote asks us to come back later; `facts["retry_after"]` is in seconds where it said so."""


class Corrupt(LaminaError):
    """Bytes are not what their digest or format says: `facts` hold what was expected and what was found."""


class NoSpace(LaminaError):
    """The disk, or a quota on it, is full."""


class Unsupported(LaminaError):
    """Understood, and not something this engine, kernel or version can do."""


class Unavailable(LaminaError):
    """Something outside is missing or does not answer: a registry, the network, a runtime program."""


class CommandFailed(LaminaError):
    """A command run on the user's behalf ended badly; `facts["exit_code"]` holds its status."""


class Cancelled(LaminaError):
    """The caller went away or asked to stop before the work was done."""


class Internal(LaminaError):
    """A promise inside lamina was broken: a bug."""


class Outcome(NamedTuple):
    """How a kind of error shows outside: an HTTP status and a process exit code."""

    http_status: int
    exit_code: int


OUTCOMES: dict[type[LaminaError], Outcome] = {
    InvalidInput: Outcome(400, 125),
    Unauthorized: Outcome(401, 125),
    Forbidden: Outcome(403, 125),
    NotFound: Outcome(404, 125),
    Conflict: Outcome(409, 125),
    NotModified: Outcome(304, 0),
    TooLarge: Outcome(413, 125),
    RangeInvalid: Outcome(416, 125),
    RateLimited: Outcome(429, 125),
    Corrupt: Outcome(500, 125),
    NoSpace: Outcome(507, 125),
    Unsupported: Outcome(501, 125),
    Unavailable: Outcome(503, 125),
    CommandFailed: Outcome(500, 1),
    Cancelled: Outcome(499, 130),
    Internal: Outcome(500, 125),
}


def outcome(error: BaseException) -> Outcome:
    """Return the status and exit code for `error`. Anything but a LaminaError counts as Internal."""
    return OUTCOMES.get(type(error), OUTCOMES[Internal]) if isinstance(error, LaminaError) else OUTCOMES[Internal]
