"""The stages of a build beside each other, each in a thread of its own.

What they tell still comes stage by stage, as if one had been built after the other.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from contextvars import copy_context
from dataclasses import replace
from functools import partial

from lamina.builder.build_run import BuildRun
from lamina.builder.run.step_helper import StepHelper
from lamina.builder.stage import StageState
from lamina.cancellation import Cancellation
from lamina.progress import Message, Output, Report

_AT_ONCE = 8
_WAITING = 8 << 20  # characters that all stages may tell before their turn; then they wait
_GLANCE = 0.25  # seconds between looks whether the build has been cancelled


class Turns:
    """Pass on what stages tell at once: the first stage's messages at once, another's when its turn has come."""

    def __init__(self, count: int, take: Report, cancellation: Cancellation) -> None:
        self._take = take
        self._cancellation = cancellation
        self._change = threading.Condition()
        self._waiting: list[list[Message]] = [[] for _ in range(count)]
        self._sizes = [0] * count
        self._size = 0  # of all that waits
        self._turn = 0
        self._failed = False
        self._ended: set[int] = set()

    def hear(self, index: int, message: Message) -> None:
        """Take a message of a stage. Raise Cancelled while it waits for room."""
        size = len(message.text) if isinstance(message, Output) else 100
        with self._change:
            while index > self._turn and self._size + size > _WAITING:
                self._change.wait(_GLANCE)
                self._cancellation.check()
            if index > self._turn:
                self._waiting[index].append(message)
                self._sizes[index] += size
                self._size += size
            elif not self._failed:
                self._take(message)

    def end(self, index: int) -> None:
        """Let the next stage have its turn, once all in front of it have ended."""
        with self._change:
            self._ended.add(index)
            while self._turn in self._ended:
                self._go_on()

    def fail(self, index: int) -> None:
        """Pass on what was told up to the stage that failed, and nothing more."""
        with self._change:
            while self._turn < index:
                self._go_on()
            self._turn = len(self._waiting)
            self._failed = True

    def _go_on(self) -> None:
        self._turn += 1
        if self._turn < len(self._waiting):
            for message in self._waiting[self._turn]:
                self._take(message)
            self._waiting[self._turn] = []
            self._size -= self._sizes[self._turn]
        self._change.notify_all()


def build_stages(
    work: BuildRun, build: Callable[[BuildRun], StageState], needed: Callable[[int], Collection[int]]
) -> None:
    """Have `build` build the last stage and those that it needs, several at once where there are several.

    `needed` returns a stage and those that it is known to need. One that only shows to be needed when a trigger of a
    base is read is built then. When one fails the others are cancelled. Raise the error of the one that failed first,
    and Cancelled.
    """
    count = len(work.stages.names)
    if count == 1:
        work.stages.claim(0)
        work.stages.run(0, lambda: build(work))
        return
    with work.cancellation.child() as cancellation:
        _Building(work, build, needed, cancellation).run_all(sorted(needed(count - 1)))


class _Building:
    """The stages of one build, built at once and told one after the other. `cancellation` ends all of them."""

    def __init__(
        self,
        work: BuildRun,
        build: Callable[[BuildRun], StageState],
        needed: Callable[[int], Collection[int]],
        cancellation: Cancellation,
    ) -> None:
        self._work = work
        self._build = build
        self._needed = needed
        self._cancellation = cancellation
        self._stages = work.stages.built_by(self._run_on_demand)
        self._turns = Turns(len(work.stages.names), work.console.take, cancellation)
        self._failures: list[tuple[int, BaseException]] = []

    def run_all(self, chosen: Sequence[int]) -> None:
        """Build the chosen stages. Raise the error of the one that failed first, and Cancelled."""
        for index in set(range(len(self._stages.names))) - set(chosen):
            self._turns.end(index)
        with ThreadPoolExecutor(min(len(chosen), _AT_ONCE), thread_name_prefix="lamina-stage") as pool:
            # The context has the build's lease: what a stage makes is held by it.
            futures = [pool.submit(copy_context().run, self._run, index) for index in chosen]
            try:
                wait(futures)
            except BaseException:  # Ctrl-C in the thread that waits
                self._cancellation.cancel("interrupted")
                raise
        if self._failures:
            index, error = self._failures[0]
            self._turns.fail(index)
            self._work.cancellation.check()
            raise error

    def _run(self, index: int) -> None:
        """Build a stage, unless somebody does already, and note its failure."""
        if self._stages.claim(index):
            with suppress(BaseException):  # it is among the failures
                self._stages.run(index, partial(self._built, index))
                self._turns.end(index)

    def _built(self, index: int) -> StageState:
        console = self._work.console.part(partial(self._turns.hear, index))
        part = replace(
            self._work,
            stage=index,
            stages=self._stages,
            console=console,
            cancellation=self._cancellation,
            mount_points=[],
            networks={},
            helper=StepHelper(),
        )
        try:
            return self._build(part)
        except BaseException as error:  # noted before those that wait for this stage hear of it
            self._failures.append((index, error))
            self._cancellation.cancel("another stage has failed")
            console.part_failed(error)
            raise

    def _run_on_demand(self, index: int) -> None:
        for below in sorted(self._needed(index)):
            self._run(below)
