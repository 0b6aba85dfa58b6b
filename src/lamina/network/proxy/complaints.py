"""Writing to the log once about what happens ten thousand times."""

from __future__ import annotations

import logging

_LOG = logging.getLogger("lamina.network.proxy")


class Complaints:
    """Complaints by kind: the first is logged at once, those of the next `quiet` seconds as one number."""

    def __init__(self, quiet: float) -> None:
        self._quiet = quiet
        self._kinds: dict[str, tuple[float, int]] = {}  # when it was logged last, and how many came since

    def add(self, kind: str, now: float) -> None:
        """Complain. `kind` is a whole sentence; it must not hold what strangers choose, such as their addresses."""
        last, more = self._kinds.get(kind, (-self._quiet, 0))
        if now - last < self._quiet:
            self._kinds[kind] = (last, more + 1)
            return
        _LOG.warning("%s", kind if not more else f"{kind} ({more + 1} times)")
        self._kinds[kind] = (now, 0)

    def sweep(self, now: float) -> None:
        """Log the numbers whose time has come, and forget what has not happened since."""
        for kind, (last, more) in list(self._kinds.items()):
            if now - last >= self._quiet:
                if more:
                    _LOG.warning("%s (%d times more)", kind, more)
                del self._kinds[kind]
