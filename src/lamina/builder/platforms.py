"""Builds for several platforms: which ones are asked for, which ones this machine can run, and all of them at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextvars import copy_context
from functools import partial
from typing import TypeVar

from lamina.builder.console import Console
from lamina.builder.parallel_stages import Turns
from lamina.cancellation import Cancellation
from lamina.errors import InvalidInput, Unsupported
from lamina.formats.platform import Platform
from lamina.linux.emulation import emulated_architectures

T = TypeVar("T")
MOST = 16  # platforms of one build
_AT_ONCE = 4


def platforms_of(text: str) -> tuple[Platform, ...]:
    """Return the platforms in a list with commas, each once. Raise InvalidInput, also for more than `MOST`."""
    platforms = tuple(dict.fromkeys(Platform.parse(part.strip()) for part in text.split(",") if part.strip()))
    if len(platforms) > MOST:
        raise InvalidInput(f"a build is for {MOST} platforms at most, not for {len(platforms)}")
    return platforms


def runnable() -> tuple[Platform, ...]:
    """Return the platforms whose programs run here, the machine's own first."""
    host = Platform.host()
    emulated = [Platform(host.os, name).normalised() for name in emulated_architectures()]
    return tuple(dict.fromkeys((host, *emulated)))


def check_runnable(platform: Platform) -> None:
    """Raise Unsupported when programs for `platform` do not run here."""
    if not any(platform.matches(each) for mine in runnable() for each in mine.acceptable()):
        raise Unsupported(
            f"RUN cannot run programs for {platform} on this machine, which is {Platform.host()}",
            advice="Install an emulator (Debian: qemu-user-static and binfmt-support), or build in a stage "
            "FROM --platform=$BUILDPLATFORM and copy the result.",
            platform=str(platform),
        )


def build_each(
    platforms: Sequence[Platform],
    console: Console,
    cancellation: Cancellation,
    build: Callable[[Platform, Console, Cancellation], T],
) -> list[T]:
    """Have `build` build for each platform, several at once, and return what it returns, in order.

    What it tells comes platform by platform. When one fails the others are cancelled. Raise the error of the one that
    failed first, and Cancelled.
    """
    results: dict[int, T] = {}
    failures: list[tuple[int, BaseException]] = []
    lock = threading.Lock()
    with cancellation.child() as stop:
        turns = Turns(len(platforms), console.take, stop)

        def run(number: int) -> None:
            part = console.part(partial(turns.hear, number), str(platforms[number]))
            try:
                result = build(platforms[number], part, stop)
            except BaseException as error:
                with lock:
                    failures.append((number, error))
                stop.cancel("another platform has failed")
                raise
            results[number] = result
            turns.end(number)

        with ThreadPoolExecutor(min(len(platforms), _AT_ONCE), thread_name_prefix="lamina-platform") as pool:
            # The context has the build's lease: what a platform's build makes is held by it.
            futures = [pool.submit(copy_context().run, run, number) for number in range(len(platforms))]
            try:
                wait(futures)
            except BaseException:  # Ctrl-C in the thread that waits
                stop.cancel("interrupted")
                raise
        if failures:
            number, error = failures[0]
            turns.fail(number)
            cancellation.check()
            raise error
    return [results[number] for number in range(len(platforms))]
