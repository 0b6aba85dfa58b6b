"""What long work tells, as Docker's JSON messages: one object a line."""

from __future__ import annotations

from typing import Any

from lamina.daemon.http.errors import message_of
from lamina.errors import CommandFailed
from lamina.formats.sizes import human_size
from lamina.progress import Aux, Message, Output, Status

RED, PLAIN = "\x1b[91m", "\x1b[0m"  # around errors of a build, as dockerd sends them


def message_line(message: Message) -> dict[str, Any]:
    """A message as Docker's jsonmessage."""
    match message:
        case Output(text, error):
            return {"stream": f"{RED}{text}{PLAIN}" if error else text}
        case Aux(value):
            return {"aux": value}
        case Status():
            return _status_line(message)


def _status_line(status: Status) -> dict[str, Any]:
    line: dict[str, Any] = {"status": status.status}
    detail = {
        name: value for name, value in (("current", status.current), ("total", status.total)) if value is not None
    }
    if status.id is not None or detail:
        line["progressDetail"] = detail
    if status.current is not None:
        line["progress"] = _bar(status.current, status.total)
    if status.id is not None:
        line["id"] = status.id
    return line


def _bar(current: int, total: int | None) -> str:
    """The bar that Docker's clients print where they do not draw their own."""
    if not total:
        return human_size(current)
    filled = min(50, current * 50 // total)
    arrow = "=" * filled + (">" if filled < 50 else "")
    return f"[{arrow:<50}] {human_size(current):>8}/{human_size(total)}"


def error_line(error: BaseException) -> dict[str, Any]:
    """An error in the middle of a stream; a failed command's exit code goes along."""
    message = message_of(error)
    detail: dict[str, Any] = {"message": message}
    if isinstance(error, CommandFailed) and "exit_code" in error.facts:
        detail = {"code": error.facts["exit_code"], "message": message}
    return {"errorDetail": detail, "error": message}
