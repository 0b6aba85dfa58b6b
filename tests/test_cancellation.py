"""Tokens: cancelled from any thread or signal handler, once and for all who wait, check or follow."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lamina.cancellation import NEVER, Cancellation
from lamina.errors import Cancelled, Internal


def test_work_goes_on_until_it_is_cancelled() -> None:
    token = Cancellation()
    token.check()
    assert not token.wait(0)
    assert not token.cancelled
    token.cancel("the client went away")
    token.cancel("something else")
    with pytest.raises(Cancelled, match="the client went away"):
        token.check()
    assert token.wait(0)
    assert token.wait()
    assert token.reason == "the client went away"


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 6), st.integers(1, 3))
def test_every_callback_runs_once_whoever_cancels(before: int, after: int, times: int) -> None:
    token = Cancellation()
    calls: list[int] = []
    with ExitStack() as blocks:
        for number in range(before):
            blocks.enter_context(token.on_cancel(partial(calls.append, number)))
        with ThreadPoolExecutor(times) as threads:
            list(threads.map(lambda _: token.cancel(), range(times)))
        for number in range(before, before + after):
            blocks.enter_context(token.on_cancel(partial(calls.append, number)))
    assert sorted(calls) == list(range(before + after))


def test_a_callback_is_forgotten_with_its_block() -> None:
    token = Cancellation()
    calls: list[int] = []
    with token.on_cancel(lambda: calls.append(1)):
        pass
    token.cancel()
    assert calls == []


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 8))
def test_all_waiting_threads_are_woken(waiters: int) -> None:
    token = Cancellation()
    started = threading.Barrier(waiters + 1)

    def wait() -> bool:
        started.wait(10)
        return token.wait(60)

    with ThreadPoolExecutor(waiters) as threads:
        results = [threads.submit(wait) for _ in range(waiters)]
        started.wait(10)
        token.cancel()
        assert [result.result(10) for result in results] == [True] * waiters


@contextmanager
def alarm(callback: Callable[[], None]) -> Iterator[None]:
    before = signal.signal(signal.SIGUSR1, lambda number, frame: callback())
    yield
    signal.signal(signal.SIGUSR1, before)


def test_a_signal_handler_wakes_the_thread_that_it_interrupts() -> None:
    token = Cancellation()
    with alarm(lambda: token.cancel("interrupted")):
        killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1))
        killer.start()
        assert token.wait(60)
        killer.join()
    with pytest.raises(Cancelled, match="interrupted"):
        token.check()


def test_children_follow_their_parent_and_not_the_other_way_round() -> None:
    parent = Cancellation()
    with parent.child() as first, first.child() as grandchild, parent.child() as second:
        second.cancel("alone")
        assert [t.reason for t in (parent, first, grandchild, second)] == ["", "", "", "alone"]
        parent.cancel("whole")
        assert [t.reason for t in (first, grandchild, second)] == ["whole", "whole", "alone"]
    with parent.child() as late:
        assert late.reason == "whole"


def test_a_block_that_fails_stops_its_other_work() -> None:
    parent = Cancellation()
    with pytest.raises(KeyboardInterrupt), parent.child() as part:
        raise KeyboardInterrupt
    assert part.cancelled
    assert not parent.cancelled


def test_a_child_that_is_over_does_not_follow() -> None:
    parent = Cancellation()
    with parent.child() as part:
        pass
    parent.cancel()
    assert not part.cancelled


def test_nobody_cancels_never() -> None:
    NEVER.check()
    assert not NEVER.wait(0)
    with NEVER.on_cancel(pytest.fail), NEVER.child() as part:
        part.cancel()
        assert part.cancelled
    with pytest.raises(Internal):
        NEVER.cancel()
