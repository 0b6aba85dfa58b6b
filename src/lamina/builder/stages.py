"""The stages of a build by number and name: one that uses another waits until it is built."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from lamina.builder.stage import StageState
from lamina.errors import Cancelled
from lamina.progress import ignore


class _Board:
    """What is known of the stages by number: who builds one, and its state once it is built."""

    def __init__(self, count: int) -> None:
        self.states = [Future[StageState]() for _ in range(count)]
        self.claimed: set[int] = set()
        self.guard = threading.Lock()


class Stages:
    """The stages of one build by number, and their states once they are built. Thread-safe.

    A stage uses only those in front of it, so waiting for one always ends. `on_demand` builds a stage that somebody
    asks for, if nobody has begun to build it.
    """

    def __init__(self, names: Sequence[str], on_demand: Callable[[int], None] = ignore) -> None:
        self.names = tuple(names)
        self._on_demand = on_demand
        self._board = _Board(len(self.names))

    def built_by(self, on_demand: Callable[[int], None]) -> Stages:
        """Return the same stages for those who have `on_demand` to build what they ask for."""
        stages = Stages(self.names, on_demand)
        stages._board = self._board
        return stages

    def named(self, name: str, *, before: int) -> StageState | None:
        """Wait for the last stage called `name` among the first `before` and return it; None when there is none.

        Raise Cancelled when it has failed.
        """
        if not name or name not in self.names[:before]:
            return None
        return self.at(before - 1 - self.names[:before][::-1].index(name))

    def at(self, index: int) -> StageState:
        """Wait for a stage and return it. Raise Cancelled when it has failed."""
        self._on_demand(index)
        try:
            return self._board.states[index].result()
        except Exception:  # whoever built it tells why
            raise Cancelled("a stage that this one uses has failed") from None

    def built(self) -> list[StageState]:
        """Wait for the stages that were begun and return them."""
        return [self.at(index) for index in sorted(self._board.claimed)]

    def claim(self, index: int) -> bool:
        """Return whether the caller is the first to build a stage, and so the one who does."""
        with self._board.guard:
            is_first = index not in self._board.claimed
            self._board.claimed.add(index)
            return is_first

    def run(self, index: int, build: Callable[[], StageState]) -> None:
        """Build a stage that was claimed, and let those go on that wait for it. Raise what `build` raises."""
        try:
            self._board.states[index].set_result(build())
        except BaseException as error:
            self._board.states[index].set_exception(error)
            raise
