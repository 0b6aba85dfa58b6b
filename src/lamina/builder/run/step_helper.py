"""A thread beside the RUN steps of a stage. While one command runs, it gives back what the last step held, and makes
the task of the next step.

Neither shows in an image, and both take as long as a short command. After a crash of the engine `container.sweep`
finds what either left, because each step has its folder before anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

from lamina.builder.console import new_id
from lamina.builder.run.command import StepTask

Make = Callable[[ExitStack], StepTask]
"""Return a task, and let the stack give it back."""


class StepHelper:
    """The helper of one stage, whose steps call it one after the other."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._giving_back: Future[None] | None = None
        self._next_id = ""
        self._next: Future[tuple[StepTask, ExitStack]] | None = None

    def next_id(self) -> str:
        """Return the ID of the next step's container."""
        return self._next_id or new_id()

    def make_ready(self, make: Callable[[str], Make], closing: ExitStack) -> None:
        """Have the next step's task made, unless there is one. `closing` ends the helper."""
        if self._next is None:
            self._next_id = new_id()
            self._next = self._started(closing).submit(_made, make(self._next_id))

    def take(self, id: str, held: ExitStack) -> StepTask | None:
        """Return the task that was made ready under this ID, which `held` gives back from now on.

        Return None where there is none, or where it could not be made: then the step makes its own, or tells why not.
        """
        if self._next is None or id != self._next_id:
            return None
        pending, self._next, self._next_id = self._next, None, ""
        if pending.cancel() or pending.exception() is not None:  # the helper is busy with the last step
            return None
        task, theirs = pending.result()
        held.enter_context(theirs)
        return task

    def give_back(self, held: ExitStack, closing: ExitStack) -> None:
        """Have `held` closed, once the step before has been given back: at most one is behind. Raise what that raised.

        `closing` ends the helper, and raises what closing the last one raises.
        """
        thread = self._started(closing)
        before, self._giving_back = self._giving_back, None
        try:
            if before is not None:
                before.result()
        finally:
            self._giving_back = thread.submit(held.close)

    def _started(self, closing: ExitStack) -> ThreadPoolExecutor:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "lamina-step-helper")
            closing.callback(self._close)
        return self._thread

    def _close(self) -> None:
        with ExitStack() as rest:
            if self._thread is not None:
                rest.callback(self._thread.shutdown)
            if self._giving_back is not None:
                rest.callback(self._giving_back.result)
            self.take(self._next_id, rest)


def _made(make: Make) -> tuple[StepTask, ExitStack]:
    with ExitStack() as held:
        task = make(held)
        return task, held.pop_all()
