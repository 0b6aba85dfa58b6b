"""What goes on beside a RUN: the last step is given back, and the next one's task is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import pytest

from lamina.api.build import BuildRequest
from lamina.builder.builder import build
from lamina.builder.console import short
from lamina.builder.context.source import from_dockerfile
from lamina.builder.run.command import StepTask
from lamina.builder.run.step_helper import StepHelper
from lamina.errors import CommandFailed, NoSpace
from lamina.progress import Message, Output, Report
from support.container_workshop import shop_with
from support.waiting import eventually
from support.workshop import Workshop

OFFLINE = BuildRequest(network="none")


@pytest.fixture
def shop(data_root: Path, busybox_tar: Path) -> Iterator[Workshop]:
    with shop_with(data_root, busybox_tar, "erofs") as workshop:
        yield workshop


def tasks(data_root: Path) -> set[str]:
    """The IDs of the tasks that have a monitor."""
    return {path.parent.name for path in (data_root / "tasks").glob("*/monitor.sock")}


class Console:
    """Keeps what a build says, and notes the tasks that are there when `word` is said."""

    def __init__(self, data_root: Path, word: str, expected: int) -> None:
        self.text = ""
        self.tasks: set[str] = set()
        self._data_root = data_root
        self._word = word
        self._expected = expected

    def hear(self, message: Message) -> None:
        if isinstance(message, Output):
            self.text += message.text
            if message.text == self._word:
                eventually(lambda: len(tasks(self._data_root)) >= self._expected)
                self.tasks = tasks(self._data_root)

    @property
    def containers(self) -> list[str]:
        return [line.split()[-1] for line in self.text.splitlines() if "Running in" in line]


def run(shop: Workshop, text: str, report: Report) -> None:
    with from_dockerfile(f"FROM base\n{text}\n".encode()) as context:
        build(context, OFFLINE, shop.rooms, report)


@pytest.mark.root
def test_the_next_step_runs_in_the_task_that_waits_while_this_one_runs(shop: Workshop, data_root: Path) -> None:
    console = Console(data_root, "one\n", 2)
    run(shop, "RUN echo one\nENV a=b\nRUN echo two", console.hear)
    one, _, two = console.containers  # ENV has a container by name only
    assert {short(id) for id in console.tasks} == {one, two}
    assert tasks(data_root) == set()


@pytest.mark.root
def test_the_last_step_has_nobody_wait_behind_it(shop: Workshop, data_root: Path) -> None:
    console = Console(data_root, "two\n", 1)
    run(shop, "RUN --mount=type=tmpfs,target=/t echo one\nRUN echo two", console.hear)
    assert {short(id) for id in console.tasks} == {console.containers[1]}


@pytest.mark.root
def test_a_task_that_waits_goes_with_a_build_that_fails(shop: Workshop, data_root: Path) -> None:
    console = Console(data_root, "one\n", 2)
    with pytest.raises(CommandFailed):
        run(shop, "RUN echo one; exit 3\nRUN echo two", console.hear)
    assert len(console.tasks) == 2
    assert tasks(data_root) == set()


def held(callback: Callable[[], object]) -> ExitStack:
    stack = ExitStack()
    stack.callback(callback)
    return stack


def test_a_step_is_given_back_while_the_next_one_runs_and_at_most_one_is_behind() -> None:
    helper, first, second = StepHelper(), Event(), Event()
    with ExitStack() as closing, ThreadPoolExecutor(1) as stage:
        helper.give_back(held(first.wait), closing)
        behind = stage.submit(helper.give_back, held(second.set), closing)
        assert not behind.done()
        first.set()
        behind.result()
    assert second.is_set()


def test_the_end_of_a_build_waits_for_the_last_step_and_tells_of_its_failure() -> None:
    def fail() -> None:
        raise NoSpace("no room")

    helper = StepHelper()
    with pytest.raises(NoSpace, match="no room"), ExitStack() as closing:
        helper.give_back(held(fail), closing)


def test_a_step_does_not_wait_for_a_task_that_nobody_has_begun_to_make() -> None:
    helper, busy, begun = StepHelper(), Event(), Event()

    def make(stack: ExitStack) -> StepTask:
        begun.set()
        raise NoSpace("no room")

    with ExitStack() as closing:
        closing.callback(busy.set)
        helper.give_back(held(busy.wait), closing)
        helper.make_ready(lambda id: make, closing)
        assert helper.take(helper.next_id(), closing) is None
        busy.set()
    assert not begun.is_set()


def test_a_step_makes_the_task_that_could_not_be_made_for_it() -> None:
    def make(stack: ExitStack) -> StepTask:
        raise NoSpace("no room")

    helper = StepHelper()
    with ExitStack() as closing:
        helper.make_ready(lambda id: make, closing)
        assert helper.take(helper.next_id(), closing) is None
        assert helper.next_id() != helper.next_id()
