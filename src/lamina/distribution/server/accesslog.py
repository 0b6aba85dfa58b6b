"""The access log: one JSON object a line, without anything secret (no headers, no queries)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

from lamina.distribution.server.config import Config
from lamina.formats.document import encode

Write = Callable[[dict[str, Any]], None]


def nothing(record: dict[str, Any]) -> None:
    """No log."""


def open_log(config: Config, closing: AsyncExitStack) -> Write:
    """The log that the configuration asks for: a file to append to, or `-` for standard error.

    `closing` closes the file in the end.
    """
    if config.access_log is None:
        return nothing
    fd = sys.stderr.fileno()
    if config.access_log != "-":
        fd = os.open(config.access_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        closing.callback(os.close, fd)

    def write(record: dict[str, Any]) -> None:
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        os.write(fd, encode({"time": stamp} | record) + b"\n")

    return write
