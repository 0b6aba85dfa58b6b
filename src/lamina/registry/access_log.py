"""The access log: one JSON object a line, without anything secret (no headers, no queries)."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from lamina.formats.document import encode
from lamina.formats.times import format_time
from lamina.progress import ignore
from lamina.registry.config import Config

_log = logging.getLogger(__name__)
Write = Callable[[dict[str, Any]], None]


class AccessLog:
    """Appends to a file, or writes to standard error for `-`. `close` may be called twice."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._fd = self._open()

    def __call__(self, record: dict[str, Any]) -> None:
        stamp = format_time(time.time_ns(), digits=3)
        os.write(self._fd, encode({"time": stamp} | record) + b"\n")

    def reopen(self) -> None:
        """Open the file anew after it was renamed. If that fails, keep writing to the old file."""
        old = self._fd
        try:
            self._fd = self._open()
        except OSError as error:
            _log.warning("the access log cannot be opened again: %s", error)
            return
        self._drop(old)

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        self._drop(fd)

    def _open(self) -> int:
        if self._place == "-":
            return sys.stderr.fileno()
        return os.open(self._place, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def _drop(self, fd: int) -> None:
        if fd >= 0 and self._place != "-":
            os.close(fd)


def open_log(config: Config, closing: AsyncExitStack) -> Write:
    """Open the log that the configuration asks for. `closing` closes it in the end."""
    if config.access_log is None:
        return ignore
    log = AccessLog(config.access_log)
    closing.callback(log.close)
    return log
